"""Work that need not be done again: tiles whose input has not changed keep their last output.

With threshold 0, kept means that every byte the network would see, the halo included, is what it
was. The student has no memory, so the kept bytes are the ones that it would compute again.

With a threshold of t levels, no sample that the network would see differs by more than t from the
one that the kept output was computed from: from that one, not from the last frame, so that slow
changes cannot add up. A kept tile is computed again after `REFRESH_FRAMES` at the latest. How far
the kept output may then be from the computed one follows from the weights: docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot

import cv2
import numpy as np

from vcsharp.engine.backend import Backend, store
from vcsharp.engine.tiling import Plan, Tile
from vcsharp.frame import Bytes

REFRESH_FRAMES = 60
"""Longest life of a kept tile where the threshold is above 0."""
STRIP_ROWS = 64
"""Rows compared at once: a moving tile is found out early."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a frame's tiles."""

    computed: int = 0
    """Went through the network."""
    kept: int = 0
    """Unchanged: their last output was taken."""
    passed: int = 0
    """Left as the source delivered them, because there was no time for all."""


@dataclass(slots=True)
class _Memory:
    """Of one tile."""

    input: Bytes
    """(tile height, tile width): what its output came from; a view for threshold 0, else a copy."""
    sharp: bool
    """Whether that output came from the network."""
    age: int
    """Frames since then."""


_Key = tuple[Backend, Plan, float, tuple[int, ...]]
"""What an output depends on beside the plane: the backend, whose weights may be those of another
expert, plan, strength, and the output's shape."""


class TileMemory:
    """The last frame's tiles. For one thread at a time.

    Args:
        threshold: largest difference of a sample, in levels, that is not yet a change; 0..255.
    """

    def __init__(self, threshold: int = 0) -> None:
        self._threshold = threshold
        self._key: _Key | None = None
        self._tiles: list[_Memory | None] = []
        self._last: Bytes | None = None

    def sharpen(
        self,
        backend: Backend,
        plane: Bytes,
        plan: Plan,
        strength: float,
        out: Bytes,
        share: float = 1.0,
    ) -> Tally:
        """As `Backend.sharpen`, with less work where little has changed.

        Neither `plane` nor `out` may be written to afterwards: both are remembered.

        Args:
            backend: sees those tiles only that have to be computed.
            plane: see `Backend.sharpen`; so are the others.
            plan: see there.
            strength: see there.
            out: see there.
            share: of the plan's tiles that may be computed at most, 0..1, at least one tile.
                Changed tiles come first, those nearest to the centre before the others; what
                is left over passes unsharpened.

        Raises:
            BackendError: as `Backend.sharpen`.
        """
        key = backend, plan, strength, out.shape
        last = self._recall(key)
        self._key = None  # in case the backend fails
        stale = [index for index in range(len(plan.tiles)) if self._stale(plane, plan, index)]
        waiting = [index for index, tile in enumerate(self._tiles) if tile and not tile.sharp]
        chosen = _chosen(plan, stale, waiting, share)
        if chosen:
            subset = replace(plan, tiles=tuple(plan.tiles[index] for index in chosen))
            backend.sharpen(plane, subset, strength, out)
        tally = self._fill(plane, plan, set(chosen), set(stale), last, out)
        self._key, self._last = key, out
        return tally

    def _recall(self, key: _Key) -> Bytes | None:
        """The last output, or None where it says nothing about this one."""
        if self._key == key:
            return self._last
        self._tiles = [None] * len(key[1].tiles)
        return None

    def _stale(self, plane: Bytes, plan: Plan, index: int) -> bool:
        memory = self._tiles[index]
        if memory is None:
            return True
        memory.age += 1
        if self._threshold and memory.age >= REFRESH_FRAMES:
            return True
        return differs(memory.input, _seen(plane, plan, plan.tiles[index]), self._threshold)

    def _fill(
        self,
        plane: Bytes,
        plan: Plan,
        chosen: set[int],
        stale: set[int],
        last: Bytes | None,
        out: Bytes,
    ) -> Tally:
        """Writes the tiles that were not computed, and remembers all of them."""
        kept = 0
        for index, tile in enumerate(plan.tiles):
            memory = self._tiles[index]
            keeps = memory is not None and memory.sharp and index not in stale
            if keeps and last is not None:
                core = last[tile.rows.core, tile.columns.core]
                np.copyto(out[tile.rows.core, tile.columns.core], core)
                kept += 1
            elif index not in chosen:
                core = plane[tile.rows.core, tile.columns.core]
                store(core, tile.rows.core, tile.columns.core, out)
            self._remember(plane, plan, index, sharp=keeps or index in chosen, keeps=keeps)
        return Tally(len(chosen), kept, len(plan.tiles) - len(chosen) - kept)

    def _remember(self, plane: Bytes, plan: Plan, index: int, *, sharp: bool, keeps: bool) -> None:
        memory = self._tiles[index]
        seen = _seen(plane, plan, plan.tiles[index])
        if memory is None:
            # Ages differ, so that not all tiles are computed again in one frame.
            age = index * REFRESH_FRAMES // len(plan.tiles)
            kept_input = seen.copy() if self._threshold else seen
            self._tiles[index] = _Memory(kept_input, sharp, age)
            return
        memory.sharp = sharp
        if not self._threshold:
            memory.input = seen  # the same bytes, or new ones; lets the older frame go
        elif not keeps:
            np.copyto(memory.input, seen)
            memory.age = 0


def differs(a: Bytes, b: Bytes, threshold: int) -> bool:
    """Whether any sample of two planes of one shape differs by more than `threshold` levels."""
    return any(
        cv2.norm(a[top : top + STRIP_ROWS], b[top : top + STRIP_ROWS], cv2.NORM_INF) > threshold
        for top in range(0, a.shape[0], STRIP_ROWS)
    )


def _seen(plane: Bytes, plan: Plan, tile: Tile) -> Bytes:
    """What the network sees of a tile, as a view."""
    top, left = tile.rows.start, tile.columns.start
    return plane[top : top + plan.tile_height, left : left + plan.tile_width]


def _chosen(
    plan: Plan, stale: Sequence[int], waiting: Sequence[int], share: float
) -> Sequence[int]:
    """Tiles to compute, at most `share` of all: changed ones first, from the centre outwards."""
    most = max(1, int(share * len(plan.tiles) + 1e-6))  # a share may be meant as so many tiles
    if share >= 1:
        return sorted({*stale, *waiting})
    rank = {index: place for place, index in enumerate(_from_centre(plan))}
    changed = sorted(stale, key=rank.__getitem__)
    others = sorted(set(waiting).difference(stale), key=rank.__getitem__)
    return sorted([*changed, *others][:most])


def _from_centre(plan: Plan) -> list[int]:
    """Indices of all tiles, nearest to the plane's centre first: faces are in the middle."""

    def distance(index: int) -> float:
        rows, columns = plan.tiles[index].rows, plan.tiles[index].columns
        return hypot(
            (rows.core_start + rows.core_stop) / plan.height - 1,
            (columns.core_start + columns.core_stop) / plan.width - 1,
        )

    return sorted(range(len(plan.tiles)), key=distance)
