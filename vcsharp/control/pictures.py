"""Pairs of pictures, before and after, for the pages that watch a run.

A page asks for the next pair when it has drawn the last one: a slow browser gets fewer pictures,
never older ones, and nothing is encoded while nobody looks.
"""

from __future__ import annotations

import math
import struct
import threading
import time

import cv2
import numpy as np

from vcsharp.control.runtime import Runtime
from vcsharp.frame import Result
from vcsharp.sinks.picture import bgr, jpeg, png

POLL_TIMEOUT_S = 1.0
"""How long a question for something newer may stay unanswered."""
WATCHED_S = 3.0
"""A page that has not asked for this long is gone, or hidden behind another."""
LIVE_TIMEOUT_S = 3.0
"""How long a snapshot waits for a camera that was let go to come back."""

_SLICE_S = 0.1
"""How soon a waiting page hears of the end."""
_GOODBYE_TIMEOUT_S = 0.5
_PAIR_HEADER = struct.Struct("<III")
"""Number of the picture, and the lengths in bytes of the JPEGs before and after."""


class Pictures:
    """What pages are shown of a run.

    Thread-safety: every method may be called from any thread.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._changed = threading.Condition()
        self._ended = False
        self._told = False
        self._asked_s = -math.inf
        self._encoding = threading.Lock()
        self._pair = b""
        self._pair_number = 0

    @property
    def watched(self) -> bool:
        """Whether a page asked a moment ago."""
        return time.monotonic() - self._asked_s < WATCHED_S

    def end(self) -> None:
        """The run is over; whoever waits hears of it.

        A page that watches is between two questions half of the time: it is given a moment to ask
        once more, so that it hears of the end before the server is gone.
        """
        with self._changed:
            watched = time.monotonic() - self._asked_s < 2 * POLL_TIMEOUT_S
            self._ended = True
            self._changed.wait_for(lambda: self._told or not watched, _GOODBYE_TIMEOUT_S)

    def next_pair(self, after: int) -> bytes | None:
        """The newest picture's pair, unless its number is `after`: header and two JPEGs.

        None where nothing newer came in time, nothing (of length 0) at the end. Each picture is
        encoded once, however many pages ask for it.
        """
        self._asked_s = time.monotonic()
        found = self._newest(after, POLL_TIMEOUT_S)
        if self._ended:
            self._say_goodbye()
            return b""
        return None if found is None else self._encoded(*found)

    def snapshot(self, which: str) -> bytes | None:
        """The newest live picture as a PNG file, without anything drawn on it; None if none comes.

        `which` is `after`, `before`, or `both` for the two side by side.
        """
        result = self._live()
        if result is None:
            return None
        if which == "both":
            return _png(np.hstack([bgr(result.source), bgr(result.frame)]))
        return png(result.source if which == "before" else result.frame)

    def _newest(self, after: int, timeout_s: float) -> tuple[int, Result] | None:
        deadline_s = time.monotonic() + timeout_s
        while not self._ended:
            left_s = max(0.0, deadline_s - time.monotonic())
            found = self._runtime.newest(after, min(_SLICE_S, left_s))
            if found is not None or left_s == 0:
                return found
        return None

    def _live(self) -> Result | None:
        """A picture of the source itself: asking for it wakes a camera that nobody looked at."""
        number, deadline_s = 0, time.monotonic() + LIVE_TIMEOUT_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            found = self._newest(number, min(POLL_TIMEOUT_S, left_s))
            if found is None:
                return None
            number, result = found
            if not (result.source.notice or result.frame.notice):
                return result
        return None

    def _encoded(self, number: int, result: Result) -> bytes:
        with self._encoding:
            if number > self._pair_number:
                shown = self._runtime.dressed(result)
                before, after = jpeg(shown.source), jpeg(shown.frame)
                header = _PAIR_HEADER.pack(number, len(before), len(after))
                self._pair, self._pair_number = header + before + after, number
            return self._pair

    def _say_goodbye(self) -> None:
        with self._changed:
            self._told = True
            self._changed.notify_all()


def _png(pixels: np.ndarray) -> bytes:
    _, data = cv2.imencode(".png", pixels)
    return data.tobytes()
