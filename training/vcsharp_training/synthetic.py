"""Drawn planes that must come through unchanged: greys, ramps, bars and lines.

A network that only ever saw photographs may lift or lower flat areas by a level; nobody notices in
a photograph, but a grey wall then changes its brightness with the strength. These planes pin that
down.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vcsharp_training.images import Picture, Plane, to_bytes


def flat(size_px: int, rng: np.random.Generator) -> Plane:
    """One grey level."""
    return np.full((size_px, size_px), rng.integers(256), np.uint8)


def ramp(size_px: int, rng: np.random.Generator) -> Plane:
    """A linear ramp between two levels in any direction."""
    low, high = rng.uniform(0, 255, 2)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px
    position = x * np.cos(angle) + y * np.sin(angle)
    position = (position - position.min()) / np.ptp(position)
    return to_bytes(low + (high - low) * position)


def bars(size_px: int, rng: np.random.Generator) -> Plane:
    """Upright or lying bars of random widths and levels: the luma of colour bars."""
    edges = np.sort(rng.integers(0, size_px, int(rng.integers(1, 12))))
    levels = rng.integers(0, 256, edges.size + 1).astype(np.uint8)
    line = levels[np.searchsorted(edges, np.arange(size_px), side="right")]
    plane = np.broadcast_to(line, (size_px, size_px))
    return np.ascontiguousarray(plane.T if rng.random() < 0.5 else plane)


def lines(size_px: int, rng: np.random.Generator) -> Plane:
    """A grid of thin lines: tables and window frames."""
    back, fore = rng.integers(0, 256, 2).astype(np.uint8)
    plane = np.full((size_px, size_px), back, np.uint8)
    pitch, width = int(rng.integers(6, 40)), int(rng.integers(1, 4))
    for offset in range(width):
        plane[offset::pitch] = fore
        plane[:, offset::pitch] = fore
    return plane


KINDS: tuple[Callable[[int, np.random.Generator], Plane], ...] = (flat, flat, ramp, bars, lines)
"""Flat twice: it is the commonest area of a real call."""


def draw(size_px: int, rng: np.random.Generator) -> Plane:
    """A random pattern, uint8 size x size."""
    return KINDS[int(rng.integers(len(KINDS)))](size_px, rng)


def draw_colour(size_px: int, rng: np.random.Generator) -> Picture:
    """A random pattern between two random colours, RGB, uint8 size x size x 3."""
    share = draw(size_px, rng)[..., None].astype(np.float32) / 255
    low, high = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    return to_bytes(low + (high - low) * share)
