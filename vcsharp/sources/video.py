"""From PyAV's pictures to frames: planes are copied as they are, never by way of RGB."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange as AvRange
from av.video.reformatter import Colorspace as AvSpace
from av.video.stream import VideoStream

from vcsharp.frame import (
    Bytes,
    Color,
    ColorMatrix,
    ColorRange,
    Frame,
    chroma_size,
    frame_bytes,
    from_planes,
)

HD_ROWS = 720
"""From this many rows on, a picture that says nothing about its matrix is taken for BT.709."""

DEFAULT_FPS = Fraction(30)
"""For streams that state no rate, or a senseless one."""

_PLANAR_8_BIT = frozenset(
    f"yuv{j}{layout}p" for j in ("", "j") for layout in ("420", "422", "440", "444")
)
_AV_BT709 = 1
_AV_BT2020 = (9, 10)
_AV_UNSPECIFIED = (0, 2, 3)  # 0 is "RGB": it says nothing about luma and chroma
_AV_LIMITED, _AV_FULL = 1, 2
_QUARTER_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


def color_of(picture: VideoFrame) -> Color:
    """What the stream says, or the usual guess: limited range, BT.709 from 720 rows on."""
    name = picture.format.name
    full = picture.color_range == _AV_FULL or name.startswith("yuvj")
    if name.startswith("gray"):
        full = picture.color_range != _AV_LIMITED
    if picture.colorspace in _AV_UNSPECIFIED:
        hd = picture.height >= HD_ROWS
    else:
        hd = picture.colorspace in (_AV_BT709, *_AV_BT2020)
    return Color(
        ColorRange.FULL if full else ColorRange.LIMITED,
        ColorMatrix.BT709 if hd else ColorMatrix.BT601,
    )


def to_frame(
    picture: VideoFrame, *, sequence: int, captured_ns: int, timestamp: Fraction | None = None
) -> Frame:
    """Copies a decoded picture into a frame, turned upright if the file says how.

    Eight-bit planar Y'CbCr is copied plane by plane (4:2:2 and 4:4:4 chroma averaged to 4:2:0, luma
    untouched); other layouts go through swscale, which keeps the range.
    """
    color = color_of(picture)
    y, u, v = _planes(picture, color)
    turn = _QUARTER_TURNS.get(round(picture.rotation) % 360)
    if turn is not None:
        y, u, v = (np.asarray(cv2.rotate(plane, turn), np.uint8) for plane in (y, u, v))
    return from_planes(
        y, u, v, sequence=sequence, captured_ns=captured_ns, color=color, timestamp=timestamp
    )


def from_bgr(bgr: Bytes, *, sequence: int, captured_ns: int) -> Frame:
    """A limited-range BT.601 frame from BGR, uint8, (height, width, 3), any size."""
    height, width = bgr.shape[:2]
    even = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    i420 = np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8).reshape(-1)
    if len(i420) == frame_bytes(width, height):
        return Frame(i420, width, height, sequence, captured_ns)
    whole = Frame(i420, width + width % 2, height + height % 2)
    return from_planes(
        whole.y[:height, :width], whole.u, whole.v, sequence=sequence, captured_ns=captured_ns
    )


def halve_rows(plane: Bytes) -> Bytes:
    """Averages pairs of rows, rounding up: 4:2:2 chroma becomes 4:2:0. A last odd row stays."""
    if plane.shape[0] % 2:
        plane = np.concatenate([plane, plane[-1:]])
    upper, lower = plane[0::2], plane[1::2]
    # The bytes' average without a wider type: an eighth of the time of cv2's INTER_AREA.
    return (upper | lower) - ((upper ^ lower) >> 1)


def _planes(picture: VideoFrame, color: Color) -> tuple[Bytes, Bytes, Bytes]:
    name = picture.format.name
    if name == "gray":
        grey = np.full(chroma_size(picture.width, picture.height)[::-1], 128, np.uint8)
        return _view(picture, 0), grey, grey
    if name not in _PLANAR_8_BIT:
        picture = _to_yuv420p(picture, color)
    width, height = chroma_size(picture.width, picture.height)
    y, u, v = (_view(picture, index) for index in range(3))
    return y, _fit(u, width, height), _fit(v, width, height)


def _to_yuv420p(picture: VideoFrame, color: Color) -> VideoFrame:
    """By swscale, in the range and matrix that the frame will carry."""
    av_range = AvRange.JPEG if color.range is ColorRange.FULL else AvRange.MPEG
    space = AvSpace.ITU709 if color.matrix is ColorMatrix.BT709 else AvSpace.ITU601
    return picture.reformat(
        format="yuv420p",
        src_color_range=AvRange.JPEG if picture.format.is_rgb else av_range,
        dst_color_range=av_range,
        src_colorspace=space,
        dst_colorspace=space,
    )


def _view(picture: VideoFrame, index: int) -> Bytes:
    plane = picture.planes[index]
    samples: Bytes = np.frombuffer(cast("Any", plane), np.uint8, plane.line_size * plane.height)
    return samples.reshape(plane.height, plane.line_size)[:, : plane.width]


def _fit(plane: Bytes, width: int, height: int) -> Bytes:
    if plane.shape == (height, width):
        return plane
    if plane.shape[1] == width:
        return halve_rows(plane)
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def reason(error: av.error.FFmpegError | OSError) -> str:
    """FFmpeg's words for an error, without number, address and file name."""
    return (error.strerror or "unknown error").lower().rstrip(".")


def nominal_rate(stream: VideoStream) -> Fraction:
    """Frames per second as stated or guessed; DEFAULT_FPS where a stream states nonsense."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= 1000:
            return Fraction(rate)
    return DEFAULT_FPS
