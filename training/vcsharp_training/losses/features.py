"""Terms between feature maps: a VGG's, or a student's and its teacher's."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcsharp_training.errors import DataError

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's RGB, which the VGG was trained on."""
WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 256)
KEYS = (0, 2, 5, 7, 10, 12, 14, 16)
"""Numbers of the convolutions in the published state dict: `features.0.weight` and so on."""
POOLED = (2, 4)
"""Convolutions before which the maps are halved."""
TAPS = (1, 3, 7)
"""relu1_2, relu2_2 and relu3_4, counted in convolutions from 0."""


class Perceptual(nn.Module):
    """Distance between two pictures as VGG-19 sees them (Johnson et al. 2016, arXiv 1603.08155;
    the network: Simonyan and Zisserman 2014, arXiv 1409.1556), mean square over three depths.

    The weights are frozen; new ones are random and of use in tests only.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(WIDTHS))
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)
        self.requires_grad_(requires_grad=False)

    @staticmethod
    def load(path: Path) -> Perceptual:
        """Weights of conv1_1 to conv3_4 under torchvision's names; further layers are ignored.

        Raises DataError, one line, if the file is missing or is something else.
        """
        found, network = _read(path), Perceptual()
        try:
            for key, conv in zip(KEYS, network.convs, strict=True):
                state = {part: found[f"features.{key}.{part}"] for part in ("weight", "bias")}
                conv.load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            raise DataError(
                f"'{path}' does not hold VGG-19's weights under torchvision's names "
                f"('features.0.weight' ...): {str(error).splitlines()[0]}"
            ) from error
        return network

    def maps(self, rgb: Tensor) -> list[Tensor]:
        """Three depths of `rgb`, float N x 3 x H x W in 0..1, sides of at least 4 px."""
        x, found = (rgb - self.mean) / self.deviation, list[Tensor]()
        for number, conv in enumerate(self.convs):
            if number in POOLED:
                x = functional.max_pool2d(x, 2)
            x = functional.relu(conv(x))
            if number in TAPS:
                found.append(x)
        return found

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """One distance per picture."""
        with torch.no_grad():
            wanted = self.maps(target)
        pairs = zip(self.maps(output), wanted, strict=True)
        return torch.stack([(a - b).square().mean(dim=(1, 2, 3)) for a, b in pairs]).mean(dim=0)


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        found: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(
            f"no VGG-19 weights '{path}': the perceptual term needs them; they are published by "
            "Oxford's Visual Geometry Group under CC BY 4.0 and by torchvision as 'vgg19'; "
            "name the file with loss.vgg, or set loss.perceptual to 0"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        first = (str(error).splitlines() or ["unreadable"])[0]
        raise DataError(f"cannot read VGG-19 weights '{path}': {first}") from error
    return found


def feature_distance(projected: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
    """L1 between the student's maps, already projected to the teacher's widths, and the teacher's
    (hints of FitNets, Romero et al. 2014, arXiv 1412.6550), mean over levels; one per picture.

    Both have the same keys. Maps of another size are averaged or repeated to the teacher's.
    """
    distances = []
    for level, target in wanted.items():
        mine = projected[level]
        if mine.shape[-2:] != target.shape[-2:]:
            mine = functional.adaptive_avg_pool2d(mine, (target.shape[-2], target.shape[-1]))
        distances.append((mine - target).abs().mean(dim=(1, 2, 3)))
    return torch.stack(distances).mean(dim=0)
