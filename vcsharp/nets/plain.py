"""A plain student: 3x3 convolutions and ReLUs on unshuffled luma, added as a residual.

The shape follows the sub-pixel networks of Shi et al. 2016 (ESPCN, arXiv 1609.05158) run at the
output's own size, with the space-to-depth stem that the fastest real-time entries of NTIRE 2023
share (Conde et al. 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

MID_GREY = 128 / 255
"""Taken off the input: the network sees values around zero, and zero padding is mid-grey."""


class PlainStudent(nn.Module):
    """Sharpens one luma plane.

    Args:
        channels: widths from the stem to the head; the first and the last must be `stride` squared.
        stride: unshuffle factor; height and width of the input must be multiples of it.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 32, 16), stride: int = 4) -> None:
        super().__init__()
        if channels[0] != stride**2 or channels[-1] != stride**2:
            raise ValueError(
                f"channels must begin and end with stride squared ({stride**2}), "
                f"got '{tuple(channels)}'"
            )
        self.stride = stride
        self.channels = tuple(channels)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels))

    def residual(self, luma: Tensor) -> Tensor:
        """What to add to `luma` (float, N x 1 x H x W, 0..1); same shape, in the same units."""
        x = functional.pixel_unshuffle(luma - MID_GREY, self.stride)
        return functional.pixel_shuffle(self.trunk(x), self.stride)

    def trunk(self, x: Tensor) -> Tensor:
        """The convolutions alone: N x `stride` squared x h x w, unshuffled and less `MID_GREY`, to
        the unshuffled residual.
        """
        for conv in self.convs[:-1]:
            x = functional.relu(conv(x))
        result: Tensor = self.convs[-1](x)
        return result

    def forward(self, luma: Tensor, strength: Tensor | float = 1.0) -> Tensor:
        """`luma` + `strength` x residual, clipped to 0..1; shapes as in `residual`."""
        return torch.clamp(luma + strength * self.residual(luma), 0.0, 1.0)


def mac_per_px(channels: Sequence[int], stride: int) -> int:
    """Multiply-accumulates per output pixel of a `PlainStudent`."""
    return sum(9 * a * b for a, b in pairwise(channels)) // stride**2


def halo_px(channels: Sequence[int], stride: int) -> int:
    """Pixels that a tile needs around it so that its inner part equals the whole frame's result."""
    return (len(channels) - 1) * stride


def receptive_field_px(channels: Sequence[int], stride: int) -> int:
    """Width in pixels of the square that one output pixel depends on, at most."""
    return (2 * (len(channels) - 1) + 1) * stride
