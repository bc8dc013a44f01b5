"""Words to systemd: ready, alive, reading again, stopping (the protocol of sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Sequence

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
FIRST_INHERITED = 3
"""Descriptors of sd_listen_fds(3) begin here."""
PATIENCE_S = 1.0
"""For words of which none may be lost, where the manager has much to read."""


class Notifier:
    """Sends datagrams to the service manager; does nothing where there is none.

    Thread-safety: every method may be called from any thread. None raises; `progress` never waits,
    the others a second at most.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        """`address` is a path, or a name after `@`; `watchdog_s` 0 means that nobody watches."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._period_s = watchdog_s / 2
        self._told_s = float("-inf")
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls) -> Notifier:
        """As systemd asked for; children are not to answer in our place."""
        address = os.environ.pop("NOTIFY_SOCKET", "")
        usec = os.environ.pop("WATCHDOG_USEC", "0")
        ours = os.environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = ours and usec.isdecimal()
        return cls(address, int(usec) / US_PER_S if watched else 0.0)

    def ready(self, status: str) -> None:
        """The service does its job; also after `reloading`."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """A line for `systemctl status`."""
        self._send(f"STATUS={_one_line(text)}")

    def progress(self) -> None:
        """Proof of life: to be called whenever work was done, however often."""
        if not self._period_s:
            return
        now_s = time.monotonic()
        with self._lock:
            if now_s - self._told_s < self._period_s:
                return
            self._told_s = now_s
        if not self._send("WATCHDOG=1", patience_s=0):  # a frame must not wait for the manager
            self._told_s = float("-inf")  # so the next one tells

    def reloading(self) -> None:
        """The settings are being read again; `ready` follows."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def keep(self, name: str, descriptor: int) -> None:
        """The manager is to hold this open and give it to the next run; see `inherited`."""
        self._send(f"FDSTORE=1\nFDNAME={name}", descriptors=(descriptor,))

    def drop(self, name: str) -> None:
        """The manager is to close what it holds under this name."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def _send(
        self, text: str, patience_s: float = PATIENCE_S, descriptors: Sequence[int] = ()
    ) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(patience_s)
                sender.connect(self._address)
                socket.send_fds(sender, [text.encode(errors="replace")], descriptors)
        except OSError as error:
            log.debug("the service manager does not listen: %s", error)
            return False
        return True


def inherited() -> dict[str, int]:
    """Descriptors that the manager held for this process, by name. Children do not see them."""
    ours = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    count = os.environ.pop("LISTEN_FDS", "")
    if not ours or not count.isdecimal():
        return {}
    found = {name: FIRST_INHERITED + place for place, name in enumerate(names[: int(count)])}
    for descriptor in found.values():
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no keyword
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())
