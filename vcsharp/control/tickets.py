"""Admissions for one visit, for a browser's command line, which every user can read."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

VALID_S = 60.0
"""A browser that takes longer to start is given the page's key by hand."""


class Tickets:
    """Issues tickets that admit once, and not for long. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._valid: dict[str, float] = {}

    def issue(self) -> str:
        """A new ticket, good for the next minute."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._forget()
            self._valid[ticket] = self._clock() + VALID_S
        return ticket

    def spend(self, ticket: str) -> bool:
        """True once for each ticket, if it is in time."""
        with self._lock:
            self._forget()
            return self._valid.pop(ticket, None) is not None

    def _forget(self) -> None:
        now_s = self._clock()
        self._valid = {ticket: end_s for ticket, end_s in self._valid.items() if end_s > now_s}
