"""A teacher: any restoring network behind one promise, RGB in and RGB of the same size out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAST_SIDE_PX = 16
LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""BT.601, in RGB order."""


@dataclass(frozen=True)
class Fit:
    """How pictures are brought to a network and back."""

    channels: int = 3
    """What it takes: 3 for RGB, 1 for luma, 6 for two views (the same one twice)."""
    multiple: int = 1
    """Its sides are padded to multiples of this."""
    reduce: int = 1
    """Pictures are averaged down by this factor first: an enlarging network then restores them."""
    scale: int = 1
    """How much larger the network's output is than its input."""


class Network(Protocol):
    """What is asked of a network whose inner maps can be taught."""

    levels: tuple[str, ...]
    widths: dict[str, int]


def luma(rgb: Tensor) -> Tensor:
    """BT.601 luma: float N x 3 x H x W to N x 1 x H x W, in the same units."""
    weights = torch.tensor(LUMA_WEIGHTS).to(rgb)
    return (rgb * weights[:, None, None]).sum(dim=1, keepdim=True)


class Teacher:
    """Restores pictures with a frozen network. Not safe to share between threads."""

    def __init__(self, name: str, net: nn.Module, fit: Fit) -> None:
        self.name, self.fit = name, fit
        self.net = net.eval().requires_grad_(requires_grad=False)

    @property
    def parameters(self) -> int:
        """How many weights the network has."""
        return sum(weight.numel() for weight in self.net.parameters())

    @property
    def widths(self) -> dict[str, int]:
        """Channels of each named level, from full size down; empty where there is none."""
        return dict(cast("Network", self.net).widths) if hasattr(self.net, "widths") else {}

    def to(self, device: str) -> Teacher:
        """Moves the network; returns the teacher itself."""
        self.net.to(device)
        return self

    @torch.no_grad()
    def restore(self, rgb: Tensor) -> Tensor:
        """Float N x 3 x H x W, 0..1, to the same shape and range, without a gradient.

        Any size from 16 px a side up; raises ValueError for another shape. The network sees the
        whole picture at once.
        """
        height, width = _sides(rgb)
        padded = _padded(rgb, self.fit.multiple * self.fit.reduce)
        restored = self._enlarged(padded)
        return restored[..., :height, :width].clamp(0, 1)

    @torch.no_grad()
    def features(self, rgb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What `restore` returns, and the output of each level of `widths` on the way to it.

        The maps belong to the padded picture: float N x channels x h x w, as the network has them.
        """
        with _watched(self.net, tuple(self.widths)) as seen:
            restored = self.restore(rgb)
        return restored, seen

    def _enlarged(self, padded: Tensor) -> Tensor:
        """Through the network, at the size of `padded`; luma networks leave the chroma alone."""
        small = functional.avg_pool2d(padded, self.fit.reduce)
        if self.fit.channels == 1:
            restored = _resized(self.net(luma(small)), padded)
            return padded + (restored - luma(padded))
        fed = small if self.fit.channels == 3 else torch.cat([small, small], 1)
        return _resized(self.net(fed), padded)


def _sides(rgb: Tensor) -> tuple[int, int]:
    if rgb.ndim != 4 or rgb.shape[1] != 3 or min(rgb.shape[2:]) < LEAST_SIDE_PX:
        raise ValueError(
            f"pictures must be N x 3 x H x W with sides of at least {LEAST_SIDE_PX} px, "
            f"got '{tuple(rgb.shape)}'"
        )
    return rgb.shape[2], rgb.shape[3]


def _padded(rgb: Tensor, multiple: int) -> Tensor:
    """Mirrored at the right and the bottom, or repeated where a mirror would not reach."""
    down, right = (-side % multiple for side in rgb.shape[2:])
    reaches = down < rgb.shape[2] and right < rgb.shape[3]
    return functional.pad(rgb, (0, right, 0, down), mode="reflect" if reaches else "replicate")


def _resized(output: Tensor, like: Tensor) -> Tensor:
    """To the size of `like`: averaged where the network made it larger."""
    if output.shape[2:] == like.shape[2:]:
        return output
    if output.shape[2] > like.shape[2]:
        return functional.interpolate(output, size=like.shape[2:], mode="area")
    return functional.interpolate(output, size=like.shape[2:], mode="bicubic")


@contextmanager
def _watched(net: nn.Module, levels: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """Collects the outputs of the named modules while they run."""
    seen = dict[str, Tensor]()

    def watch(level: str) -> torch.utils.hooks.RemovableHandle:
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            seen[level] = output

        return net.get_submodule(level).register_forward_hook(keep)

    handles = [watch(level) for level in levels]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
