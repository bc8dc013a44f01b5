"""Pictures to frames: each layout against the plain sums on its samples."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcsharp.frame import ColorMatrix, ColorRange, Frame
from vcsharp.sources.raw import RawPicture, unpack_nv12, unpack_yu12, unpack_yuyv, unpacker
from vcsharp.sources.video import from_bgr, halve_rows, to_frame

from .clips import picture, planes_of

SIZES = st.tuples(st.integers(2, 70), st.integers(2, 70))


def convert(source: av.VideoFrame) -> Frame:
    return to_frame(source, sequence=3, captured_ns=7)


@given(SIZES)
@settings(deadline=None)
def test_planar_420_is_copied_byte_for_byte_at_any_size(size: tuple[int, int]) -> None:
    planes = planes_of(1, *size)
    frame = convert(picture(planes))
    assert (frame.width, frame.height, frame.sequence, frame.captured_ns) == (*size, 3, 7)
    for got, expected in zip(frame.planes, planes, strict=True):
        np.testing.assert_array_equal(got, expected)


@given(SIZES)
@settings(deadline=None)
def test_422_keeps_luma_and_averages_pairs_of_chroma_rows(size: tuple[int, int]) -> None:
    y, u, v = planes_of(2, *size, "yuv422p")
    frame = convert(picture([y, u, v], "yuv422p"))
    np.testing.assert_array_equal(frame.y, y)
    for got, rows in ((frame.u, u), (frame.v, v)):
        even = np.concatenate([rows, rows[-1:]]) if len(rows) % 2 else rows
        mean = (even[0::2].astype(int) + even[1::2] + 1) // 2
        np.testing.assert_array_equal(got, mean)


def test_444_keeps_luma_and_averages_squares_of_chroma() -> None:
    y, u, v = planes_of(3, 40, 30, "yuv444p")
    frame = convert(picture([y, u, v], "yuv444p"))
    np.testing.assert_array_equal(frame.y, y)
    mean = u.reshape(15, 2, 20, 2).mean(axis=(1, 3))
    assert np.abs(frame.u - mean).max() <= 0.5


def test_10_bit_becomes_its_upper_8_bits() -> None:
    planes = planes_of(4, 64, 48, "yuv420p10le")
    frame = convert(picture(planes, "yuv420p10le"))
    for got, expected in zip(frame.planes, planes, strict=True):
        assert np.abs(got - expected / 4).max() <= 1.5  # swscale dithers


def test_nv12_is_only_sorted_differently() -> None:
    planes = planes_of(5, 64, 48)
    nv12 = picture(planes).reformat(format="nv12")
    for got, expected in zip(convert(nv12).planes, planes, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_rgb_becomes_limited_range_and_grey_stays_grey() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    frame = convert(av.VideoFrame.from_ndarray(np.dstack([ramp] * 3), format="rgb24"))
    assert frame.color.range is ColorRange.LIMITED
    expected = 16 + ramp * (219 / 255)
    assert np.abs(frame.y - expected).max() <= 1
    assert np.abs(frame.u.astype(int) - 128).max() <= 1


def test_gray_is_full_range_without_colour() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    frame = convert(av.VideoFrame.from_ndarray(ramp, format="gray"))
    assert frame.color.range is ColorRange.FULL
    np.testing.assert_array_equal(frame.y, ramp)
    assert set(np.unique(frame.u)) == {128}


@pytest.mark.parametrize(
    ("layout", "height", "space", "av_range", "expected"),
    [
        ("yuv420p", 480, 2, 0, (ColorRange.LIMITED, ColorMatrix.BT601)),
        ("yuv420p", 719, 2, 0, (ColorRange.LIMITED, ColorMatrix.BT601)),
        ("yuv420p", 720, 2, 0, (ColorRange.LIMITED, ColorMatrix.BT709)),
        ("yuv420p", 480, 1, 0, (ColorRange.LIMITED, ColorMatrix.BT709)),
        ("yuv420p", 1080, 6, 0, (ColorRange.LIMITED, ColorMatrix.BT601)),
        ("yuv420p", 480, 2, 2, (ColorRange.FULL, ColorMatrix.BT601)),
        ("yuvj420p", 1080, 5, 0, (ColorRange.FULL, ColorMatrix.BT601)),
    ],
)
def test_colour_is_what_the_stream_says_or_the_usual_guess(
    layout: str, height: int, space: int, av_range: int, expected: tuple[Any, Any]
) -> None:
    source = av.VideoFrame(32, height, layout)
    source.colorspace, source.color_range = space, av_range
    color = convert(source).color
    assert (color.range, color.matrix) == expected


def test_halving_rows_rounds_up_over_all_pairs_of_bytes() -> None:
    a, b = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    rows = np.stack([a.reshape(-1), b.reshape(-1)])
    np.testing.assert_array_equal(halve_rows(rows)[0], (rows[0].astype(int) + rows[1] + 1) // 2)


@given(SIZES)
@settings(deadline=None)
def test_bgr_of_any_size_becomes_limited_range(size: tuple[int, int]) -> None:
    width, height = size
    frame = from_bgr(np.full((height, width, 3), 255, np.uint8), sequence=0, captured_ns=0)
    assert (frame.width, frame.height) == size
    assert np.abs(frame.y.astype(int) - 235).max() <= 1
    assert np.abs(frame.v.astype(int) - 128).max() <= 1


def raw(buffer: Any, width: int = 64, height: int = 48) -> RawPicture:
    return RawPicture(np.asarray(buffer, np.uint8), width, height, 3, 7)


def test_yuyv_is_unpacked_sample_by_sample() -> None:
    y, u, v = planes_of(6, 64, 48, "yuv422p")
    packed = np.empty((48, 64, 2), np.uint8)
    packed[..., 0], packed[:, 0::2, 1], packed[:, 1::2, 1] = y, u, v
    frame = unpack_yuyv(raw(packed))
    assert frame is not None
    expected = convert(picture([y, u, v], "yuv422p"))
    np.testing.assert_array_equal(frame.data, expected.data)
    assert frame.color.range is ColorRange.LIMITED


def test_nv12_and_yu12_buffers_give_the_same_frame() -> None:
    y, u, v = planes_of(7, 64, 48)
    yu12 = np.concatenate([y.reshape(-1), u.reshape(-1), v.reshape(-1)]).reshape(72, 64)
    nv12 = np.concatenate([y.reshape(-1), np.stack([u, v], -1).reshape(-1)]).reshape(72, 64)
    one, other = unpack_yu12(raw(yu12)), unpack_nv12(raw(nv12))
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_array_equal(one.u, u)


@pytest.mark.parametrize("pixel_format", ["YUYV", "YU12", "NV12", "MJPG"])
def test_a_buffer_of_the_wrong_length_is_a_damaged_picture(pixel_format: str) -> None:
    unpack = unpacker(pixel_format)
    assert unpack is not None
    assert unpack(raw(np.zeros((1, 1000)))) is None
    assert unpack(raw(np.zeros((0,)))) is None


@pytest.mark.parametrize("layout", ["yuvj422p", "yuvj420p"])
def test_camera_jpegs_are_full_range_bt601_at_any_height(layout: str) -> None:
    flat = [
        np.full(p.shape, 90 + 40 * i, np.uint8)
        for i, p in enumerate(planes_of(0, 1280, 720, layout))
    ]
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 1280, 720, layout
    encoder.time_base = Fraction(1, 30)
    jpeg = b"".join(bytes(p) for p in [*encoder.encode(picture(flat, layout)), *encoder.encode()])
    unpack = unpacker("MJPG")
    assert unpack is not None
    for _ in range(3):  # one decoder, picture after picture, a damaged one between
        frame = unpack(raw(np.frombuffer(jpeg, np.uint8).reshape(1, -1), 640, 480))
        assert frame is not None
        assert (frame.width, frame.height) == (1280, 720)
        assert frame.color.range is ColorRange.FULL
        assert frame.color.matrix is ColorMatrix.BT601
        assert [round(float(plane.mean())) for plane in frame.planes] == [90, 130, 170]
        assert unpack(raw(np.frombuffer(jpeg[:200], np.uint8))) is None
