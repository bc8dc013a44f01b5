"""Cameras that the service manager holds open from one run to the next.

A device that somebody has open for writing stays a camera. So a restart, an update or a crash does
not take it out of any application's list, and a running call sees the picture set aside meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vcsharp.notify import Notifier


class Kept:
    """Hands descriptors over to the manager, and takes back those of the run before.

    Not thread-safe: each path belongs to the thread of its sink.
    """

    def __init__(self, notifier: Notifier, inherited: Mapping[str, int]) -> None:
        """`inherited` are the descriptors that the manager gave to this run, by name."""
        self._notifier, self._inherited = notifier, dict(inherited)

    def take(self, path: str) -> int | None:
        """The descriptor that the run before left for `path`; once."""
        return self._inherited.pop(_name(path), None)

    def holds(self, path: str) -> bool:
        """Whether the run before left one that was not taken yet."""
        return _name(path) in self._inherited

    def keep(self, path: str, descriptor: int) -> None:
        """Has the manager hold the device open, whatever happens to this process."""
        self._notifier.keep(_name(path), descriptor)

    def drop(self, path: str) -> None:
        """Has the manager close it, so that the device can be opened anew."""
        self._notifier.drop(_name(path))


def _name(path: str) -> str:
    return f"camera-{Path(path).name}"
