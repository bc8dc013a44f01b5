"""SMFANet+: self-modulated features for light enlargement (Zheng et al., ECCV 2024).

Key names and shapes are those of the published `SMFANet_plus` files.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class LocalDetail(nn.Module):
    """The local branch: a convolution that doubles the channels, a GELU, and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widen = nn.Conv2d(width, 2 * width, 3, padding=1, groups=width)
        self.conv_0 = nn.Sequential(widen, nn.Conv2d(2 * width, 2 * width, 1))
        self.conv_1 = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        return cast("Tensor", self.conv_1(functional.gelu(self.conv_0(x))))


class SelfModulation(nn.Module):
    """SMFA: an eighth-size map of maxima, and the variance, modulate what passes."""

    SHRINK = 8

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_0 = nn.Conv2d(width, 2 * width, 1)
        self.linear_1, self.linear_2 = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.lde = LocalDetail(width)
        self.dw_conv = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.alpha = nn.Parameter(torch.ones(1, width, 1, 1))
        self.belt = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape; sides of at least 8."""
        local, passed = self.linear_0(x).chunk(2, dim=1)
        small = [side // self.SHRINK for side in x.shape[-2:]]
        peaks = self.dw_conv(functional.adaptive_max_pool2d(passed, small))
        spread = torch.var(passed, dim=(-2, -1), keepdim=True)
        gate = functional.gelu(self.linear_1(peaks * self.alpha + spread * self.belt))
        gate = functional.interpolate(gate, size=x.shape[-2:], mode="nearest")
        return cast("Tensor", self.linear_2(passed * gate + self.lde(local)))


class PartialFeedForward(nn.Module):
    """PCFN: a 3x3 convolution on a quarter of the hidden channels only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden, self.part = 2 * width, width // 2
        self.conv_0 = nn.Conv2d(width, hidden, 1)
        self.conv_1 = nn.Conv2d(self.part, self.part, 3, padding=1)
        self.conv_2 = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        hidden = functional.gelu(self.conv_0(x))
        some, others = hidden[:, : self.part], hidden[:, self.part :]
        some = functional.gelu(self.conv_1(some))
        return cast("Tensor", self.conv_2(torch.cat([some, others], 1)))


class ModulationBlock(nn.Module):
    """FMB: both parts on channels of unit length, each added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.smfa, self.pcfn = SelfModulation(width), PartialFeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        x = x + self.smfa(functional.normalize(x))
        return cast("Tensor", x + self.pcfn(functional.normalize(x)))


class SMFANet(nn.Module):
    """SMFANet+; the defaults are those of the published `plus` files."""

    def __init__(self, width: int = 48, blocks: int = 12, scale: int = 2) -> None:
        super().__init__()
        self.to_feat = nn.Conv2d(3, width, 3, padding=1)
        self.feats = nn.Sequential(*[ModulationBlock(width) for _ in range(blocks)])
        last = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
        self.to_img = nn.Sequential(last, nn.PixelShuffle(scale))

    def forward(self, picture: Tensor) -> Tensor:
        """Float N x 3 x H x W, 0..1, to N x 3 x scale H x scale W, not clipped."""
        x = self.to_feat(picture)
        return cast("Tensor", self.to_img(self.feats(x) + x))
