"""LPIPS: how different two pictures look, by the features of a network that learnt to see.

Learned Perceptual Image Patch Similarity (Zhang et al. 2018), version 0.1 on AlexNet: the squared
distance between channel-normalised features behind each of five ReLUs, weighted per channel,
averaged over the picture and summed. 0 for equal pictures; lower is more alike.

The weights are not part of this package; they are read from a folder that holds
`alex_features.pth` (AlexNet's five convolutions in torchvision's key names, BSD-3-Clause) and
`lin_alex.pth` (the heads, `lpips/weights/v0.1/alex.pth` of richzhang/PerceptualSimilarity,
BSD-2-Clause).
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vcsharp_training.errors import CheckpointError
from vcsharp_training.images import Plane

FEATURES, HEADS = "alex_features.pth", "lin_alex.pth"
_ORIGIN = {
    FEATURES: "features.* of torchvision's alexnet-owt-7be5be79.pth",
    HEADS: "lpips/weights/v0.1/alex.pth of github.com/richzhang/PerceptualSimilarity",
}

_CONVOLUTIONS = {
    0: (3, 64, 11, 4, 2),
    3: (64, 192, 5, 1, 2),
    6: (192, 384, 3, 1, 1),
    8: (384, 256, 3, 1, 1),
    10: (256, 256, 3, 1, 1),
}
"""Index in torchvision's `features`: inputs, outputs, kernel, stride, padding."""
_POOLED = (3, 6)
"""Convolutions that a 3x3 max pooling of stride 2 comes before."""

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
"""Mean and deviation per channel of what AlexNet was trained on, for samples in -1..1."""
_EPSILON = 1e-10
MIDDLE_PX = 512


class Lpips(nn.Module):
    """The metric as a network; differentiable, so that it can also be a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict(
            {
                str(index): nn.Conv2d(inputs, outputs, kernel, stride, padding)
                for index, (inputs, outputs, kernel, stride, padding) in _CONVOLUTIONS.items()
            }
        )
        self.heads = nn.ParameterList(
            [nn.Parameter(torch.ones(1, shape[1], 1, 1)) for shape in _CONVOLUTIONS.values()]
        )
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)

    def levels(self, rgb: Tensor) -> Iterator[Tensor]:
        """The features behind each ReLU, normalised over their channels."""
        values = (2 * rgb - 1 - self.get_buffer("shift")) / self.get_buffer("scale")
        for index, convolution in zip(_CONVOLUTIONS, self.features.values(), strict=True):
            if index in _POOLED:
                values = nn.functional.max_pool2d(values, 3, 2)
            values = convolution(values).relu()
            yield values / (values.square().sum(1, keepdim=True).sqrt() + _EPSILON)

    def distance(self, levels: Iterable[Tensor], truth: Iterable[Tensor]) -> Tensor:
        """The distance between what `levels` gave for two batches, shape N."""
        distances = [
            ((a - b).square() * head).sum(1).mean((1, 2))
            for a, b, head in zip(levels, truth, self.heads, strict=True)
        ]
        return torch.stack(distances).sum(0)

    def forward(self, rgb: Tensor, truth: Tensor) -> Tensor:
        """The distance of every picture to its truth, shape N.

        Args:
            rgb: float N x 3 x H x W in 0..1, sides of at least 63 px.
            truth: the same shape.
        """
        return self.distance(self.levels(rgb), self.levels(truth))


class LumaLpips:
    """The distances of planes to one truth, whose features are computed once.

    Planes are uint8 H x W, limited range, shown as grey pictures. Only their middle is looked at,
    at most 512 px a side: the metric is a mean over places, and the whole would take ten times as
    long.
    """

    def __init__(self, model: Lpips, truth: Plane) -> None:
        self._model = model
        self._truth = self._levels(truth)

    def __call__(self, plane: Plane) -> float:
        """The distance of `plane`; it has the truth's shape."""
        with torch.inference_mode():
            return float(self._model.distance(self._levels(plane), self._truth))

    def _levels(self, plane: Plane) -> list[Tensor]:
        with torch.inference_mode():
            return list(self._model.levels(_grey(_middle(plane))))


def _middle(plane: Plane) -> Plane:
    top, left = (max(0, (side - MIDDLE_PX) // 2) for side in plane.shape)
    return plane[top : top + MIDDLE_PX, left : left + MIDDLE_PX]


def _grey(luma: Plane) -> Tensor:
    """What a screen shows of limited-range luma: black is 16, white 235."""
    levels = (torch.from_numpy(luma.astype(np.float32)) - 16) / 219
    return levels.clamp(0, 1).expand(1, 3, *luma.shape)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(
            f"cannot read the LPIPS weights '{path}': {error.strerror}; they are published as "
            f"{_ORIGIN[path.name]}"
        ) from error
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"'{path}' is damaged or no checkpoint; fetch it again") from error
    return dict(state)


def _translated(folder: Path) -> dict[str, Tensor]:
    """The published key names as this module's."""
    state = _read(folder / FEATURES)
    heads = _read(folder / HEADS)
    return state | {
        f"heads.{index}": heads.get(f"lin{index}.model.1.weight", torch.empty(0))
        for index in range(len(_CONVOLUTIONS))
    }


@functools.cache
def load(folder: Path) -> Lpips:
    """The metric with the weights in `folder`; read once a process, frozen.

    Raises:
        CheckpointError: a file is missing, damaged or of another network.
    """
    model = Lpips()
    try:
        model.load_state_dict(_translated(folder))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"the LPIPS weights in '{folder}' do not fit: {reason}") from error
    return model.eval().requires_grad_(requires_grad=False)
