"""v4l2loopback 0.12, the release that does not notice by itself when a writer has gone."""

from __future__ import annotations

import ctypes
import logging
from contextlib import suppress
from pathlib import Path

from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.consumers import Openers
from vcsharp.sinks.v4l2_device import Device

log = logging.getLogger(__name__)


def is_legacy(path: str, sysfs: Path) -> bool:
    """True for v4l2loopback 0.12, the last without `state` in sysfs."""
    entry = sysfs / Path(path).resolve().name
    return (entry / "max_openers").exists() and not (entry / "state").exists()


def start_streaming(kernel: Device, descriptor: int) -> None:
    """Tells the driver that a writer streams, so that it notices when this one has gone.

    Without it the device refuses every later writer until the module is loaded anew. Raises
    OSError.
    """
    kernel.ioctl(descriptor, abi.STREAMON, ctypes.c_int(abi.BUF_TYPE_VIDEO_OUTPUT))


def free_place(kernel: Device, path: str, openers: Openers) -> bool:
    """Frees the writer's place that a program which has gone left taken.

    The driver takes whoever asks to stream for that writer, refuses, and frees the place all the
    same when it is closed. False where any program has a device of the module open, for it might
    be the writer. Raises OSError where the device cannot be opened.
    """
    if openers.strangers(path) != 0:
        return False
    descriptor = kernel.open(path)
    try:
        with suppress(OSError):
            start_streaming(kernel, descriptor)
    finally:
        kernel.close(descriptor)
    log.info("freed '%s', which a program that has gone had left taken", path)
    return True
