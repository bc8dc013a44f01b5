"""Our own students on RGB, in training clothes, to stand beside the references on the same bank.

`plain` is the shipped shape on luma, `chroma420` sees a 4:2:0 frame's chroma as well. Both add to
the picture instead of painting it anew, and collapse to plain 3x3 convolutions at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcsharp.nets.plain import MID_GREY
from vcsharp_training.reparam import HEAD_GAIN, RepConv, RepStudent
from vcsharp_training.students.base import RgbStudent

LUMA = (0.299, 0.587, 0.114)
"""BT.601, full range: what the pictures of training are."""
BLUE, RED = 1.772, 1.402
"""How far blue and red lie from luma at full chroma: 2 x (1 - weight)."""


def to_planes(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Luma, N x 1 x H x W, and chroma at half size, N x 2 x H/2 x W/2 around 0.5; even sides."""
    weights = torch.tensor(LUMA).to(rgb)
    luma = (rgb * weights[:, None, None]).sum(dim=1, keepdim=True)
    chroma = torch.cat([(rgb[:, 2:] - luma) / BLUE, (rgb[:, :1] - luma) / RED], 1) + 0.5
    return luma, functional.avg_pool2d(chroma, 2)


def to_rgb_change(luma: Tensor, chroma: Tensor | None) -> Tensor:
    """What a change of luma, and of half-size chroma, does to RGB; N x 3 x H x W."""
    if chroma is None:
        return luma.expand(-1, 3, -1, -1)
    wide = functional.interpolate(chroma, scale_factor=2, mode="bilinear")
    blue, red = BLUE * wide[:, :1], RED * wide[:, 1:]
    green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
    return luma + torch.cat([red, green, blue], 1)


class PlainRgb(RgbStudent):
    """`RepStudent` on the luma of an RGB picture; sides must be multiples of the stride.

    Args:
        channels: as in a recipe's `[network]`; `(4, 16, 16, 4)` with stride 2 is the finer grid.
    """

    def __init__(
        self, channels: Sequence[int] = (16, 32, 32, 16), stride: int = 4, expansion: int = 2
    ) -> None:
        super().__init__()
        if channels[0] != stride**2 or channels[-1] != stride**2:
            raise ValueError(
                f"channels must begin and end with stride squared ({stride**2}), "
                f"got '{tuple(channels)}'"
            )
        self.net = RepStudent(channels, stride, expansion)

    def forward(self, rgb: Tensor) -> Tensor:
        """The picture with its luma corrected, not clipped."""
        return rgb + to_rgb_change(self.net.residual(to_planes(rgb)[0]), None)


class Chroma420(RgbStudent):
    """4:2:0 in: 16 luma, 4 Cb and 4 Cr channels on a grid of 4 x 4 pixels.

    Args:
        channels: from 24 to 16, which corrects luma, or to 24, which corrects chroma as well.
        expansion: as in `RepStudent`.
    """

    stride = 4

    def __init__(self, channels: Sequence[int] = (24, 32, 32, 16), expansion: int = 2) -> None:
        super().__init__()
        if channels[0] != 24 or channels[-1] not in (16, 24):
            raise ValueError(f"channels must go from 24 to 16 or 24, got '{tuple(channels)}'")
        last = len(channels) - 2
        self.convs = nn.ModuleList(
            RepConv(a, b, expansion, HEAD_GAIN if i == last else 1.0)
            for i, (a, b) in enumerate(pairwise(channels))
        )

    def residual(self, luma: Tensor, chroma: Tensor) -> tuple[Tensor, Tensor | None]:
        """What to add to luma (N x 1 x H x W) and, if at all, to chroma (N x 2 x H/2 x W/2)."""
        blocks = functional.pixel_unshuffle(luma - MID_GREY, self.stride)
        colours = functional.pixel_unshuffle(chroma - MID_GREY, self.stride // 2)
        x = torch.cat([blocks, colours], 1)
        for conv in self.convs[:-1]:
            x = functional.relu(conv(x))
        found = self.convs[-1](x)
        change = functional.pixel_shuffle(found[:, :16], self.stride)
        if found.shape[1] == 16:
            return change, None
        return change, functional.pixel_shuffle(found[:, 16:], self.stride // 2)

    def forward(self, rgb: Tensor) -> Tensor:
        """The picture with its planes corrected, not clipped; sides are multiples of 4."""
        return rgb + to_rgb_change(*self.residual(*to_planes(rgb)))
