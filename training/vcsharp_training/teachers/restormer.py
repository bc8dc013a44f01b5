"""Restormer: attention over channels, so that a whole picture fits (Zamir et al., CVPR 2022,
arXiv 2111.09881).

Written from the paper, with the key names and shapes of the published checkpoints, so that they
load unchanged. Four levels: each goes down by a 3x3 convolution and a pixel unshuffle, and up by a
convolution and a pixel shuffle; skips are concatenated and, but for the first level, reduced by a
1x1 convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-5


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel, without a bias by choice.

    The one without a bias (Mohan et al. 2020) divides by the deviation and subtracts nothing, so
    that scaling the input scales the output.
    """

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        scale = self.weight[:, None, None] * torch.rsqrt(variance + NORM_EPSILON)
        if self.bias is None:
            return x * scale
        return (x - mean) * scale + self.bias[:, None, None]


class Norm(nn.Module):
    """Holds the normalisation under the checkpoints' name `body`."""

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        self.body = ChannelNorm(channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        return cast("Tensor", self.body(x))


def _point(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)


def _around(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def _each(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


class ChannelAttention(nn.Module):
    """MDTA: every head weighs its channels by how they correlate over the whole picture."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = _point(channels, 3 * channels)
        self.qkv_dwconv = _each(3 * channels)
        self.project_out = _point(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        query, key, value = (
            part.unflatten(1, (self.heads, -1)).flatten(3)
            for part in self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        )
        query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        attention = (query @ key.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        return cast("Tensor", self.project_out((attention @ value).reshape(x.shape)))


class GatedFeedForward(nn.Module):
    """GDFN: one half of the widened channels, through a GELU, gates the other."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = _point(channels, 2 * hidden)
        self.dwconv = _each(2 * hidden)
        self.project_out = _point(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        gate, passed = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return cast("Tensor", self.project_out(functional.gelu(gate) * passed))


class Block(nn.Module):
    """Attention, then the feed-forward part, each on normalised input and added to it."""

    def __init__(self, channels: int, heads: int, expansion: float, *, bias_free: bool) -> None:
        super().__init__()
        self.norm1 = Norm(channels, bias=not bias_free)
        self.attn = ChannelAttention(channels, heads)
        self.norm2 = Norm(channels, bias=not bias_free)
        self.ffn = GatedFeedForward(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        x = x + self.attn(self.norm1(x))
        return cast("Tensor", x + self.ffn(self.norm2(x)))


class PatchEmbedding(nn.Module):
    """The first convolution, under the checkpoints' name `proj`."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.proj = _around(inputs, channels)

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x channels x H x W."""
        return cast("Tensor", self.proj(x))


class Resize(nn.Module):
    """To half the size and twice the channels, or back; under the checkpoints' name `body`."""

    def __init__(self, channels: int, *, up: bool) -> None:
        super().__init__()
        outputs = 2 * channels if up else channels // 2
        shuffle = nn.PixelShuffle(2) if up else nn.PixelUnshuffle(2)
        self.body = nn.Sequential(_around(channels, outputs), shuffle)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x 2C x H/2 x W/2, or to N x C/2 x 2H x 2W."""
        return cast("Tensor", self.body(x))


@dataclass(frozen=True)
class Shape:
    """What tells the published variants apart; the defaults are those of motion deblurring."""

    inputs: int = 3
    """Channels of the input: 3, 1 for grey denoising, 6 for dual-pixel pairs."""
    outputs: int = 3
    """Channels of the output."""
    width: int = 48
    """Channels of the first level."""
    blocks: Sequence[int] = (4, 6, 6, 8)
    """Blocks of each level."""
    refinement: int = 4
    """Blocks at full size behind the decoder."""
    heads: Sequence[int] = (1, 2, 4, 8)
    """Heads of each level."""
    expansion: float = 2.66
    """Width of the feed-forward part."""
    bias_free: bool = False
    """Normalisation without bias: the denoising checkpoints."""

    @property
    def dual_pixel(self) -> bool:
        """Two views in, one picture out: nothing to add the result to."""
        return self.inputs == 6


class Restormer(nn.Module):
    """Restores pictures whose sides are multiples of 8."""

    levels = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")
    """Modules whose outputs a student can be taught."""

    def __init__(self, shape: Shape = Shape()) -> None:
        super().__init__()
        self.shape = shape
        widths = [shape.width * 2**level for level in range(4)]
        one, two, three, four = widths
        self.widths = dict(zip(self.levels, widths, strict=True))
        self.patch_embed = PatchEmbedding(shape.inputs, one)
        self.encoder_level1 = self._stage(one, 0)
        self.down1_2 = Resize(one, up=False)
        self.encoder_level2 = self._stage(two, 1)
        self.down2_3 = Resize(two, up=False)
        self.encoder_level3 = self._stage(three, 2)
        self.down3_4 = Resize(three, up=False)
        self.latent = self._stage(four, 3)
        self.up4_3 = Resize(four, up=True)
        self.reduce_chan_level3 = _point(four, three)
        self.decoder_level3 = self._stage(three, 2)
        self.up3_2 = Resize(three, up=True)
        self.reduce_chan_level2 = _point(three, two)
        self.decoder_level2 = self._stage(two, 1)
        self.up2_1 = Resize(two, up=True)
        self.decoder_level1 = self._stage(two, 0)
        self.refinement = self._stage(two, 0, shape.refinement)
        if shape.dual_pixel:
            self.skip_conv = _point(one, two)
        self.output = _around(two, shape.outputs)

    def _stage(self, channels: int, level: int, count: int | None = None) -> nn.Sequential:
        shape = self.shape
        blocks = [
            Block(channels, shape.heads[level], shape.expansion, bias_free=shape.bias_free)
            for _ in range(shape.blocks[level] if count is None else count)
        ]
        return nn.Sequential(*blocks)

    def forward(self, picture: Tensor) -> Tensor:
        """Float N x inputs x H x W, 0..1, to N x outputs x H x W, not clipped."""
        embedded = self.patch_embed(picture)
        one = self.encoder_level1(embedded)
        two = self.encoder_level2(self.down1_2(one))
        three = self.encoder_level3(self.down2_3(two))
        deep = self.latent(self.down3_4(three))
        deep = self.reduce_chan_level3(torch.cat([self.up4_3(deep), three], 1))
        deep = self.up3_2(self.decoder_level3(deep))
        deep = self.reduce_chan_level2(torch.cat([deep, two], 1))
        deep = self.up2_1(self.decoder_level2(deep))
        deep = self.refinement(self.decoder_level1(torch.cat([deep, one], 1)))
        if self.shape.dual_pixel:
            return cast("Tensor", self.output(deep + self.skip_conv(embedded)))
        return cast("Tensor", self.output(deep) + picture)
