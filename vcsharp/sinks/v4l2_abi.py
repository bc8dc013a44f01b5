"""The few structures and numbers of Linux's videodev2.h that a video writer needs."""

from __future__ import annotations

import ctypes
from enum import IntEnum

from vcsharp.videodev import READ_WRITE, WRITE, request

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


S_FMT = request(READ_WRITE, 5, Format)
S_PARM = request(READ_WRITE, 22, StreamParm)
STREAMON = request(WRITE, 18, ctypes.c_int)


def fourcc(name: str) -> int:
    """The number that stands for a pixel format: `YU12`, `YUYV`."""
    return int.from_bytes(name.encode("ascii"), "little")


def fourcc_name(number: int) -> str:
    """The letters of a pixel format's number."""
    return number.to_bytes(4, "little").decode("latin-1").strip()
