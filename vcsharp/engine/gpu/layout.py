"""Where each sample of a batch of tiles lies in its plane, and where each sample of a plane lies in
the batch. Pure arithmetic on the host; a device then gathers and stitches by these tables.

A batch is N x h x w x `stride` squared bytes: unshuffled and channels-last, as the convolutions
want it. So the tables do the work of three copies at once: cutting, unshuffling, transposing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcsharp.engine.tiling import Plan, Span

Index = NDArray[np.int32]


def is_whole(plan: Plan) -> bool:
    """Whether the plan's tiles cover its plane; a part of a plan keeps the plan's size."""
    covered = sum(
        (tile.rows.core_stop - tile.rows.core_start)
        * (tile.columns.core_stop - tile.columns.core_start)
        for tile in plan.tiles
    )
    return covered == plan.height * plan.width


def gather_index(plan: Plan, planes: int, stride: int) -> Index:
    """(planes x tiles, h, w, stride squared): places in `planes` planes, one after the other."""
    rows = _lines([tile.rows for tile in plan.tiles], plan.tile_height)
    columns = _lines([tile.columns for tile in plan.tiles], plan.tile_width)
    places = unshuffled(rows[:, :, None] * np.int32(plan.width) + columns[:, None, :], stride)
    firsts = np.arange(planes, dtype=np.int32) * np.int32(plan.height * plan.width)
    found: Index = (firsts[:, None, None, None, None] + places).reshape(-1, *places.shape[1:])
    return found


def _lines(spans: Sequence[Span], length: int) -> Index:
    """(tiles, length): the pixels that each tile sees along one axis."""
    starts = np.array([span.start for span in spans], np.int32)
    lines: Index = np.add.outer(starts, np.arange(length, dtype=np.int32))
    return lines


def stitch_index(plan: Plan, planes: int, stride: int) -> Index:
    """(planes, height, width): places in the batch that `gather_index` describes.

    The plan must be whole. Where tiles overlap, the one whose core it is counts.
    """
    tile_shape = plan.tile_height, plan.tile_width
    tile_size = plan.tile_height * plan.tile_width
    inside = shuffled(
        np.arange(tile_size, dtype=np.int32).reshape(
            1, tile_shape[0] // stride, tile_shape[1] // stride, stride**2
        ),
        stride,
    )[0]
    places = np.empty((plan.height, plan.width), np.int32)
    for number, tile in enumerate(plan.tiles):
        core = inside[tile.rows.inner, tile.columns.inner]
        places[tile.rows.core, tile.columns.core] = core + np.int32(number * tile_size)
    firsts = np.arange(planes, dtype=np.int32) * np.int32(len(plan.tiles) * tile_size)
    found: Index = firsts[:, None, None] + places
    return found


def unshuffled(tiles: Index, stride: int) -> Index:
    """(N, h, w, stride squared) from (N, H, W)."""
    count, height, width = tiles.shape
    blocks = tiles.reshape(count, height // stride, stride, width // stride, stride)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(
        count, height // stride, width // stride, stride**2
    )


def shuffled(batch: Index, stride: int) -> Index:
    """The other way."""
    count, height, width, _ = batch.shape
    blocks = batch.reshape(count, height, width, stride, stride)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(count, height * stride, width * stride)
