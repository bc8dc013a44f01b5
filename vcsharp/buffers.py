"""Buffers for pictures, used again as soon as nobody holds them.

A fresh buffer of a frame's size costs its page faults on every frame. One that is given back is
found by its count of references: a frame, a view of a plane and whoever reads it through the buffer
protocol all hold the array that owns the memory.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def _holders(buffers: Iterable[NDArray[np.uint8]]) -> list[int]:
    return [sys.getrefcount(buffer) for buffer in buffers]


_UNUSED = _holders([np.empty(0, np.uint8)])[0]
"""Of a buffer that only its list holds. Asked and not assumed: it differs between Pythons."""


class BufferPool:
    """Hands out arrays of bytes. Every method may be called from any thread."""

    def __init__(self, most: int) -> None:
        """Keeps at most `most` buffers; more can be in use, those are not kept."""
        self._most = most
        self._lock = threading.Lock()
        self._buffers: list[NDArray[np.uint8]] = []

    def take(self, count: int) -> NDArray[np.uint8]:
        """`count` bytes in one dimension, with whatever was in them before."""
        with self._lock:
            for index, holders in enumerate(_holders(self._buffers)):
                if holders == _UNUSED and self._buffers[index].size == count:
                    return self._buffers[index]
            fresh = np.empty(count, np.uint8)
            self._keep(fresh)
            return fresh

    def clear(self) -> None:
        """Frees what is not in use; what is, when its holder lets it go."""
        with self._lock:
            self._buffers.clear()

    def _keep(self, fresh: NDArray[np.uint8]) -> None:
        """In the place of an unused one of another size, where there is no room."""
        if len(self._buffers) >= self._most:
            pairs = zip(self._buffers, _holders(self._buffers), strict=True)
            self._buffers = [buffer for buffer, holders in pairs if holders > _UNUSED]
        if len(self._buffers) < self._most:
            self._buffers.append(fresh)


PICTURES = BufferPool(24)
"""For the frames of a run. About ten are under way at once in a live one."""
