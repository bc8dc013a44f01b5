"""What a capture device says of itself: the few V4L2 calls that OpenCV does not offer (Linux only).

Structures and numbers follow linux/videodev2.h; they are part of the kernel's stable interface.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from vcsharp.videodev import (
    CAP_DEVICE_CAPS,
    CAP_VIDEO_CAPTURE,
    MEMORY_MMAP,
    QUERYCAP,
    READ_WRITE,
    REQBUFS,
    Capability,
    RequestBuffers,
    request,
)

BUF_TYPE_VIDEO_CAPTURE = 1
FRMSIZE_TYPE_DISCRETE = 1

_BIG_ENDIAN = 1 << 31


class FormatDescription(ctypes.Structure):
    """struct v4l2_fmtdesc"""

    _fields_ = (
        ("index", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", ctypes.c_uint32),
        ("mbus_code", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    )


class FrameSize(ctypes.Structure):
    """struct v4l2_frmsizeenum; the union holds (width, height) of a discrete size first"""

    _fields_ = (
        ("index", ctypes.c_uint32),
        ("pixel_format", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("values", ctypes.c_uint32 * 6),
        ("reserved", ctypes.c_uint32 * 2),
    )


Struct = TypeVar("Struct", bound=ctypes.Structure)


_ENUM_FMT = request(READ_WRITE, 2, FormatDescription)
_ENUM_FRAMESIZES = request(READ_WRITE, 74, FrameSize)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A file descriptor of the device; other programs are not disturbed by it. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def capability(descriptor: int) -> Capability:
    """VIDIOC_QUERYCAP. Raises OSError (ENOTTY: no video device)."""
    return _call(descriptor, QUERYCAP, Capability())


def card_name(device: Capability) -> str:
    """The device's own name; `Webcam: Webcam`, as the UVC driver often says, becomes `Webcam`."""
    card = str(device.card.decode(errors="replace"))
    first, _, second = card.partition(": ")
    return first if first == second else card


def captures(device: Capability) -> bool:
    """Whether this very node delivers pictures (a camera's metadata node does not)."""
    own = device.capabilities & CAP_DEVICE_CAPS
    return bool((device.device_caps if own else device.capabilities) & CAP_VIDEO_CAPTURE)


def formats(descriptor: int) -> list[str]:
    """VIDIOC_ENUM_FMT: pixel formats as four characters, in the driver's order."""
    found: list[str] = []
    with suppress(OSError):  # EINVAL after the last one
        while True:
            entry = FormatDescription(index=len(found), type=BUF_TYPE_VIDEO_CAPTURE)
            _call(descriptor, _ENUM_FMT, entry)
            found.append(fourcc_text(entry.pixelformat))
    return found


def sizes(descriptor: int, pixel_format: str) -> list[tuple[int, int]]:
    """VIDIOC_ENUM_FRAMESIZES: (width, height) of each discrete size; empty for stepwise ones."""
    found: list[tuple[int, int]] = []
    with suppress(OSError):
        while True:
            entry = FrameSize(index=len(found), pixel_format=fourcc_number(pixel_format))
            _call(descriptor, _ENUM_FRAMESIZES, entry)
            if entry.type != FRMSIZE_TYPE_DISCRETE:
                return []
            found.append((entry.values[0], entry.values[1]))
    return found


def busy(descriptor: int) -> bool:
    """Whether another program streams from the device: only then are buffers refused (EBUSY)."""
    try:
        for count in (1, 0):  # 0 gives the buffer back
            buffers = RequestBuffers(count=count, type=BUF_TYPE_VIDEO_CAPTURE, memory=MEMORY_MMAP)
            _call(descriptor, REQBUFS, buffers)
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def fourcc_text(number: int) -> str:
    """`MJPG` for 0x47504A4D; the top bit, which marks big-endian samples, becomes `-BE`."""
    code = (number & ~_BIG_ENDIAN).to_bytes(4, "little").decode("latin-1").rstrip("\0 ")
    return f"{code}-BE" if number & _BIG_ENDIAN else code


def fourcc_number(text: str) -> int:
    """0x47504A4D for `MJPG`."""
    code = text.removesuffix("-BE").ljust(4).encode("latin-1")
    return int.from_bytes(code, "little") | (_BIG_ENDIAN if text.endswith("-BE") else 0)


def _call(descriptor: int, number: int, struct: Struct) -> Struct:
    fcntl.ioctl(descriptor, number, struct)
    return struct
