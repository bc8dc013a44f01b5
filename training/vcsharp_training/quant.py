"""Quantisation-aware training: the student with the rounding of the int8 file, differentiable.

Weights: 7 bits (-63..63), symmetric, one scale per output channel. Seven bits keep the pairwise
16-bit sums of CPUs without VNNI from saturating (255 x 63 x 2 < 2^15). Activations: uint8, one
scale per tensor, zero point 0, so the clip at zero is the ReLU. The residual: uint8 with zero point
128. Activation ranges are calibrated once, then frozen; so are the weights (`rounding.py`).
Rounding passes its gradient straight through (Bengio et al. 2013, arXiv 1308.3432).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcsharp.nets.plain import MID_GREY, PlainStudent

WEIGHT_MAX = 63
INPUT_SCALE = 1 / 255
RESIDUAL_ZERO = 128
RANGE_SHARE = 0.85
"""Share of crops whose activations fit into a channel's range. What the others have above it clips:
it is found on drawn patterns and screens, twenty times as far out in the last layers of a wide
student, and would coarsen what all pictures need.
"""
OWN_RANGE_SHARE = 0.97
"""The same where all crops are of one kind, as an expert's are: few are unlike the others
then, and clipping the slopes of smooth ones would show.
"""
EQUALISE_FLOOR = 0.01
"""Of a layer's largest channel; quieter ones count as this loud when scale is moved."""
RESIDUAL_SCALE = 0.5 / 255
"""Half a level a step: the residual reaches 64 levels, far more than sharpening needs."""


def round_through(x: Tensor) -> Tensor:
    """Rounds half to even; its gradient is one."""
    return x + (torch.round(x) - x).detach()


def weight_scales(weight: Tensor) -> Tensor:
    """One scale per output channel (float, outputs) that maps the largest weight to 63."""
    return weight.detach().abs().amax(dim=(1, 2, 3)).clamp_min(1e-8) / WEIGHT_MAX


class QuantStudent(nn.Module):
    """A `PlainStudent` computed as the int8 file computes it.

    Args:
        plain: the float student; its weights are what is trained.
        scales: scale of each hidden activation, then of the residual.
    """

    scales: Tensor

    def __init__(self, plain: PlainStudent, scales: Tensor) -> None:
        super().__init__()
        self.plain = plain
        self.register_buffer("scales", scales.to(torch.float32))

    def residual(self, luma: Tensor) -> Tensor:
        """As `PlainStudent.residual`, for luma on the grid of 1/255."""
        x = unshuffled(luma, self.plain.stride)
        for index, conv in enumerate(self.plain.convs):
            scale = self.scales[index]
            steps = round_through(_convolve(x, conv) / scale)
            hidden = index < len(self.plain.convs) - 1
            x = scale * (
                steps.clamp(0, 255) if hidden else steps.clamp(-RESIDUAL_ZERO, 255 - RESIDUAL_ZERO)
            )
        return functional.pixel_shuffle(x, self.plain.stride)


def _convolve(x: Tensor, conv: nn.Module) -> Tensor:
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    scale = weight_scales(conv.weight)[:, None, None, None]
    weight = scale * round_through(conv.weight / scale)
    return functional.conv2d(x, weight, conv.bias, padding=1)


def _usual(plain: PlainStudent, planes: Iterable[Tensor], share: float) -> list[Tensor]:
    """What each hidden channel reaches in most pictures: per hidden layer, float, channels."""
    reached: list[list[Tensor]] = [[] for _ in plain.channels[1:-1]]
    for luma in planes:
        x = unshuffled(luma, plain.stride)
        for conv, found in zip(plain.convs[:-1], reached, strict=True):
            x = functional.relu(conv(x))
            found.append(x.amax(dim=(2, 3)))
    return [torch.cat(found).quantile(share, dim=0).clamp_min(1e-4) for found in reached]


@torch.no_grad()
def equalise(plain: PlainStudent, planes: Sequence[Tensor], share: float = RANGE_SHARE) -> None:
    """Moves scale between layers, in place, so that no channel needs a far wider range than others.

    ReLU passes positive factors, so the float function stays the same. Cross-layer equalisation
    (Nagel et al. 2019, arXiv 1906.04721), between a channel's activations and the weights that
    read them. Neither is taken to be under a hundredth of its layer's largest: a dead channel would
    else be made so loud that what it says on a rare picture drowns the rest.
    """
    for index, conv in enumerate(convolutions(plain)[:-1]):
        reader = convolutions(plain)[index + 1].weight
        made = _raised(_usual(plain, planes, share)[index])
        read = _raised(reader.abs().amax(dim=(0, 2, 3)))
        factor = (made / read).sqrt()
        factor = factor / factor.mean()
        conv.weight /= factor[:, None, None, None]
        _bias(conv).div_(factor)
        reader *= factor[:, None, None]


def _raised(largest: Tensor) -> Tensor:
    return largest.clamp_min(max(1e-4, EQUALISE_FLOOR * float(largest.max())))


@torch.no_grad()
def calibrate(plain: PlainStudent, planes: Iterable[Tensor], share: float = RANGE_SHARE) -> Tensor:
    """Activation scales from example crops (float N x 1 x H x W, 0..1); float, one per layer."""
    scales = [float(layer.max()) / 255 for layer in _usual(plain, planes, share)]
    return torch.tensor([*scales, RESIDUAL_SCALE]).clamp_min(1e-6)


def unshuffled(luma: Tensor, stride: int) -> Tensor:
    """What the first layer sees of luma in 0..1."""
    return functional.pixel_unshuffle(luma - MID_GREY, stride)


def convolutions(plain: PlainStudent) -> list[nn.Conv2d]:
    """The student's layers."""
    return [conv for conv in plain.convs if isinstance(conv, nn.Conv2d)]


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
