"""The whole pipeline, from frames in memory to nowhere: one camera, or several at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from vcsharp.bench.contender import CLOCKS, Clocks, Sample, Subject
from vcsharp.bench.frames import FPS, MemorySource
from vcsharp.frame import Color, Frame, Result
from vcsharp.pipeline import Pipeline, Plan, Sharpener
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.null import NullSink
from vcsharp.telemetry import Statistics, Telemetry

MakeSharpener = Callable[[], Sharpener]
"""To an engine. Raises VcsharpError."""


class Kept:
    """An engine that outlives the pipelines it works in; see `Sharpener`."""

    def __init__(self, engine: Sharpener, width: int, height: int) -> None:
        self._engine = engine
        engine.warm_up(width, height)

    def warm_up(self, width: int, height: int) -> None:
        """Was done."""

    def process(self, frame: Frame) -> Frame:
        """The engine's."""
        return self._engine.process(frame)

    def close(self) -> None:
        """Not yet; see `release`."""

    def release(self) -> None:
        """Frees the engine."""
        self._engine.close()


@dataclass(slots=True)
class _Mark:
    """Wall-clock and CPU time of an event, in seconds."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


class _CountingSink(NullSink):
    """Counts, and knows when the last frame came: the end of the run itself is polled for."""

    def __init__(self, clocks: Clocks) -> None:
        super().__init__("null")
        self.frames, self.last, self._clocks = 0, _Mark(), clocks

    def write(self, result: Result) -> None:
        super().write(result)
        self.frames += 1
        self.last = _Mark(self._clocks.wall(), self._clocks.cpu())


class _MarkedSource(MemorySource):
    """Knows when the first frame was asked for."""

    def __init__(self, frames: Sequence[Frame], seconds: float, clocks: Clocks) -> None:
        super().__init__(frames, seconds, clock=clocks.wall)
        self.first, self._clocks = _Mark(), clocks

    def read(self) -> Frame | None:
        if not self.first.wall_s:
            self.first = _Mark(self._clocks.wall(), self._clocks.cpu())
        return super().read()


class Pipelines:
    """Runs the pipeline in turns of its own; see `Contender`.

    Args:
        subject: its size is the run's, its `cameras` how many pipelines run at once.
        frames: what comes in; the pipeline brings it to the run's size and colour.
        make: an engine for each camera.
    """

    def __init__(
        self,
        subject: Subject,
        frames: Callable[[], Sequence[Frame]],
        make: MakeSharpener,
        clocks: Clocks = CLOCKS,
    ) -> None:
        self.subject = subject
        self._frames, self._make, self._clocks = frames, make, clocks
        self._engines: list[Kept] = []
        self._shown = 0

    def prepare(self) -> None:
        """Makes the pictures and the engines, and runs one frame through the pipeline."""
        size = self.subject.size or (1920, 1080)
        self._frames()
        for _ in range(self.subject.cameras):
            self._engines.append(Kept(self._make(), *size))
        self.turn(0.0)

    def turn(self, seconds: float) -> Sample:
        """Frames as fast as they go, through all cameras at once."""
        frames = _rotated(self._frames(), self._shown)
        ways = [_Way(self.subject, frames, engine, self._clocks) for engine in self._engines]
        others = [threading.Thread(target=way.run, args=(seconds,)) for way in ways[1:]]
        for thread in others:
            thread.start()
        ways[0].run(seconds)
        for thread in others:
            thread.join()
        for way in ways:
            if way.error is not None:
                raise way.error
        self._shown += ways[0].sink.frames
        return _joined(ways)

    def close(self) -> None:
        """Frees the engines."""
        while self._engines:
            self._engines.pop().release()


class _Way:
    """One camera's pipeline."""

    def __init__(
        self, subject: Subject, frames: Sequence[Frame], engine: Kept, clocks: Clocks
    ) -> None:
        self.error: Exception | None = None
        self.sink = _CountingSink(clocks)
        self.source: _MarkedSource
        self._size = subject.size or (1920, 1080)
        self._frames, self._engine, self._clocks = frames, engine, clocks

    def run(self, seconds: float) -> None:
        self.source = _MarkedSource(self._frames, seconds, self._clocks)
        plan = Plan(lambda _: stream_of(self._size), lossless=True, realtime=False)
        line = Pipeline(
            self.source, self._engine, [self.sink], plan, Telemetry(), threading.Event()
        )
        try:
            line.run()
        except Exception as error:  # noqa: BLE001 - raised again by the thread that started this one
            self.error = error


def _rotated(frames: Sequence[Frame], shown: int) -> list[Frame]:
    """Goes on where the turn before ended: an engine must not meet the same picture again."""
    start = shown % len(frames)
    return [*frames[start:], *frames[:start]]


def _joined(ways: Sequence[_Way]) -> Sample:
    """From the first frame of any camera to the last of any."""
    first = min((way.source.first for way in ways), key=lambda mark: mark.wall_s)
    last = max((way.sink.last for way in ways), key=lambda mark: mark.wall_s)
    frames = sum(way.sink.frames for way in ways)
    return Sample(frames, last.wall_s - first.wall_s, last.cpu_s - first.cpu_s)


def stream_of(size: tuple[int, int]) -> StreamFormat:
    """What a virtual camera is given."""
    return StreamFormat(*size, FPS, Color())


def paced(
    frames: Sequence[Frame], engine: Sharpener, seconds: float, fps: Fraction = FPS
) -> Statistics:
    """A live run at a camera's pace, newest frame wins: for latency and drops."""
    first, telemetry = frames[0], Telemetry()
    source = MemorySource(frames, seconds, fps)
    plan = Plan(lambda _: stream_of((first.width, first.height)))
    Pipeline(source, engine, [NullSink()], plan, telemetry, threading.Event()).run()
    return telemetry.snapshot()
