"""Training-time layers that collapse into one plain 3x3 convolution.

Linear over-parameterisation after SESR (Bhardwaj et al., MLSys 2022, arXiv 2103.09404): the wide
branches exist only in the optimiser's view. Weights are collapsed at every step and run as one
convolution, so training costs what the shipped network costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcsharp.nets.plain import MID_GREY, PlainStudent

HEAD_GAIN = 0.01
"""Scale of the last layer's first weights: the student starts close to doing nothing."""


def _he(*shape: int, fan_in: int, gain: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape) * (gain * (2 / fan_in) ** 0.5))


class RepConv(nn.Module):
    """3x3 + (1x1 -> 3x3 -> 1x1) + 1x1, all linear, one bias at the end.

    Biases inside the branch would not survive zero padding, so there are none.

    Args:
        inputs: channels in.
        outputs: channels out.
        expansion: width of the branch as a multiple of `outputs`.
        gain: scale of the first weights.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int = 2, gain: float = 1.0) -> None:
        super().__init__()
        wide = expansion * outputs
        self.direct = _he(outputs, inputs, 3, 3, fan_in=9 * inputs, gain=gain)
        self.widen = _he(wide, inputs, fan_in=2 * inputs)
        self.middle = _he(wide, wide, 3, 3, fan_in=18 * wide)
        self.narrow = _he(outputs, wide, fan_in=2 * wide, gain=0.1 * gain)
        self.point = _he(outputs, inputs, fan_in=inputs, gain=0.1 * gain)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def weight(self) -> Tensor:
        """The one kernel that does the work of all branches; outputs x inputs x 3 x 3."""
        wide, inputs = self.widen.shape
        middle = torch.einsum(
            "op,pqk,qi->oik", self.narrow, self.middle.reshape(wide, wide, 9), self.widen
        )
        point = functional.pad(self.point[:, :, None, None], (1, 1, 1, 1))
        return self.direct + middle.reshape(-1, inputs, 3, 3) + point

    def forward(self, x: Tensor) -> Tensor:
        """Runs the collapsed kernel; N x inputs x H x W -> N x outputs x H x W."""
        return functional.conv2d(x, self.weight(), self.bias, padding=1)


class RepStudent(nn.Module):
    """A `PlainStudent` in training clothes: same function, more parameters."""

    def __init__(self, channels: Sequence[int], stride: int, expansion: int = 2) -> None:
        super().__init__()
        self.channels, self.stride = tuple(channels), stride
        last = len(channels) - 2
        self.convs = nn.ModuleList(
            RepConv(a, b, expansion, HEAD_GAIN if i == last else 1.0)
            for i, (a, b) in enumerate(pairwise(channels))
        )

    def residual(self, luma: Tensor) -> Tensor:
        """As `PlainStudent.residual`; luma is float N x 1 x H x W, 0..1."""
        x = functional.pixel_unshuffle(luma - MID_GREY, self.stride)
        for conv in self.convs[:-1]:
            x = functional.relu(conv(x))
        return functional.pixel_shuffle(self.convs[-1](x), self.stride)

    @torch.no_grad()
    def collapse(self) -> PlainStudent:
        """The same function with plain convolutions, for fine-tuning and shipping."""
        plain = PlainStudent(self.channels, self.stride)
        for source, target in zip(self.convs, plain.convs, strict=True):
            assert isinstance(source, RepConv)
            target.load_state_dict({"weight": source.weight(), "bias": source.bias})
        return plain
