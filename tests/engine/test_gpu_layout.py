"""The tables against cutting, unshuffling and stitching by hand."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from vcsharp.engine import tiling
from vcsharp.engine.gpu import layout
from vcsharp.engine.gpu.layout import gather_index, is_whole, stitch_index

STRIDES = st.sampled_from([1, 2, 4])


@st.composite
def plans(draw) -> tuple[tiling.Plan, int]:
    stride = draw(STRIDES)
    halo = stride * draw(st.integers(0, 4))
    limit = 2 * halo + stride * draw(st.integers(2, 12))
    width, height = draw(st.integers(1, 150)), draw(st.integers(1, 90))
    return tiling.plan(width, height, limit, halo, stride), stride


@given(plans(), st.integers(1, 3))
def test_a_gathered_batch_is_cut_and_unshuffled(planned, planes: int) -> None:
    plan, stride = planned
    rng = np.random.default_rng(plan.width)
    flat = rng.integers(0, 256, (planes, plan.height, plan.width)).astype(np.uint8)
    batch = flat.reshape(-1)[gather_index(plan, planes, stride)]
    tiles = [
        flat[
            plane,
            tile.rows.start : tile.rows.start + plan.tile_height,
            tile.columns.start : tile.columns.start + plan.tile_width,
        ]
        for plane in range(planes)
        for tile in plan.tiles
    ]
    expected = functional.pixel_unshuffle(torch.from_numpy(np.stack(tiles))[:, None], stride)
    assert np.array_equal(batch.transpose(0, 3, 1, 2), expected.numpy())


@given(plans(), st.integers(1, 3))
def test_stitching_what_was_gathered_gives_the_planes_back(planned, planes: int) -> None:
    plan, stride = planned
    there = gather_index(plan, planes, stride).reshape(-1)
    back = stitch_index(plan, planes, stride)
    count = planes * plan.height * plan.width
    assert np.array_equal(there[back.reshape(-1)], np.arange(count))
    assert back.shape == (planes, plan.height, plan.width)


@given(plans())
def test_each_sample_is_taken_from_the_tile_whose_core_it_is(planned) -> None:
    plan, stride = planned
    size = plan.tile_height * plan.tile_width
    owners = stitch_index(plan, 1, stride)[0] // size
    for number, tile in enumerate(plan.tiles):
        assert (owners[tile.rows.core, tile.columns.core] == number).all()


@given(plans())
def test_only_a_plan_with_all_its_tiles_is_whole(planned) -> None:
    from dataclasses import replace

    plan, _ = planned
    assert is_whole(plan)
    for number in range(len(plan.tiles)):
        rest = plan.tiles[:number] + plan.tiles[number + 1 :]
        assert not is_whole(replace(plan, tiles=rest))


@settings(max_examples=30)
@given(STRIDES, st.integers(1, 5), st.integers(1, 5))
def test_shuffling_undoes_unshuffling(stride: int, rows: int, columns: int) -> None:
    shape = (2, rows * stride, columns * stride)
    tiles = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    assert np.array_equal(layout.shuffled(layout.unshuffled(tiles, stride), stride), tiles)
