"""Pictures in memory: what every contender is fed with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from vcsharp.fit import fit
from vcsharp.frame import Color, ColorRange, Frame
from vcsharp.sources.base import SourceFormat
from vcsharp.sources.demo import DemoSource

FPS = Fraction(30)
COUNT = 4
"""Different pictures that go round; even, so that the last differs from the first as well."""


@lru_cache(maxsize=8)
def pictures(width: int, height: int, color: Color = Color()) -> tuple[Frame, ...]:  # noqa: B008 - immutable
    """`COUNT` frames of the demo scene in this size and colour.

    Every other one has its lowest bits turned over: no part of a frame equals the frame before, so
    that an engine that leaves out what has not changed must do all of its work.
    """
    return tuple(
        frame.replaced(data=np.bitwise_xor(frame.data, number % 2))
        for number, frame in enumerate(fit(base, width, height, color) for base in _scene())
    )


@lru_cache(maxsize=1)
def _scene() -> list[Frame]:
    source = DemoSource()
    source.open()
    frames = [source.read() for _ in range(COUNT)]
    source.close()
    return [frame for frame in frames if frame]


FULL_RANGE = Color(ColorRange.FULL)
"""What MJPG cameras deliver."""


class MemorySource:
    """Hands out frames from memory for a while, at once or at a steady rate; see `Source`."""

    name = "memory"

    def __init__(
        self,
        frames: Sequence[Frame],
        seconds: float,
        fps: Fraction | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lossless = fps is None
        self._frames, self._seconds, self._fps, self._clock = frames, seconds, fps, clock
        self._sent, self._started_s = 0, 0.0

    def open(self) -> SourceFormat:
        """Nothing to open."""
        first = self._frames[0]
        return SourceFormat(first.width, first.height, FPS, first.color, "frames in memory")

    def read(self) -> Frame | None:
        """The next frame, when it is due; at least one."""
        now_s = self._clock()
        self._started_s = self._started_s or now_s
        if self._sent and now_s - self._started_s >= self._seconds:
            return None
        if self._fps is not None:
            time.sleep(max(0.0, self._started_s + self._sent / float(self._fps) - now_s))
        frame = self._frames[self._sent % len(self._frames)]
        self._sent += 1
        return frame.replaced(sequence=self._sent, captured_ns=time.monotonic_ns())

    def close(self) -> None:
        """Nothing to close."""
