"""Words to systemd: ready, alive, reading again, stopping (the protocol of sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time

log = logging.getLogger(__name__)

US_PER_S = 1_000_000
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

    def _send(self, text: str, patience_s: float = PATIENCE_S) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(patience_s)
                sender.sendto(text.encode(errors="replace"), self._address)
        except OSError as error:
            log.debug("the service manager does not listen: %s", error)
            return False
        return True


def _one_line(text: str) -> str:
    return " ".join(text.split())
