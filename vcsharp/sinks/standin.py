"""What readers of a virtual camera see while nobody writes: a picture that the driver sets aside.

It lets a call outlive a restart of vcsharp. Without it browsers end the camera's stream after a
second, or wait with a frozen picture; without a picture of our own it would be green.
"""

from __future__ import annotations

import errno
import logging
import os

from vcsharp import slate, videodev
from vcsharp.frame import Frame
from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.v4l2_device import Device

log = logging.getLogger(__name__)

TIMEOUT_MS = 500
"""Without a frame for so long, readers get the stand-in. Chromium gives up after 800."""


def arm(kernel: Device, path: str, descriptor: int, picture: bytes) -> bool:
    """Has the driver show `picture`, in the device's format, whenever no frame comes for a while.

    `descriptor` is the writer's, whose format is settled. False where it cannot be: then readers
    wait for a frame, as they do without vcsharp.
    """
    try:
        _store(kernel, path, descriptor, picture)
        set_control(kernel, descriptor, abi.LoopbackControl.TIMEOUT_MS, TIMEOUT_MS)
    except OSError as error:
        log.debug("%s has no stand-in: %s", path, error.strerror)
        _disarm(kernel, descriptor)
        return False
    return True


def set_control(kernel: Device, descriptor: int, control: abi.LoopbackControl, value: int) -> None:
    """Raises OSError where the driver has no such control."""
    kernel.ioctl(descriptor, videodev.S_CTRL, videodev.Control(control, value))


def picture(stream: StreamFormat) -> Frame:
    """Two lines that say why there is no picture."""
    ground = slate.plain(stream.width, stream.height, stream.color)
    titled = slate.with_title(ground, "no picture from vcsharp")
    return slate.with_line(titled, "waiting for it to return")


def _disarm(kernel: Device, descriptor: int) -> None:
    """An earlier run may have left the time-out on; its picture is lost, and would be green."""
    try:
        set_control(kernel, descriptor, abi.LoopbackControl.TIMEOUT_MS, 0)
    except OSError:
        log.debug("the driver has no time-out")


def _store(kernel: Device, path: str, descriptor: int, picture: bytes) -> None:
    """Whoever opens next after the button was pressed has the stand-in for its only buffer."""
    for value in (0, 1):  # to 0.12 it is a switch, which must be off before it can be put on
        set_control(kernel, descriptor, abi.LoopbackControl.TIMEOUT_IMAGE_IO, value)
    other = kernel.open(path)
    try:
        _write_standin(kernel, other, picture)
    finally:
        kernel.close(other)


def _write_standin(kernel: Device, other: int, picture: bytes) -> None:
    """Asks before every step whether it is the stand-in.

    Releases up to 0.13 would let this descriptor have the buffers of the stream as well, and take
    them from its reader.
    """
    _tell_buffer(kernel, other, may_refuse=True)
    wish = videodev.RequestBuffers(
        count=1, type=abi.BUF_TYPE_VIDEO_OUTPUT, memory=videodev.MEMORY_MMAP
    )
    kernel.ioctl(other, videodev.REQBUFS, wish)
    buffer = _tell_buffer(kernel, other)
    if buffer.length < len(picture):
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    kernel.write_mapped(other, buffer.offset, buffer.length, picture)


def _tell_buffer(kernel: Device, other: int, *, may_refuse: bool = False) -> abi.Buffer:
    """Where the stand-in lies. Releases since 0.14 refuse to say before they were asked for it."""
    buffer = abi.Buffer(type=abi.BUF_TYPE_VIDEO_OUTPUT, memory=videodev.MEMORY_MMAP)
    try:
        kernel.ioctl(other, abi.QUERYBUF, buffer)
    except OSError as error:
        if not (may_refuse and error.errno == errno.EINVAL):
            raise
        return buffer
    if buffer.offset == 0:
        raise OSError(errno.EAGAIN, "another program opened the device at the same moment")
    return buffer
