"""The few structures and numbers of Linux's videodev2.h that a video writer needs."""

from __future__ import annotations

import ctypes
from enum import IntEnum

from vcsharp.videodev import READ, READ_WRITE, WRITE, request

BUF_TYPE_VIDEO_CAPTURE = 1
BUF_TYPE_VIDEO_OUTPUT = 2
FIELD_NONE = 1

PRIV_MAGIC = 0xFEEDCAFE
"""Says that the colour fields after `priv` are filled in; without it the kernel clears them."""


class Colorspace(IntEnum):
    """enum v4l2_colorspace."""

    REC709 = 3
    SRGB = 8


class YcbcrEncoding(IntEnum):
    """enum v4l2_ycbcr_encoding."""

    BT601 = 1
    BT709 = 2


class Quantization(IntEnum):
    """enum v4l2_quantization."""

    FULL_RANGE = 1
    LIM_RANGE = 2


class PixFormat(ctypes.Structure):
    """struct v4l2_pix_format, 48 bytes."""

    _fields_ = [
        (name, ctypes.c_uint32)
        for name in (
            "width",
            "height",
            "pixelformat",
            "field",
            "bytesperline",
            "sizeimage",
            "colorspace",
            "priv",
            "flags",
            "ycbcr_enc",
            "quantization",
            "xfer_func",
        )
    ]


class _FormatUnion(ctypes.Union):
    # The kernel's union holds pointers as well, which set its alignment.
    _fields_ = [
        ("pix", PixFormat),
        ("raw", ctypes.c_uint8 * 200),
        ("pointer", ctypes.c_void_p),
    ]


class Format(ctypes.Structure):
    """struct v4l2_format, 208 bytes on 64-bit machines."""

    _fields_ = [("type", ctypes.c_uint32), ("fmt", _FormatUnion)]


class OutputParm(ctypes.Structure):
    """struct v4l2_outputparm, 40 bytes."""

    _fields_ = [
        ("capability", ctypes.c_uint32),
        ("outputmode", ctypes.c_uint32),
        ("numerator", ctypes.c_uint32),
        ("denominator", ctypes.c_uint32),
        ("extendedmode", ctypes.c_uint32),
        ("writebuffers", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 4),
    ]


class _ParmUnion(ctypes.Union):
    _fields_ = [("output", OutputParm), ("raw", ctypes.c_uint8 * 200)]


class StreamParm(ctypes.Structure):
    """struct v4l2_streamparm, 204 bytes."""

    _fields_ = [("type", ctypes.c_uint32), ("parm", _ParmUnion)]


class Buffer(ctypes.Structure):
    """struct v4l2_buffer, 88 bytes on 64-bit machines; `offset` is its union's member for mmap."""

    _fields_ = [
        ("index", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("bytesused", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("field", ctypes.c_uint32),
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("timecode", ctypes.c_uint8 * 16),
        ("sequence", ctypes.c_uint32),
        ("memory", ctypes.c_uint32),
        ("offset", ctypes.c_ulong),
        ("length", ctypes.c_uint32),
        ("reserved2", ctypes.c_uint32),
        ("request_fd", ctypes.c_int32),
    ]


class EventSubscription(ctypes.Structure):
    """struct v4l2_event_subscription, 32 bytes."""

    _fields_ = [
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 5),
    ]


class Event(ctypes.Structure):
    """struct v4l2_event, 136 bytes on 64-bit machines; `count` heads its union of 64 bytes."""

    _fields_ = [
        ("type", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("rest", ctypes.c_uint8 * 60),
        ("pending", ctypes.c_uint32),
        ("sequence", ctypes.c_uint32),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
        ("id", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 8),
    ]


G_FMT = request(READ_WRITE, 4, Format)
S_FMT = request(READ_WRITE, 5, Format)
QUERYBUF = request(READ_WRITE, 9, Buffer)
STREAMON = request(WRITE, 18, ctypes.c_int)
S_PARM = request(READ_WRITE, 22, StreamParm)
DQEVENT = request(READ, 89, Event)
SUBSCRIBE_EVENT = request(WRITE, 90, EventSubscription)

EVENT_SUB_FL_SEND_INITIAL = 1


class CameraEvent(IntEnum):
    """v4l2loopback's word that a reader starts or stops; `Event.count` is the number of readers."""

    CLIENT_USAGE = 0x10E0_0001
    """Since release 0.13."""
    CLIENT_USAGE_PATCHED = 0x0800_0000
    """Of distributions that had it earlier."""


class LoopbackControl(IntEnum):
    """v4l2loopback's own controls."""

    KEEP_FORMAT = 0x0098_F900
    """The device stays a camera, in this format, without a writer."""
    TIMEOUT_MS = 0x0098_F902
    """A reader that waits for longer is given the picture set aside; 0 lets it wait."""
    TIMEOUT_IMAGE_IO = 0x0098_F903
    """Who opens the device next writes the picture set aside."""


def fourcc(name: str) -> int:
    """The number that stands for a pixel format: `YU12`, `YUYV`."""
    return int.from_bytes(name.encode("ascii"), "little")


def fourcc_name(number: int) -> str:
    """The letters of a pixel format's number."""
    return number.to_bytes(4, "little").decode("latin-1").strip()
