"""Whether a program reads a v4l2loopback device at this moment.

Since release 0.13 the driver tells when a reader starts and stops to stream. Programs that open the
device only to see what it is do not count. Release 0.12 tells nothing; there, any program that has
a virtual camera open for half a second counts as a reader, of all of them.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.v4l2_device import Device
from vcsharp.videodev import listed

log = logging.getLogger(__name__)

RESYNC_S = 3.0
"""How often the driver is asked anew: an event lost once must not leave the camera off."""
LOOK_S = 0.25
"""Between two looks at who has the devices of 0.12 open; two in a row decide."""
_MODULE = Path("/sys/module/v4l2loopback")
_SYSFS = Path("/sys/class/video4linux")
_DESCRIPTORS = Path("/proc/self/fd")
_UNKNOWN = (errno.EINVAL, errno.ENOTTY)
_EMPTY = (errno.EAGAIN, errno.ENOENT)


class ConsumerWatch:
    """Watches one device on a thread of its own, from `start` to `close`.

    Thread-safety: `wanted` may be asked by any thread; `start` and `close` belong to one.
    """

    def __init__(
        self,
        path: str,
        *,
        device: Device | None = None,
        module: Path = _MODULE,
        sysfs: Path = _SYSFS,
        resync_s: float = RESYNC_S,
    ) -> None:
        """`module` and `sysfs` are the driver's and the devices' folders under /sys."""
        self._path, self._kernel = path, device or Device()
        self._openers = Openers(module, sysfs)
        self._resync_s = resync_s
        self._wanted: bool | None = None
        self._seen = False
        """Whether the last look found an opener."""
        self._stop = threading.Event()
        self._descriptor = -1
        self._waker, self._wake_end = -1, -1
        self._thread: threading.Thread | None = None

    @property
    def wanted(self) -> bool | None:
        """Whether a program reads the device; None while that cannot be told."""
        return self._wanted

    def start(self) -> None:
        """Begins to watch; where the driver tells, `wanted` is known at once."""
        with suppress(OSError):
            self._resync()
        self._waker, self._wake_end = os.pipe()
        self._thread = threading.Thread(target=self._run, name="vcsharp-consumers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops watching and releases the device. Idempotent."""
        if self._thread is None:
            return
        self._stop.set()
        os.write(self._wake_end, b".")
        self._thread.join()
        self._thread = None
        os.close(self._waker)
        os.close(self._wake_end)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._watch_for_a_while()
        finally:
            self._release()

    def _watch_for_a_while(self) -> None:
        """Until the next time that the driver is asked anew."""
        try:
            watch = self._follow_events if self._resync() else self._follow_openers
            watch(time.monotonic() + self._resync_s)
        except OSError as error:
            log.debug("%s cannot be watched: %s", self._path, error.strerror)
            self._release()
            self._wanted = None
            self._stop.wait(self._resync_s)

    def _resync(self) -> bool:
        """Subscribes anew, which makes the driver tell how it stands. False where it never does."""
        fresh = self._kernel.open(self._path, waits=False)
        self._release()
        self._descriptor = fresh
        if any(self._subscribed(kind) for kind in abi.CameraEvent):
            self._take_events()
            return True
        self._release()
        return False

    def _subscribed(self, kind: abi.CameraEvent) -> bool:
        wish = abi.EventSubscription(type=kind, flags=abi.EVENT_SUB_FL_SEND_INITIAL)
        try:
            self._kernel.ioctl(self._descriptor, abi.SUBSCRIBE_EVENT, wish)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
            return False
        return True

    def _follow_events(self, end_s: float) -> None:
        while not self._stop.is_set() and (left_s := end_s - time.monotonic()) > 0:
            ready = self._kernel.wait_event(self._descriptor, self._waker, left_s)
            if ready and not self._take_events():
                self._stop.wait(LOOK_S)  # it reports something else, which must not become a spin

    def _take_events(self) -> bool:
        """Takes all that wait; the last one holds. False where there was none."""
        event, any_came = abi.Event(), False
        while True:
            try:
                self._kernel.ioctl(self._descriptor, abi.DQEVENT, event)
            except OSError as error:
                if error.errno not in _EMPTY:
                    raise
                return any_came
            self._wanted, any_came = event.count > 0, True

    def _follow_openers(self, end_s: float) -> None:
        while not self._stop.is_set() and time.monotonic() < end_s:
            strangers = self._openers.strangers(self._path)
            if strangers is None:
                self._wanted = None
            else:
                self._wanted = self._seen and strangers > 0
            self._seen = bool(strangers)
            self._stop.wait(LOOK_S)

    def _release(self) -> None:
        if self._descriptor >= 0:
            self._kernel.close(self._descriptor)
            self._descriptor = -1


class Openers:
    """Who has v4l2loopback's devices open, as far as an ordinary user may know."""

    def __init__(self, module: Path, sysfs: Path, own: Path = _DESCRIPTORS) -> None:
        self._module, self._sysfs, self._own = module, sysfs, own

    def strangers(self, path: str) -> int | None:
        """How often other programs have devices of the module open; None where it does not tell."""
        if not (self._sysfs / Path(path).resolve().name / "max_openers").exists():
            return None
        try:
            total = int((self._module / "refcnt").read_text())
        except (OSError, ValueError):
            return None
        return total - self._own_count()

    def _own_count(self) -> int:
        names = {f"/dev/{entry.parent.name}" for entry in listed(self._sysfs, "video*/max_openers")}
        return sum(_target(link) in names for link in listed(self._own, "*"))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed since it was listed
        return ""
