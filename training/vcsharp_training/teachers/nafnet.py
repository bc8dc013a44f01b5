"""NAFNet: a U-Net of gates without activation functions (Chen et al., ECCV 2022, arXiv 2204.04676).

Written from the paper, with the key names and shapes of the published checkpoints. It matches
Restormer on motion blur at a ninth of the cost, so it is the teacher that we can train ourselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-6


class LayerNorm2d(nn.Module):
    """Normalises over the channels of each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        normal = (x - mean) * torch.rsqrt(variance + NORM_EPSILON)
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


def simple_gate(x: Tensor) -> Tensor:
    """One half of the channels times the other."""
    first, second = x.chunk(2, dim=1)
    return first * second


class Block(nn.Module):
    """A gated convolution with channel attention, then a gated feed-forward part.

    Both are scaled by `beta` and `gamma`, which start at zero: a fresh block changes nothing.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        double = 2 * channels
        self.norm1, self.norm2 = LayerNorm2d(channels), LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, double, 1)
        self.conv2 = nn.Conv2d(double, double, 3, padding=1, groups=double)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.conv4 = nn.Conv2d(channels, double, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        gated = simple_gate(self.conv2(self.conv1(self.norm1(x))))
        x = x + self.beta * self.conv3(gated * self.sca(gated))
        gated = simple_gate(self.conv4(self.norm2(x)))
        return cast("Tensor", x + self.gamma * self.conv5(gated))


@dataclass(frozen=True)
class Shape:
    """Width and depth; the defaults are those of the published GoPro checkpoint of width 32."""

    channels: int = 3
    """Channels of the picture: 3, or 1 for luma."""
    width: int = 32
    """Channels at full size."""
    encoders: Sequence[int] = (1, 1, 1, 28)
    """Blocks on the way down, one number per level."""
    middle: int = 1
    """Blocks at the bottom."""
    decoders: Sequence[int] = (1, 1, 1, 1)
    """Blocks on the way up."""
    stride: int = 1
    """Squares of this side become channels first, and pixels again at the end. Ours: what has lost
    its finest detail is restored at a quarter of the work with 2. Published ones have 1.
    """


class NAFNet(nn.Module):
    """Restores pictures whose sides are multiples of the stride times two to the levels."""

    def __init__(self, shape: Shape = Shape()) -> None:
        super().__init__()
        self.shape, width, depth = shape, shape.width, len(shape.encoders)
        widths = [width * 2**level for level in range(depth + 1)]
        self.levels = (*(f"encoders.{level}" for level in range(depth)), "middle_blks")
        self.widths = dict(zip(self.levels, widths, strict=True))
        self.multiple = shape.stride * 2**depth
        planes = shape.channels * shape.stride**2
        self.intro = nn.Conv2d(planes, width, 3, padding=1)
        self.encoders = nn.ModuleList(map(_stage, widths, shape.encoders))
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, stride=2) for c in widths[:-1])
        self.middle_blks = _stage(widths[-1], shape.middle)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, 2 * c, 1, bias=False), nn.PixelShuffle(2))
            for c in widths[:0:-1]
        )
        self.decoders = nn.ModuleList(map(_stage, widths[-2::-1], shape.decoders))
        self.ending = nn.Conv2d(width, planes, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """Float N x channels x H x W, 0..1, to the same shape, not clipped."""
        x = self.intro(functional.pixel_unshuffle(picture, self.shape.stride))
        skips = list[Tensor]()
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(x))
            x = down(skips[-1])
        x = self.middle_blks(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(up(x) + skips.pop())
        return functional.pixel_shuffle(self.ending(x), self.shape.stride) + picture


def _stage(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*[Block(channels) for _ in range(blocks)])
