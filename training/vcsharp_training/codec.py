"""A real low-delay H.264 encode and decode of a short luma clip, as a video call makes it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame

from vcsharp_training.images import Plane

FPS = 30
REFERENCE_PX = 640 * 360
"""Bit rates are stated for this many pixels and scaled with the area."""


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


def _encoder(height: int, width: int, kbps: float) -> av.VideoCodecContext:
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.height, encoder.width = height, width
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, FPS)
    encoder.framerate = Fraction(FPS)
    encoder.bit_rate = round(kbps * 1000)
    encoder.options = x264_options(kbps)
    return encoder


def _wrap(luma: Plane, index: int) -> VideoFrame:
    height, width = luma.shape
    grey = np.full((height // 2, width), 128, np.uint8)
    frame = VideoFrame.from_ndarray(np.concatenate([luma, grey]), format="yuv420p")
    frame.pts = index
    return frame


def x264_last_frame(clip: Sequence[Plane], kbps_at_reference: float) -> Plane:
    """The last frame of `x264_frames`."""
    return x264_frames(clip, kbps_at_reference)[-1]


def x264_frames(clip: Sequence[Plane], kbps_at_reference: float) -> list[Plane]:
    """Encodes `clip` at a rate scaled to its area, decodes it, and returns every frame.

    Args:
        clip: planes of one size, uint8 H x W, both even; in display order at 30 frames a second.
        kbps_at_reference: the rate that a 640 x 360 picture would get.
    """
    height, width = clip[0].shape
    encoder = _encoder(height, width, kbps_at_reference * height * width / REFERENCE_PX)
    decoder = av.VideoCodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [
        packet for index, luma in enumerate(clip) for packet in encoder.encode(_wrap(luma, index))
    ]
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    return [
        np.ascontiguousarray(frame.to_ndarray()[:height, :width], np.uint8) for frame in frames
    ]
