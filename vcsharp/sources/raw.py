"""Camera buffers as the driver delivers them, unpacked into planes without a detour by RGB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.error import FFmpegError

from vcsharp.frame import Bytes, Frame, chroma_size, frame_bytes, from_planes
from vcsharp.sources.video import from_bgr, halve_rows, to_frame


@dataclass(frozen=True, slots=True)
class RawPicture:
    """What one read of the camera returned."""

    buffer: Bytes
    """Any shape."""
    width: int
    """As the driver granted it; a JPEG's own size counts more."""
    height: int
    sequence: int
    captured_ns: int


Unpack = Callable[[RawPicture], Frame | None]
"""Makes a frame; None for a damaged picture."""


class MjpegDecoder:
    """JPEG pictures, also those without Huffman tables as cameras send them: full range, BT.601."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("mjpeg", "r")
        self._codec.thread_count = 1

    def __call__(self, raw: RawPicture) -> Frame | None:
        """Decodes one picture."""
        if raw.buffer.size == 0:
            return None  # an empty packet would end the decoder's stream
        try:
            pictures = self._codec.decode(av.Packet(raw.buffer.tobytes()))
        except FFmpegError:
            return None
        if not pictures:
            return None
        return to_frame(pictures[-1], sequence=raw.sequence, captured_ns=raw.captured_ns)


def unpack_yuyv(raw: RawPicture) -> Frame | None:
    """Packed 4:2:2, Y0 Cb Y1 Cr; the width is even."""
    width, height = raw.width, raw.height
    if raw.buffer.size != 2 * width * height or width % 2 or not raw.buffer.size:
        return None
    y = cv2.extractChannel(raw.buffer.reshape(height, width, 2), 0)
    pairs = raw.buffer.reshape(height, width // 2, 4)
    u, v = (halve_rows(np.asarray(cv2.extractChannel(pairs, index), np.uint8)) for index in (1, 3))
    return from_planes(
        np.asarray(y, np.uint8), u, v, sequence=raw.sequence, captured_ns=raw.captured_ns
    )


def unpack_yu12(raw: RawPicture) -> Frame | None:
    """Planar 4:2:0, as frames are."""
    if raw.buffer.size != frame_bytes(raw.width, raw.height):
        return None
    data = raw.buffer.reshape(-1).copy()
    return Frame(data, raw.width, raw.height, raw.sequence, raw.captured_ns)


def unpack_nv12(raw: RawPicture) -> Frame | None:
    """Luma, then Cb and Cr by turns; OpenCV's own conversion swaps red and blue."""
    width, height = raw.width, raw.height
    if raw.buffer.size != frame_bytes(width, height):
        return None
    flat = raw.buffer.reshape(-1)
    chroma_width, chroma_height = chroma_size(width, height)
    chroma = flat[width * height :].reshape(chroma_height, chroma_width, 2)
    y = flat[: width * height].reshape(height, width)
    return from_planes(
        y, chroma[..., 0], chroma[..., 1], sequence=raw.sequence, captured_ns=raw.captured_ns
    )


def convert_bgr(raw: RawPicture) -> Frame | None:
    """What OpenCV already turned into BGR."""
    if raw.buffer.ndim != 3 or raw.buffer.shape[2] != 3:
        return None
    return from_bgr(raw.buffer, sequence=raw.sequence, captured_ns=raw.captured_ns)


def unpacker(pixel_format: str) -> Unpack | None:
    """The way to unpack a raw format; None where OpenCV has to convert it."""
    if pixel_format in ("MJPG", "JPEG"):
        return MjpegDecoder()
    return _UNPACK.get(pixel_format)


_UNPACK: dict[str, Unpack] = {
    "YUYV": unpack_yuyv,
    "YUY2": unpack_yuyv,
    "YU12": unpack_yu12,
    "I420": unpack_yu12,
    "NV12": unpack_nv12,
}
