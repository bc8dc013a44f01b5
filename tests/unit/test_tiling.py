"""Geometry of the tiles: each pixel is kept once, and no kept pixel lacks its surroundings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcsharp.engine.tiling import Plan, plan

sizes = st.integers(1, 3000)
halos = st.sampled_from([0, 4, 8, 12, 20, 36])
strides = st.sampled_from([1, 2, 4, 8])
tiles = st.sampled_from([128, 200, 256, 512])


@given(sizes, sizes, tiles, halos, strides)
def test_cores_cover_each_pixel_exactly_once(width, height, tile_px, halo_px, stride):
    layout = plan(width, height, tile_px, halo_px, stride)
    count = np.zeros((layout.height, layout.width), np.uint8)
    for tile in layout.tiles:
        count[tile.rows.core, tile.columns.core] += 1
    assert count.min() == count.max() == 1


def spans_of(layout: Plan):
    for tile in layout.tiles:
        yield tile.rows, layout.tile_height, layout.height
        yield tile.columns, layout.tile_width, layout.width


@given(sizes, sizes, tiles, halos, strides)
def test_every_core_has_its_halo_or_ends_with_the_plane(width, height, tile_px, halo_px, stride):
    for span, length, whole in spans_of(plan(width, height, tile_px, halo_px, stride)):
        assert span.start % stride == 0
        assert span.start >= 0
        assert span.start + length <= whole
        assert span.core_start == 0 or span.core_start - span.start >= halo_px
        assert span.core_stop == whole or span.start + length - span.core_stop >= halo_px


@given(sizes, sizes, tiles, halos, strides)
def test_tiles_share_one_shape_no_larger_than_asked(width, height, tile_px, halo_px, stride):
    layout = plan(width, height, tile_px, halo_px, stride)
    assert max(layout.tile_width, layout.tile_height) <= tile_px
    assert layout.tile_width % stride == layout.tile_height % stride == 0


def test_full_hd_in_512_px_tiles_costs_a_tenth_more_at_most():
    layout = plan(1920, 1080, 512, 12, 4)
    assert len(layout.tiles) == 12
    assert layout.overhead < 1.1


def test_a_tile_without_room_between_its_halos_is_refused():
    with pytest.raises(ValueError, match="got '72'"):
        plan(1920, 1080, 72, 36, 4)
