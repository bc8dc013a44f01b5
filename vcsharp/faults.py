"""The last things that went wrong, for people who look later."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace

KEPT = 10


@dataclass(frozen=True, slots=True)
class FaultEntry:
    """One fault, and how often in a row it came."""

    at_s: float
    """Unix time of the last occurrence."""
    where: str
    """`source`, `engine`, `sink` or `program`."""
    what: str
    """One line: what, where, why, cure."""
    count: int = 1


class FaultLog:
    """The last ten faults. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[FaultEntry] = deque(maxlen=KEPT)

    def add(self, where: str, what: str) -> None:
        """Enters a fault; one that repeats the newest of its place only raises its count."""
        entry = FaultEntry(time.time(), where, what)
        with self._lock:
            for index, known in enumerate(self._entries):
                if (known.where, known.what) == (where, what):
                    del self._entries[index]
                    entry = replace(entry, count=known.count + 1)
                    break
            self._entries.appendleft(entry)

    def newest(self) -> list[FaultEntry]:
        """A copy, newest first."""
        with self._lock:
            return list(self._entries)
