"""Time kept by absolute deadlines: an early or late step never shifts the ones after it.

All times are `time.monotonic_ns()` nanoseconds.
"""

from __future__ import annotations

import threading
import time
from fractions import Fraction

NS_PER_S = 1_000_000_000


class Timeline:
    """Plays recorded timestamps in real time. One thread only.

    A reader that falls behind by more than `slack_s` is not chased: the timeline moves along with
    it.
    """

    def __init__(self, slack_s: float = 0.5) -> None:
        self._slack_ns = int(slack_s * NS_PER_S)
        self._origin_ns: int | None = None

    def wait_for(self, timestamp: Fraction, stop: threading.Event) -> None:
        """Sleeps until `timestamp` seconds after the timeline's origin is due, or `stop` is set."""
        offset_ns, now_ns = int(timestamp * NS_PER_S), time.monotonic_ns()
        if self._origin_ns is None or abs(self._origin_ns + offset_ns - now_ns) > self._slack_ns:
            self._origin_ns = now_ns - offset_ns
        stop.wait(max(0, self._origin_ns + offset_ns - now_ns) / NS_PER_S)


class Cadence:
    """When a paced output is written: on arrival, never faster than its rate, and repeated if
    nothing came.

    There is one slot per period on an absolute grid. A frame may take its slot up to a quarter
    period early, so that it need not wait for the tick; a slot still empty half a period after its
    time is filled with the last frame. One thread only.
    """

    def __init__(self, fps: Fraction, now_ns: int) -> None:
        self._period_ns = int(NS_PER_S / fps)
        self._due_ns = now_ns

    @property
    def earliest_ns(self) -> int:
        """A new frame is not written before this."""
        return self._due_ns - self._period_ns // 4

    @property
    def repeat_ns(self) -> int:
        """Without a new frame the last one is written again at this time."""
        return self._due_ns + self._period_ns // 2

    def wrote(self, now_ns: int) -> None:
        """Moves to the next slot; after a stall of more than a period, to the one from now."""
        self._due_ns += self._period_ns
        if self._due_ns + self._period_ns < now_ns:
            self._due_ns = now_ns + self._period_ns


def seconds_until(deadline_ns: int) -> float:
    """Time left, at least 0."""
    return max(0, deadline_ns - time.monotonic_ns()) / NS_PER_S
