"""Parts with planned behaviour for whole runs of the pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from vcsharp.engine.backend import NullBackend
from vcsharp.engine.worker import Engine
from vcsharp.frame import Color, Frame, Result, black
from vcsharp.pipeline import Pipeline, Plan
from vcsharp.sinks.base import StreamFormat
from vcsharp.sources.base import SourceFormat
from vcsharp.telemetry import Telemetry

Hook = Callable[[int], None]


def nothing(_: int) -> None:
    """The hook that does nothing."""


@dataclass
class FakeSource:
    """Black frames with their number in the first pixel; `hook` runs before each."""

    count: int = 10
    lossless: bool = True
    period_s: float = 0.0
    hook: Hook = nothing
    open_hook: Hook = nothing
    name: str = "fake"
    size: tuple[int, int] = (64, 48)
    closed: int = 0
    sent: int = 0

    def open(self) -> SourceFormat:
        self.open_hook(0)
        return SourceFormat(*self.size, Fraction(30), Color(), "fake source")

    def read(self) -> Frame | None:
        if self.sent == self.count:
            return None
        self.hook(self.sent)
        time.sleep(self.period_s)
        frame = black(*self.size).replaced(
            sequence=self.sent,
            captured_ns=time.monotonic_ns(),
            timestamp=Fraction(self.sent, 30),
        )
        frame.y[0, 0] = self.sent % 256
        self.sent += 1
        return frame

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakeSink:
    """Remembers what it was given; `hook` runs before each write."""

    realtime: bool = False
    paced: bool = False
    dresses: bool = True
    wanted: bool | None = True
    hook: Hook = nothing
    open_hook: Hook = nothing
    name: str = "memory"
    closed: int = 0
    results: list[Result] = field(default_factory=list)
    stream: StreamFormat | None = None

    def open(self, stream: StreamFormat) -> str:
        self.open_hook(0)
        self.stream = stream
        return "memory"

    def write(self, result: Result) -> None:
        self.hook(len(self.results))
        self.results.append(result)

    def close(self) -> None:
        self.closed += 1

    @property
    def sequences(self) -> list[int]:
        return [result.frame.sequence for result in self.results]


class HookedBackend(NullBackend):
    """Copies, but runs a hook first."""

    def __init__(self, hook: Hook) -> None:
        self.hook, self.calls = hook, 0

    def sharpen(self, plane, plan, strength, out) -> None:
        self.calls += 1
        self.hook(self.calls - 2)  # the first call is the warm-up
        super().sharpen(plane, plan, strength, out)


@dataclass
class Rig:
    """A pipeline of fakes and all that can be asked about it afterwards."""

    source: FakeSource
    sinks: list[FakeSink]
    telemetry: Telemetry
    stop: threading.Event
    pipeline: Pipeline
    announced: list[str]


@pytest.fixture
def make_rig() -> Callable[..., Rig]:
    """A factory of rigs; every part can be given."""

    def make(
        source: FakeSource | None = None,
        sinks: list[FakeSink] | None = None,
        engine_hook: Hook = nothing,
        size: tuple[int, int] = (64, 48),
        **plan: object,
    ) -> Rig:
        source, sinks = source or FakeSource(), sinks or [FakeSink()]
        announced: list[str] = []
        stream = StreamFormat(*size, Fraction(30), Color())
        options = {"lossless": True, "realtime": False} | plan
        how = Plan(lambda _: stream, announce=announced.append, **options)  # type: ignore[arg-type]
        telemetry, stop = Telemetry(), threading.Event()
        engine = Engine(HookedBackend(engine_hook), None)
        pipeline = Pipeline(source, engine, sinks, how, telemetry, stop)
        return Rig(source, sinks, telemetry, stop, pipeline, announced)

    return make
