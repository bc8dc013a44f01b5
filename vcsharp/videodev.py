"""What capture and output have in common in Linux's videodev2.h.

Structures and numbers are part of the kernel's stable interface.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

CAP_VIDEO_CAPTURE = 0x0000_0001
CAP_VIDEO_OUTPUT = 0x0000_0002
CAP_DEVICE_CAPS = 0x8000_0000

WRITE, READ, READ_WRITE = 1, 2, 3


class Capability(ctypes.Structure):
    """struct v4l2_capability, 104 bytes."""

    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", ctypes.c_uint32),
        ("capabilities", ctypes.c_uint32),
        ("device_caps", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    )


class Control(ctypes.Structure):
    """struct v4l2_control, 8 bytes."""

    _fields_ = [("id", ctypes.c_uint32), ("value", ctypes.c_int32)]


class RequestBuffers(ctypes.Structure):
    """struct v4l2_requestbuffers, 20 bytes."""

    _fields_ = [
        ("count", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("memory", ctypes.c_uint32),
        ("capabilities", ctypes.c_uint32),
        ("flags", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8 * 3),
    ]


def request(direction: int, number: int, argument: type[ctypes.Structure | ctypes.c_int]) -> int:
    """The number of a V4L2 ioctl: direction, size of its argument, the letter V, its own number."""
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("V") << 8 | number


def listed(folder: Path, pattern: str) -> list[Path]:
    """What matches in a folder whose entries come and go; nothing where the folder itself does."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


QUERYCAP = request(READ, 0, Capability)
REQBUFS = request(READ_WRITE, 8, RequestBuffers)
G_CTRL = request(READ_WRITE, 27, Control)
S_CTRL = request(READ_WRITE, 28, Control)

MEMORY_MMAP = 1
