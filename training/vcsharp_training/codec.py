"""Real low-delay encodes and decodes of short clips, as a video call makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, cast

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vcsharp_training.images import Picture, Plane, to_bytes

FPS = 30
REFERENCE_PX = 640 * 360
"""Bit rates are stated for this many pixels and scaled with the area."""


@dataclass(frozen=True)
class Codec:
    """An encoder of FFmpeg's, its decoder, and what it takes to be used as in a call."""

    encoder: str
    decoder: str
    options: Callable[[float], dict[str, str]]
    """Settings for a rate in kb/s."""


def x264_options(kbps: float) -> dict[str, str]:
    """Settings of a video call: no look-ahead, no B frames, a buffer of a quarter second.

    One thread, because zero-latency slices depend on the number of threads and the result has to
    repeat.
    """
    return {
        "preset": "veryfast",
        "tune": "zerolatency",
        "threads": "1",
        "x264-params": f"vbv-maxrate={kbps:.0f}:vbv-bufsize={max(kbps / 4, 1):.0f}:keyint=infinite",
    }


def vp8_options(kbps: float) -> dict[str, str]:
    """Settings of a video call: real time, no look-ahead, constant rate, a quarter second's buffer.

    A negative `cpu-used` fixes the encoder's speed; with a positive one it goes by the clock, and
    no two runs are the same.
    """
    rate, buffer = f"{kbps * 1000:.0f}", f"{max(kbps * 1000 / 4, 1000):.0f}"
    return {
        "deadline": "realtime",
        "cpu-used": "-6",
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "threads": "1",
        "g": "100000",
        "qmax": "63",
        "minrate": rate,
        "maxrate": rate,
        "bufsize": buffer,
    }


X264 = Codec("libx264", "h264", x264_options)
VP8 = Codec("libvpx", "vp8", vp8_options)

# BT.601, limited range. Rows: Y, Cb, Cr of R, G, B in 0..255.
_TO_YUV = np.array(
    [
        [0.299 * 219, 0.587 * 219, 0.114 * 219],
        [-0.168736 * 224, -0.331264 * 224, 0.5 * 224],
        [0.5 * 224, -0.418688 * 224, -0.081312 * 224],
    ]
) / np.float64(255)
_TO_RGB = np.linalg.inv(_TO_YUV)
_ZERO = np.array([16.0, 128.0, 128.0])


def _affine(picture: NDArray[Any], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Every pixel times a 3 x 4 matrix."""
    return np.asarray(cv2.transform(picture.astype(np.float32), matrix), np.float32)


def to_420(rgb: Picture) -> tuple[Plane, Plane, Plane]:
    """Limited-range BT.601 planes of an RGB picture of even sides; chroma is the mean of four."""
    yuv = _affine(rgb, np.column_stack([_TO_YUV, _ZERO]))
    half = (rgb.shape[1] // 2, rgb.shape[0] // 2)
    chroma: NDArray[Any] = cv2.resize(yuv[..., 1:], half, interpolation=cv2.INTER_AREA)
    return to_bytes(yuv[..., 0]), to_bytes(chroma[..., 0]), to_bytes(chroma[..., 1])


def from_420(y: Plane, cb: Plane, cr: Plane) -> Picture:
    """RGB, uint8 H x W x 3, of such planes; chroma is interpolated bilinearly."""
    size = y.shape[::-1]
    chroma = [
        cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        for plane in (cb, cr)
    ]
    yuv = np.dstack([y.astype(np.float32), *chroma])
    return to_bytes(_affine(yuv, np.column_stack([_TO_RGB, -_TO_RGB @ _ZERO])))


def _context(name: str, mode: Literal["r", "w"]) -> av.VideoCodecContext:
    return cast("av.VideoCodecContext", av.VideoCodecContext.create(name, mode))


def _encoder(codec: Codec, height: int, width: int, kbps: float) -> av.VideoCodecContext:
    encoder = _context(codec.encoder, "w")
    encoder.height, encoder.width = height, width
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, FPS)
    encoder.framerate = Fraction(FPS)
    encoder.bit_rate = round(kbps * 1000)
    encoder.options = codec.options(kbps)
    return encoder


def _even(picture: Picture) -> Picture:
    """Repeats the last row and column of odd sides."""
    height, width = picture.shape[:2]
    if height % 2 == width % 2 == 0:
        return picture
    return np.asarray(
        cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8
    )


def _wrap(picture: Picture, index: int) -> VideoFrame:
    """A frame of 4:2:0 bytes; a luma plane gets grey chroma."""
    height, width = picture.shape[:2]
    if picture.ndim == 2:
        luma, chroma = picture, np.full((height // 2, width), 128, np.uint8)
    else:
        luma, *small = to_420(picture)
        chroma = np.concatenate([plane.reshape(-1) for plane in small]).reshape(-1, width)
    frame = VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")
    frame.pts = index
    return frame


def _unwrap(frame: VideoFrame, like: Picture) -> Picture:
    """The picture in a frame, of the kind and size of `like`."""
    data = np.asarray(frame.to_ndarray(), np.uint8)
    height, width = frame.height, frame.width
    if like.ndim == 2:
        picture = data[:height]
    else:
        cb, cr = data[height:].reshape(2, height // 2, width // 2)
        picture = from_420(data[:height], cb, cr)
    return np.ascontiguousarray(picture[: like.shape[0], : like.shape[1]])


def last_frames(
    clip: Sequence[Picture], kbps_at_reference: float, codec: Codec, *, keep: int = 1
) -> list[Picture]:
    """Encodes `clip` at a rate scaled to its area, decodes it, and returns the last `keep` frames.

    Args:
        clip: pictures of one size, uint8, H x W luma (coded with grey chroma) or H x W x 3 RGB
            (coded in 4:2:0); in display order at 30 frames a second.
        kbps_at_reference: the rate that a 640 x 360 picture would get.
        codec: which one.
        keep: how many; a shorter clip gives all it has.
    """
    pictures = [_even(picture) for picture in clip]
    height, width = pictures[0].shape[:2]
    encoder = _encoder(codec, height, width, kbps_at_reference * height * width / REFERENCE_PX)
    decoder = _context(codec.decoder, "r")
    decoder.thread_count = 1
    packets = [
        packet
        for index, picture in enumerate(pictures)
        for packet in encoder.encode(_wrap(picture, index))
    ]
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    return [_unwrap(frame, clip[0]) for frame in frames[-keep:]]


def x264_frames(clip: Sequence[Picture], kbps_at_reference: float) -> list[Picture]:
    """Every frame of `clip` after H.264; see `last_frames`."""
    return last_frames(clip, kbps_at_reference, X264, keep=len(clip))
