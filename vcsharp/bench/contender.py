"""What takes turns at being measured, and what one turn tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

Unit = Literal["frame", "GMAC", "GB"]

SETTLED_MS = 100.0
"""A frame that takes this long is measured from the first one of a turn: caches matter little."""


class NotHereError(Exception):
    """This machine has not what a contender needs. The text says what, in a few words."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured. Two contenders with one subject are one row."""

    group: str
    """`ceilings`, `networks`, `gpu`, `pipeline`, `peers`, `cameras`."""
    name: str
    """For people, unique together with the size."""
    size: tuple[int, int] | None = None
    """(width, height) in pixels; None for the ceilings."""
    unit: Unit = "frame"
    """What one piece of work is; of `frame`s the time counts, of the others the rate."""
    work: float = 1.0
    """Units in one piece of work: GMAC of one product, GB of one copy."""
    model: str = ""
    backend: str = ""
    device: str = ""
    precision: str = ""
    gmac: float = 0.0
    """10^9 multiply-accumulates of a frame, by the model's card; tiles' overlap is not counted."""
    cameras: int = 1
    """Streams that share the machine; a frame is one of any of them."""
    threads: int = 0
    """Of a ceiling; 0 where the contender decides for itself."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn."""

    frames: int
    """Pieces of work done, at least one."""
    wall_s: float
    cpu_s: float
    """User and system time of all threads together."""
    frame_ms: tuple[float, ...] = ()
    """Each frame's wall-clock time, where single frames can be told apart."""


class Contender(Protocol):
    """Takes turns with others, so that a change of the machine's speed hits all of them."""

    subject: Subject

    def prepare(self) -> None:
        """Loads what is needed and does the work once, untimed.

        Raises:
            NotHereError: this machine has no such runtime, device or program.
            VcsharpError: it is there and failed.
        """

    def turn(self, seconds: float) -> Sample:
        """Works for about so long, at least one piece. Raises VcsharpError."""

    def close(self) -> None:
        """Frees what it holds. Idempotent; also without `prepare`."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Wall-clock and CPU time in seconds; tests plant their own."""

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


CLOCKS = Clocks()


def timed(step: Callable[[int], object], seconds: float, clocks: Clocks = CLOCKS) -> Sample:
    """Calls `step(0)`, `step(1)`, ... for about so long, at least once, and times each call."""
    frame_ms: list[float] = []
    cpu_s, started_s = clocks.cpu(), clocks.wall()
    before_s = now_s = started_s
    while not frame_ms or now_s - started_s < seconds:
        step(len(frame_ms))
        now_s = clocks.wall()
        frame_ms.append(1e3 * (now_s - before_s))
        before_s = now_s
    return Sample(len(frame_ms), now_s - started_s, clocks.cpu() - cpu_s, tuple(frame_ms))
