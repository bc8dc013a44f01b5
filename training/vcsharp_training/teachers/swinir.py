"""SwinIR: attention within shifted windows (Liang et al., ICCV-W 2021, arXiv 2108.10257; Liu et
al., ICCV 2021, arXiv 2103.14030).

Written from the papers, with the key names and shapes of the published checkpoints, buffers
included, so that they load unchanged. Tokens are kept as N x H x W x C.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of DIV2K, taken off colour pictures."""
FORBIDDEN = -100.0
"""Added where a pixel must not look: e^-100 is nothing."""
RECONSTRUCTION_CHANNELS = 64


def windows(tokens: Tensor, side: int) -> Tensor:
    """N x H x W x C cut into (N windows) x side^2 x C, row by row."""
    count, height, width, channels = tokens.shape
    cut = tokens.reshape(count, height // side, side, width // side, side, channels)
    return cut.transpose(2, 3).reshape(-1, side * side, channels)


def from_windows(cut: Tensor, side: int, height: int, width: int) -> Tensor:
    """The inverse of `windows`."""
    cut = cut.reshape(-1, height // side, width // side, side, side, cut.shape[-1])
    return cut.transpose(2, 3).reshape(-1, height, width, cut.shape[-1])


def position_index(side: int) -> Tensor:
    """For each pair of a window's pixels, its row in the bias table: int64 side^2 x side^2."""
    y, x = np.divmod(np.arange(side * side), side)
    down, right = y[:, None] - y[None], x[:, None] - x[None]
    return torch.from_numpy((down + side - 1) * (2 * side - 1) + right + side - 1)


@lru_cache(maxsize=16)
def shift_mask(height: int, width: int, side: int, shift: int) -> Tensor:
    """What keeps pixels apart that only the cyclic shift brought together.

    Float windows x side^2 x side^2: 0 within one region of the picture, `FORBIDDEN` across. Not to
    be written to.
    """
    rows, columns = (
        np.searchsorted([length - side, length - shift], np.arange(length), side="right")
        for length in (height, width)
    )
    regions = 3 * rows[:, None] + columns[None]
    grid = regions.reshape(height // side, side, width // side, side)
    cut = grid.swapaxes(1, 2).reshape(-1, side * side)
    apart = cut[:, None, :] != cut[:, :, None]
    return torch.from_numpy(np.where(apart, np.float32(FORBIDDEN), np.float32(0)))


class WindowAttention(nn.Module):
    """Attention among the pixels of a window, biased by where they lie to each other."""

    relative_position_index: Tensor

    def __init__(self, channels: int, side: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * side - 1) ** 2, heads))
        self.register_buffer("relative_position_index", position_index(side))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, cut: Tensor, mask: Tensor | None) -> Tensor:
        """B x side^2 x C to the same shape; `mask` has one plane per window of a picture."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(cut).chunk(3, dim=-1)
        )
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        table = self.relative_position_bias_table
        scores = scores + table[self.relative_position_index].permute(2, 0, 1)
        if mask is not None:
            each = scores.unflatten(0, (-1, len(mask))) + mask[:, None]
            scores = each.flatten(0, 1)
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(cut.shape)
        return cast("Tensor", self.proj(mixed))


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them, at each pixel."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Any shape that ends in C to the same."""
        return cast("Tensor", self.fc2(functional.gelu(self.fc1(tokens))))


class Layer(nn.Module):
    """STL: window attention, every other time on shifted windows, then the feed-forward part."""

    attn_mask: Tensor

    def __init__(self, shape: Shape, heads: int, *, shifted: bool) -> None:
        super().__init__()
        self.side, self.trained_px = shape.window_px, shape.trained_px
        self.shift = self.side // 2 if shifted else 0
        self.norm1 = nn.LayerNorm(shape.width)
        self.attn = WindowAttention(shape.width, self.side, heads)
        self.norm2 = nn.LayerNorm(shape.width)
        self.mlp = FeedForward(shape.width, int(shape.width * shape.expansion))
        if shifted:
            mask = shift_mask(self.trained_px, self.trained_px, self.side, self.shift)
            self.register_buffer("attn_mask", mask.clone())

    def _mask(self, tokens: Tensor) -> Tensor:
        """The stored one fits the size of training only."""
        height, width = tokens.shape[1:3]
        if (height, width) == (self.trained_px, self.trained_px):
            return self.attn_mask
        return shift_mask(height, width, self.side, self.shift).to(tokens)

    def _attended(self, tokens: Tensor) -> Tensor:
        height, width = tokens.shape[1:3]
        if not self.shift:
            return from_windows(
                self.attn(windows(tokens, self.side), None), self.side, height, width
            )
        moved = tokens.roll((-self.shift, -self.shift), (1, 2))
        cut = self.attn(windows(moved, self.side), self._mask(tokens))
        return from_windows(cut, self.side, height, width).roll((self.shift, self.shift), (1, 2))

    def forward(self, tokens: Tensor) -> Tensor:
        """N x H x W x C to the same shape."""
        tokens = tokens + self._attended(self.norm1(tokens))
        return cast("Tensor", tokens + self.mlp(self.norm2(tokens)))


class LayerGroup(nn.Module):
    """Layers under the checkpoints' name `blocks`."""

    def __init__(self, shape: Shape, group: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *[
                Layer(shape, shape.heads[group], shifted=index % 2 == 1)
                for index in range(shape.depths[group])
            ]
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """N x H x W x C to the same shape."""
        return cast("Tensor", self.blocks(tokens))


class ResidualGroup(nn.Module):
    """RSTB: a group of layers and a 3x3 convolution, added to the input."""

    def __init__(self, shape: Shape, group: int) -> None:
        super().__init__()
        self.residual_group = LayerGroup(shape, group)
        self.conv = nn.Conv2d(shape.width, shape.width, 3, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """N x H x W x C to the same shape."""
        return to_tokens(self.conv(to_planes(self.residual_group(tokens)))) + tokens


def to_planes(tokens: Tensor) -> Tensor:
    """N x H x W x C to N x C x H x W."""
    return tokens.permute(0, 3, 1, 2)


def to_tokens(planes: Tensor) -> Tensor:
    """N x C x H x W to N x H x W x C."""
    return planes.permute(0, 2, 3, 1)


class Embedding(nn.Module):
    """Nothing but the first normalisation, under the checkpoints' name."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """N x H x W x C to the same shape."""
        return cast("Tensor", self.norm(tokens))


@dataclass(frozen=True)
class Shape:
    """What tells the published variants apart; the defaults are those of classical x4."""

    channels: int = 3
    """Channels of the picture."""
    scale: int = 4
    """Enlargement: a power of two, 3, or 1 for denoising and JPEG repair."""
    width: int = 180
    """Channels of a token."""
    depths: Sequence[int] = (6, 6, 6, 6, 6, 6)
    """Layers of each group."""
    heads: Sequence[int] = (6, 6, 6, 6, 6, 6)
    """Heads of each group."""
    window_px: int = 8
    """Side of a window."""
    trained_px: int = 64
    """Side of the pictures in training: the size of the stored masks."""
    expansion: float = 2.0
    """Width of the feed-forward part."""
    peak: float = 1.0
    """Value of white inside the network."""


def _upsampler(scale: int) -> nn.Sequential:
    factors = [3] if scale == 3 else [2] * int(math.log2(scale))
    width, parts = RECONSTRUCTION_CHANNELS, list[nn.Module]()
    for factor in factors:
        parts += [nn.Conv2d(width, width * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
    return nn.Sequential(*parts)


class SwinIR(nn.Module):
    """Enlarges, denoises or repairs pictures whose sides are multiples of the window."""

    levels = ("conv_first", "conv_after_body")
    """Modules whose outputs a student can be taught."""

    def __init__(self, shape: Shape = Shape()) -> None:
        super().__init__()
        self.shape, width = shape, shape.width
        self.widths = dict.fromkeys(self.levels, width)
        mean = RGB_MEAN if shape.channels == 3 else (0.0,) * shape.channels
        self.mean = torch.tensor(mean)[:, None, None]
        self.conv_first = nn.Conv2d(shape.channels, width, 3, padding=1)
        self.patch_embed = Embedding(width)
        self.layers = nn.Sequential(
            *[ResidualGroup(shape, group) for group in range(len(shape.depths))]
        )
        self.norm = nn.LayerNorm(width)
        self.conv_after_body = nn.Conv2d(width, width, 3, padding=1)
        last = width
        if shape.scale > 1:
            last = RECONSTRUCTION_CHANNELS
            self.conv_before_upsample = nn.Sequential(
                nn.Conv2d(width, last, 3, padding=1), nn.LeakyReLU()
            )
            self.upsample = _upsampler(shape.scale)
        self.conv_last = nn.Conv2d(last, shape.channels, 3, padding=1)

    def _deep(self, shallow: Tensor) -> Tensor:
        tokens = self.layers(self.patch_embed(to_tokens(shallow)))
        return cast("Tensor", self.conv_after_body(to_planes(self.norm(tokens))) + shallow)

    def forward(self, picture: Tensor) -> Tensor:
        """Float N x channels x H x W, 0..1, to N x channels x scale H x scale W, not clipped."""
        mean = self.mean.to(picture)
        x = (picture - mean) * self.shape.peak
        deep = self._deep(self.conv_first(x))
        if self.shape.scale > 1:
            x = self.conv_last(self.upsample(self.conv_before_upsample(deep)))
        else:
            x = x + self.conv_last(deep)
        return cast("Tensor", x / self.shape.peak + mean)
