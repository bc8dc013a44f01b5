"""Planned sources, and a live source over them that notes what it told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from vcsharp.errors import SourceError, SourceLost
from vcsharp.frame import Color, Frame, black
from vcsharp.sources.base import SourceFormat
from vcsharp.sources.live import LiveSource, SourceStatus
from vcsharp.states import SourceState as S
from vcsharp.telemetry import Telemetry

PERIOD_S = 0.005


@dataclass
class Flaky:
    """Delivers `good` frames after each open, then is lost; hooks may refuse, wait or fail."""

    good: int = 3
    name: str = "/dev/video0"
    lossless: bool = False
    open_hook: Callable[[int], None] = lambda attempt: None
    read_hook: Callable[[int], None] = lambda number: None
    ends: bool = False
    size: tuple[int, int] = (96, 64)
    opens: int = 0
    closes: int = 0
    is_open: bool = False
    sent: int = 0
    threads: set[str] = field(default_factory=set)

    def open(self) -> SourceFormat:
        assert not self.is_open, "opened twice"
        self.opens += 1
        self.threads.add(threading.current_thread().name)
        self.open_hook(self.opens)
        self.is_open, self.sent = True, 0
        return SourceFormat(*self.size, Fraction(30), Color(), "flaky")

    def read(self) -> Frame | None:
        assert self.is_open, "read while closed"
        if self.sent == self.good:
            if self.ends:
                return None
            raise SourceLost("camera '0' is gone", title="camera unplugged")
        self.read_hook(self.sent)
        self.sent += 1
        time.sleep(PERIOD_S)
        return black(*self.size).replaced(
            sequence=self.sent - 1,
            captured_ns=time.monotonic_ns(),
            timestamp=Fraction(self.sent, 200) if self.lossless else None,
        )

    def close(self) -> None:
        self.closes += 1
        self.is_open = False


def refuse_until(attempt: int) -> Callable[[int], None]:
    def hook(number: int) -> None:
        if 1 < number < attempt:
            raise SourceError("no camera at '0'", title="no camera")

    return hook


def refuse_always(attempt: int) -> None:
    raise SourceError("camera '0' is in use", title="camera in use")


def waiting_for(event: threading.Event, at: int | None = None) -> Callable[[int], None]:
    def hook(number: int) -> None:
        if at in (None, number):
            event.wait(20)

    return hook


class Rig:
    """A live source over planned ones, and what it told."""

    def __init__(self, flaky: Flaky | dict[str, Flaky], *, patient: bool = False) -> None:
        known = flaky if isinstance(flaky, dict) else {"0": flaky}
        self.stop = threading.Event()
        self.wanted = True
        self.told: list[SourceStatus] = []
        self.made: list[str] = []

        def make(spec: str) -> Flaky:
            self.made.append(spec)
            return known[spec]

        self.source = LiveSource(
            make,
            next(iter(known)),
            self.stop,
            telemetry=Telemetry(),
            patient=patient,
            size=(96, 64),
            wanted=lambda: self.wanted,
            on_change=self.told.append,
        )

    @property
    def states(self) -> list[S]:
        return [status.state for status in self.told]

    def frames_until(self, done: Callable[[list[Frame]], bool]) -> list[Frame]:
        frames: list[Frame] = []
        deadline_s = time.monotonic() + 30
        while not done(frames):
            frame = self.source.read()
            assert frame is not None
            frames.append(frame)
            assert time.monotonic() < deadline_s, self.told
        return frames

    def until(self, state: S) -> list[Frame]:
        return self.frames_until(lambda got: bool(got) and self.source.status.state is state)


def live_frames(frames: list[Frame]) -> int:
    return sum(not frame.notice for frame in frames)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
