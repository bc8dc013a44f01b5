"""The V4L2 calls behind `video.probe` (Linux only).

Structures and numbers follow linux/videodev2.h; they are part of the kernel's stable interface.
"""

from __future__ import annotations

import ctypes
import fcntl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vcsharp import videodev
from vcsharp.doctor.video import LOOPBACK_DRIVER, Mode, VideoNode
from vcsharp.sinks.v4l2_abi import LoopbackControl
from vcsharp.sources import v4l2_ioctl as v4l2

_USUAL_SIZES = ((1920, 1080), (1280, 720), (640, 480))
"""Asked for where a driver names a range instead of a list."""


class FrameInterval(ctypes.Structure):
    """struct v4l2_frmivalenum, 52 bytes; its union starts with the (shortest) interval."""

    _fields_ = (
        ("index", ctypes.c_uint32),
        ("pixel_format", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("values", ctypes.c_uint32 * 6),
        ("reserved", ctypes.c_uint32 * 2),
    )


ENUM_FRAMEINTERVALS = videodev.request(videodev.READ_WRITE, 75, FrameInterval)


def described(path: Path) -> VideoNode:
    """What a node says of itself. Raises OSError where it cannot be opened or asked."""
    with v4l2.opened(path) as descriptor:
        return _described(path.name, descriptor)


def _described(name: str, descriptor: int) -> VideoNode:
    device = v4l2.capability(descriptor)
    driver = device.driver.decode(errors="replace")
    captures, real = v4l2.captures(device), driver != LOOPBACK_DRIVER
    own = device.capabilities & videodev.CAP_DEVICE_CAPS
    caps = device.device_caps if own else device.capabilities
    return VideoNode(
        name,
        v4l2.card_name(device),
        driver,
        captures=captures,
        outputs=bool(caps & videodev.CAP_VIDEO_OUTPUT),
        modes=tuple(_modes(descriptor)) if captures and real else (),
        # Asking a loopback device for buffers would take its only place for a reader.
        busy=captures and real and v4l2.busy(descriptor),
        keep_format=None if real else _keep_format(descriptor),
    )


def _modes(descriptor: int) -> Iterator[Mode]:
    for pixel_format in v4l2.formats(descriptor):
        for width, height in v4l2.sizes(descriptor, pixel_format) or _USUAL_SIZES:
            fps = _highest_rate(descriptor, pixel_format, width, height)
            if fps:
                yield Mode(pixel_format, width, height, fps)


def _highest_rate(descriptor: int, pixel_format: str, width: int, height: int) -> float:
    """Frames per second; 0 where the size is not offered."""
    rates = [0.0]
    with suppress(OSError):  # EINVAL after the last one
        while True:
            entry = FrameInterval(
                index=len(rates) - 1,
                pixel_format=v4l2.fourcc_number(pixel_format),
                width=width,
                height=height,
            )
            fcntl.ioctl(descriptor, ENUM_FRAMEINTERVALS, entry)
            numerator, denominator = entry.values[0], entry.values[1]
            rates.append(denominator / numerator if numerator else 0.0)
            if entry.type != v4l2.FRMSIZE_TYPE_DISCRETE:
                break
    return max(rates)


def _keep_format(descriptor: int) -> bool | None:
    control = videodev.Control(id=LoopbackControl.KEEP_FORMAT)
    try:
        fcntl.ioctl(descriptor, videodev.G_CTRL, control)
    except OSError:
        return None
    return bool(control.value)
