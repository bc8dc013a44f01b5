"""The system's word that it goes to sleep, and a moment's delay to let devices go (logind)."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""Until the bus is tried again after it went away."""
ANSWER_TIMEOUT_S = 5.0
_NAME, _PATH, _MANAGER = (
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
)


class Bus(Protocol):
    """What is needed of logind.

    Used by one thread, but for `interrupt`; every method raises OSError when the bus is gone.
    """

    def inhibit(self) -> int:
        """A descriptor that puts sleep off while it is open."""

    def next_change(self) -> bool:
        """Waits for it. True: about to sleep; False: awake again."""

    def interrupt(self) -> None:
        """Lets `next_change` fail at once, now and later. For any thread."""

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
        self._lock = threading.Lock()
        self._bus: Bus | None = None
        self._known = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to watch, on a thread of its own."""
        if sys.platform != "linux":
            return
        self._thread = threading.Thread(target=self._run, name="vcsharp-sleep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the watch. Idempotent."""
        with self._lock:
            self._closed.set()
            if self._bus is not None:
                self._bus.interrupt()
        if self._thread is not None:
            self._thread.join(ANSWER_TIMEOUT_S)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._watch_once()
            except OSError as error:
                if not self._closed.is_set():
                    log.debug("no word about sleep from the system: %s", error)
            if not self._known:  # there never was one: a system without logind
                return
            self._closed.wait(RETRY_S)

    def _watch_once(self) -> None:
        bus = self._connect()
        with self._lock:
            self._bus = bus
        try:
            self._watch(bus)
        finally:
            with self._lock:
                self._bus = None
                bus.close()

    def _watch(self, bus: Bus) -> None:
        inhibitor = bus.inhibit()
        self._known = True
        try:
            while not self._closed.is_set():
                if bus.next_change():
                    self._on_sleep()
                    inhibitor = _released(inhibitor)
                else:
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
        # Not by sender: the bus writes the number of a connection there, and a new one after
        # logind was started again.
        rule = MatchRule(type="signal", interface=_MANAGER, member="PrepareForSleep", path=_PATH)
        self._signals = connection.filter(rule, bufsize=16).__enter__()
        self._call(message_bus.AddMatch(rule))

    def inhibit(self) -> int:
        from jeepney import DBusAddress, new_method_call

        address = DBusAddress(_PATH, bus_name=_NAME, interface=_MANAGER)
        what = ("sleep", "vcsharp", "lets the camera and the GPU go", "delay")
        (descriptor,) = self._call(new_method_call(address, "Inhibit", "ssss", what))
        return int(descriptor.to_raw_fd())

    def next_change(self) -> bool:
        from jeepney import HeaderFields

        while True:
            message = self._connection.recv_until_filtered(self._signals)
            if message.header.fields.get(HeaderFields.sender) == self._logind():
                return bool(message.body[0])

    def interrupt(self) -> None:
        with suppress(OSError):  # the bus was faster
            self._connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._connection.close()

    def _logind(self) -> str:
        """The connection that is logind now; any program may send what looks like its signals."""
        from jeepney import message_bus

        (owner,) = self._call(message_bus.GetNameOwner(_NAME))
        return str(owner)

    def _call(self, message: Any) -> Any:
        from jeepney import DBusErrorResponse
        from jeepney.wrappers import unwrap_msg

        try:
            return unwrap_msg(
                self._connection.send_and_get_reply(message, timeout=ANSWER_TIMEOUT_S)
            )
        except DBusErrorResponse as error:
            raise OSError(f"logind refuses: {error.name}") from error


def _system_bus() -> Bus:
    from jeepney import DBusErrorResponse
    from jeepney.io.blocking import open_dbus_connection

    try:
        connection = open_dbus_connection(bus="SYSTEM", enable_fds=True)
    except (KeyError, ValueError, DBusErrorResponse) as error:  # an address that cannot be read
        raise OSError(f"no system bus: {error}") from error
    try:
        return _LogindBus(connection)
    except OSError:
        connection.close()
        raise
