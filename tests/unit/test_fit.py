"""Sizes and colours: shapes are kept, greys stay grey, fast ways equal slow ones."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcsharp.fit import fit, letterbox, recolored, rgb_to_ycc
from vcsharp.frame import (
    Color,
    ColorMatrix,
    ColorRange,
    Frame,
    black,
    chroma_size,
    frame_bytes,
    from_planes,
)

COLORS = [Color(r, m) for r in ColorRange for m in ColorMatrix]


def noise(width: int, height: int, seed: int = 0, color: Color | None = None) -> Frame:
    data = np.random.default_rng(seed).integers(0, 256, frame_bytes(width, height)).astype(np.uint8)
    return Frame(data, width, height, color=color or Color())


def test_a_frame_that_fits_is_handed_on_untouched():
    frame = noise(64, 48)
    assert fit(frame, 64, 48, frame.color) is frame


@given(st.integers(16, 700), st.integers(16, 700), st.integers(8, 400), st.integers(8, 400))
def test_a_letterboxed_picture_keeps_its_shape_inside_the_frame(width, height, half_w, half_h):
    into_width, into_height = 2 * half_w, 2 * half_h
    left, top, w, h = letterbox(width, height, into_width, into_height)
    assert left % 2 == top % 2 == 0
    assert 0 <= left <= left + w <= into_width
    assert 0 <= top <= top + h <= into_height
    scale = min(into_width / width, into_height / height)
    assert abs(w - width * scale) <= 2
    assert abs(h - height * scale) <= 2


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90))
def test_any_size_fits_into_any_even_size(width, height):
    result = fit(noise(width, height), 64, 48, Color())
    assert (result.width, result.height) == (64, 48)


def test_bars_beside_a_letterboxed_picture_are_black():
    white = black(48, 48)
    white.y[:] = 235
    result = fit(white, 128, 48, Color())
    assert (result.y[:, :40] == 16).all()
    assert (result.y[:, 44:84] == 235).all()
    assert (result.u == 128).all()


def test_an_odd_size_made_even_keeps_every_pixel():
    frame = noise(33, 21)
    result = fit(frame, 34, 22, Color())
    assert (result.y[:21, :33] == frame.y).all()
    assert (result.y[:, 33] == result.y[:, 32]).all()
    assert (result.u == frame.u).all()


def test_facts_survive_fitting():
    frame = noise(32, 32).replaced(sequence=9, captured_ns=5, timestamp=Fraction(1, 3), notice="x")
    result = fit(frame, 64, 48, Color())
    assert (result.sequence, result.captured_ns, result.notice) == (9, 5, "x")
    assert result.timestamp == Fraction(1, 3)


def slow_conversion(frame: Frame, to: Color) -> np.ndarray:
    """(Y, Cb, Cr) of a frame of even flat 2 x 2 blocks, through RGB in floating point."""

    def scales(color: Color) -> tuple[float, float, float]:
        return (0, 255, 255) if color.range is ColorRange.FULL else (16, 219, 224)

    offset, luma, chroma = scales(frame.color)
    ycc = np.stack(
        [
            (frame.y[::2, ::2].astype(float) - offset) / luma,
            (frame.u.astype(float) - 128) / chroma,
            (frame.v.astype(float) - 128) / chroma,
        ]
    )
    rgb = np.tensordot(np.linalg.inv(rgb_to_ycc(frame.color.matrix)), ycc, 1)
    out = np.tensordot(rgb_to_ycc(to.matrix), rgb, 1)
    offset, luma, chroma = scales(to)
    out = np.stack([out[0] * luma + offset, out[1] * chroma + 128, out[2] * chroma + 128])
    return np.asarray(np.clip(np.rint(out), 0, 255))


@pytest.mark.parametrize("old", COLORS)
@pytest.mark.parametrize("new", COLORS)
def test_colour_conversion_equals_the_slow_way_through_rgb(old, new):
    # One flat patch for each colour, so that chroma interpolation plays no part.
    for levels in np.random.default_rng(1).integers(40, 200, (60, 3)).astype(np.uint8):
        planes = [np.full((4, 4), levels[0], np.uint8)]
        planes += [np.full((2, 2), level, np.uint8) for level in levels[1:]]
        frame = from_planes(*planes, color=old)
        result = recolored(frame, new)
        expected = slow_conversion(frame, new)
        got = np.stack([result.y[::2, ::2], result.u, result.v]).astype(float)
        assert np.abs(got - expected).max() <= 1
        assert result.color == new


@pytest.mark.parametrize("new", COLORS)
def test_a_grey_ramp_stays_grey(new):
    frame = black(256, 16)
    frame.y[:] = np.clip(np.arange(256), 16, 235)
    result = recolored(frame, new)
    assert (result.u == 128).all()
    assert (result.v == 128).all()
    assert (np.diff(result.y[0].astype(int)) >= 0).all()


@pytest.mark.parametrize("color", COLORS)
def test_conversion_there_and_back_is_within_a_step(color):
    patch = [np.full((8, 8), 120, np.uint8), *2 * [np.full((4, 4), 140, np.uint8)]]
    frame = from_planes(*patch)
    back = recolored(recolored(frame, color), frame.color)
    assert np.abs(back.data.astype(int) - frame.data.astype(int)).max() <= 1


def test_a_frame_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="needs 6 bytes"):
        Frame(np.zeros(7, np.uint8), 2, 2)


@given(st.integers(1, 40), st.integers(1, 40))
def test_planes_lie_one_after_the_other(width, height):
    frame = noise(width, height)
    assert b"".join(plane.tobytes() for plane in frame.planes) == frame.data.tobytes()
    assert frame.u.shape[::-1] == chroma_size(width, height)
