"""The system's word that it goes to sleep, and a moment's delay to let devices go (logind)."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""Until the bus is tried again after it went away."""
POLL_S = 1.0
"""How late a request to close is noticed."""
_NAME, _PATH, _MANAGER = (
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
)


class Bus(Protocol):
    """What is needed of logind. Used by one thread; every method raises OSError when it is gone."""

    def inhibit(self) -> int:
        """A descriptor that puts sleep off while it is open."""

    def next_change(self, timeout_s: float) -> bool | None:
        """True: about to sleep; False: awake again; None: nothing within the time."""

    def close(self) -> None:
        """Hangs up."""


class SleepWatch:
    """Calls `on_sleep` before the machine sleeps and `on_wake` after.

    Both are called on the thread of this class. Without logind nothing happens; the log at debug
    level says so once.
    """

    def __init__(
        self,
        on_sleep: Callable[[], None],
        on_wake: Callable[[], None],
        *,
        connect: Callable[[], Bus] | None = None,
    ) -> None:
        """`connect` raises OSError where there is no bus; tests put their own in its place."""
        self._on_sleep, self._on_wake = on_sleep, on_wake
        self._connect = connect or _system_bus
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to watch, on a thread of its own."""
        if sys.platform != "linux":
            return
        self._thread = threading.Thread(target=self._run, name="vcsharp-sleep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the watch. Idempotent."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(2 * POLL_S)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                bus = self._connect()
            except OSError as error:
                log.debug("no word about sleep on this system: %s", error)
                return
            try:
                self._watch(bus)
            except OSError as error:
                log.debug("the system bus went away: %s", error)
            finally:
                bus.close()
            self._closed.wait(RETRY_S)

    def _watch(self, bus: Bus) -> None:
        inhibitor = bus.inhibit()
        try:
            while not self._closed.is_set():
                sleeping = bus.next_change(POLL_S)
                if sleeping:
                    self._on_sleep()
                    inhibitor = _released(inhibitor)
                elif sleeping is False:
                    self._on_wake()
                    inhibitor = bus.inhibit() if inhibitor < 0 else inhibitor
        finally:
            _released(inhibitor)


def _released(descriptor: int) -> int:
    if descriptor >= 0:
        with suppress(OSError):
            os.close(descriptor)
    return -1


class _LogindBus:
    """logind over D-Bus."""

    def __init__(self, connection: Any) -> None:
        from jeepney import MatchRule, message_bus

        self._connection = connection
        rule = MatchRule(
            type="signal", sender=_NAME, interface=_MANAGER, member="PrepareForSleep", path=_PATH
        )
        self._call(message_bus.AddMatch(rule))
        self._signals = connection.filter(rule, bufsize=16).__enter__()

    def inhibit(self) -> int:
        from jeepney import DBusAddress, new_method_call

        address = DBusAddress(_PATH, bus_name=_NAME, interface=_MANAGER)
        what = ("sleep", "vcsharp", "lets the camera and the GPU go", "delay")
        (descriptor,) = self._call(new_method_call(address, "Inhibit", "ssss", what))
        return int(descriptor.to_raw_fd())

    def next_change(self, timeout_s: float) -> bool | None:
        try:
            message = self._connection.recv_until_filtered(self._signals, timeout=timeout_s)
        except TimeoutError:
            return None
        except ConnectionError as error:
            raise OSError(str(error)) from error
        return bool(message.body[0])

    def close(self) -> None:
        with suppress(OSError):
            self._connection.close()

    def _call(self, message: Any) -> Any:
        from jeepney import DBusErrorResponse
        from jeepney.wrappers import unwrap_msg

        try:
            return unwrap_msg(self._connection.send_and_get_reply(message, timeout=5))
        except DBusErrorResponse as error:
            raise OSError(f"logind refuses: {error.name}") from error


def _system_bus() -> Bus:
    from jeepney.io.blocking import open_dbus_connection

    try:
        return _LogindBus(open_dbus_connection(bus="SYSTEM", enable_fds=True))
    except (KeyError, ValueError) as error:  # an address that cannot be read
        raise OSError(f"no system bus: {error}") from error
