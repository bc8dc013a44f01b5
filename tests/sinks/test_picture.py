from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcsharp.frame import Color, ColorMatrix, ColorRange, Frame, black, frame_bytes
from vcsharp.sinks.picture import bgr, jpeg, png

COLORS = [Color(r, m) for r in ColorRange for m in ColorMatrix]


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def slow_bgr(frame: Frame) -> np.ndarray:
    """ITU-R BT.601 and BT.709, straight from their equations, one pixel after the other."""
    is_709 = frame.color.matrix is ColorMatrix.BT709
    k_red, k_blue = (0.2126, 0.0722) if is_709 else (0.299, 0.114)
    full = frame.color.range is ColorRange.FULL
    pixels = np.empty((frame.height, frame.width, 3), np.uint8)
    for row, column in np.ndindex(frame.height, frame.width):
        y = float(frame.y[row, column])
        cb = float(frame.u[row // 2, column // 2]) - 128
        cr = float(frame.v[row // 2, column // 2]) - 128
        y, cb, cr = (y / 255, cb / 255, cr / 255) if full else ((y - 16) / 219, cb / 224, cr / 224)
        red = y + 2 * (1 - k_red) * cr
        blue = y + 2 * (1 - k_blue) * cb
        green = (y - k_red * red - k_blue * blue) / (1 - k_red - k_blue)
        pixels[row, column] = [
            round(255 * min(1.0, max(0.0, value))) for value in (blue, green, red)
        ]
    return pixels


@settings(deadline=None)
@given(st.sampled_from(COLORS), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_colours_equal_the_equations(color, width, height, seed):
    # Black and above: OpenCV clips what lies below before it adds the colour.
    data = np.random.default_rng(seed).integers(16, 256, frame_bytes(width, height), dtype=np.uint8)
    frame = Frame(data, width, height, color=color)
    difference = np.abs(bgr(frame).astype(int) - slow_bgr(frame))
    assert difference.max() <= 2


@pytest.mark.parametrize("color", COLORS)
def test_black_white_and_grey_have_no_tint(color):
    frame = black(64, 16, color)
    low, high = (0, 255) if color.range is ColorRange.FULL else (16, 235)
    frame.y[:] = np.linspace(low, high, 64).round()
    pixels = bgr(frame).astype(int)
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, -1].tolist() == [255, 255, 255]
    assert (pixels.max(axis=2) - pixels.min(axis=2)).max() <= 1


@pytest.mark.parametrize("color", COLORS)
def test_a_jpeg_shows_the_colours_of_the_frame(color):
    frame = black(64, 64, color)
    for column, (y, u, v) in enumerate([(81, 90, 240), (145, 54, 34), (41, 240, 110)]):
        part = slice(column * 20, column * 20 + 20)
        half = slice(column * 10, column * 10 + 10)
        frame.y[:, part], frame.u[:, half], frame.v[:, half] = y, u, v
    pixels = decoded(jpeg(frame))
    for column in (10, 30, 50):
        difference = pixels[32, column].astype(int) - slow_bgr(frame)[32, column]
        assert np.abs(difference).max() <= 4


def test_a_png_keeps_every_pixel(make_results):
    frame = make_results(1)[0].frame
    assert np.array_equal(decoded(png(frame)), bgr(frame))
