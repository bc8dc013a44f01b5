"""A frame's way, on one page.

    source thread --inbox--> engine thread --outbox--> sink thread (one for each sink)

In a live run the boxes hold one frame and the newest wins, so latency is bounded by construction.
In a lossless run (a file into files) they are short queues that hold the writer back, so nothing is
lost. Each thread opens, uses and closes its own device. The first error stops all of them and is
what `run` raises.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Protocol

from vcsharp.clock import NS_PER_S, Cadence, Timeline, seconds_until
from vcsharp.errors import SourceError
from vcsharp.fit import fit
from vcsharp.frame import Frame, Result
from vcsharp.mailbox import BoundedQueue, Channel, Mailbox, taken, until_closed
from vcsharp.sinks.base import Sink, StreamFormat
from vcsharp.sources.base import Source, SourceFormat
from vcsharp.stage import DRAIN_GRACE_S, LIVE_GRACE_S, Crew
from vcsharp.telemetry import Telemetry

IDLE_REPEAT_S = 0.098
"""A standing picture is written again after so long: readers need ten a second to stay."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run goes about it."""

    stream_for: Callable[[SourceFormat], StreamFormat]
    """Size, rate and colour of the run, once the source is known."""
    lossless: bool = False
    """Drop nothing on the way to files; otherwise live, newest wins."""
    realtime: bool = True
    """Play recordings at their own pace; otherwise as fast as the machine can."""
    fps: Fraction | None = None
    """Take at most so many frames a second; None takes all."""
    frames: int | None = None
    """End after so many frames."""
    seconds: float | None = None
    """End after so many seconds: of the recording in a lossless run, of the clock in a live one."""
    announce: Callable[[str], None] = lambda _: None
    """Takes lines for people, from any thread."""
    tap: Callable[[Result], None] = lambda _: None
    """Sees every result, on the engine's thread; must not wait."""
    wrote: Callable[[int], None] = lambda _: None
    """Told the number of a sink after each of its writes, on its thread."""


class Sharpener(Protocol):
    """What a pipeline asks of its engine. Used by the engine's thread only."""

    def warm_up(self, width: int, height: int) -> None:
        """Gets ready for planes of this size."""

    def process(self, frame: Frame) -> Frame:
        """The sharpened frame."""

    def close(self) -> None:
        """Frees what it holds."""


class Pipeline:
    """One source, one engine, any number of sinks. `run` once, from one thread."""

    def __init__(
        self,
        source: Source,
        engine: Sharpener,
        sinks: Sequence[Sink],
        plan: Plan,
        telemetry: Telemetry,
        stop: threading.Event,
    ) -> None:
        self._source, self._engine, self._sinks = source, engine, sinks
        self._plan, self._telemetry, self._stop = plan, telemetry, stop
        self._inbox: Channel[Frame] = BoundedQueue() if plan.lossless else Mailbox()
        self._outboxes: list[Channel[Result]] = [
            BoundedQueue() if plan.lossless and not sink.realtime else Mailbox() for sink in sinks
        ]
        fleeting = all(sink.realtime for sink in sinks)
        grace_s = LIVE_GRACE_S if fleeting else DRAIN_GRACE_S
        self._crew = Crew(stop, [self._inbox, *self._outboxes], grace_s)
        telemetry.count_drops_of([self._inbox], self._outboxes)

    def run(self) -> None:
        """Ends with the source, at a limit or when `stop` is set. Raises the first error."""
        bodies = {"source": self._source_thread, "engine": self._engine_thread}
        for number, (sink, outbox) in enumerate(zip(self._sinks, self._outboxes, strict=True)):
            bodies[f"sink-{number}"] = partial(self._sink_thread, sink, outbox, number)
        self._crew.run(bodies, None if self._plan.lossless else self._plan.seconds)

    @property
    def up(self) -> bool:
        """True once every device was open."""
        return self._crew.up

    def _source_thread(self) -> None:
        try:
            self._capture()
        except SourceError:
            if not self._stop.is_set():  # else its time-out came after the request to end
                raise
        self._inbox.close()

    def _capture(self) -> None:
        with closing(self._source):
            found = self._source.open()
            if found.description:
                self._plan.announce(f"source: {found.description}")
            self._stream = self._plan.stream_for(found)
            self._crew.meet()  # the format is known
            self._crew.meet()  # every device is open
            self._telemetry.begin("converting" if self._plan.lossless else "live")
            for frame in self._frames():
                self._inbox.put(frame)

    def _engine_thread(self) -> None:
        with closing(self._engine):
            self._crew.meet()
            self._engine.warm_up(self._stream.width, self._stream.height)
            self._crew.meet()
            for frame in islice(until_closed(self._inbox), self._plan.frames):
                with self._telemetry.timed("engine"):
                    result = Result(self._engine.process(frame), frame)
                self._plan.tap(result)
                for outbox in self._outboxes:
                    outbox.put(result)
        for outbox in self._outboxes:
            outbox.close()
        self._stop.set()

    def _sink_thread(self, sink: Sink, outbox: Channel[Result], number: int) -> None:
        last = None
        with closing(sink):
            self._crew.meet()
            self._plan.announce(f"sink: {sink.open(self._stream)}")
            self._crew.meet()
            for result in self._paced(outbox) if sink.paced else until_closed(outbox):
                with self._telemetry.timed("sink"):
                    sink.write(result)
                self._plan.wrote(number)
                if number == 0 and not result.frame.notice:
                    self._telemetry.frame_out(result.frame.captured_ns, new=result is not last)
                last = result

    def _frames(self) -> Iterator[Frame]:
        """Frames in the run's size and colour, at the run's pace, until its end."""
        stream, timeline = self._stream, Timeline()
        frames = _thinned(self._read(), self._plan.fps)
        for frame in islice(frames, self._plan.frames if self._plan.lossless else None):
            if self._source.lossless and self._plan.realtime and frame.timestamp is not None:
                timeline.wait_for(frame.timestamp, self._stop)
                frame = frame.replaced(captured_ns=time.monotonic_ns())
            if not frame.notice:
                self._telemetry.frame_in()
            yield fit(frame, stream.width, stream.height, stream.color)

    def _read(self) -> Iterator[Frame]:
        """What the source delivers, until it ends or the run does."""
        started = None
        while not self._stop.is_set():
            with self._capture_time():
                frame = self._source.read()
            if frame is None:
                return
            if (
                self._plan.lossless
                and self._plan.seconds is not None
                and frame.timestamp is not None
            ):
                started = frame.timestamp if started is None else started
                if frame.timestamp - started >= self._plan.seconds:
                    return
            yield frame

    def _capture_time(self) -> AbstractContextManager[None]:
        """A live source reads on a thread of its own, and measures there."""
        lossless = self._source.lossless
        return self._telemetry.timed("capture", time.thread_time) if lossless else nullcontext()

    def _paced(self, outbox: Channel[Result]) -> Iterator[Result]:
        """Results as they come, thinned to the stream's rate; the last one again if none came."""
        result = taken(outbox)
        cadence = Cadence(self._stream.fps, time.monotonic_ns())
        while True:
            yield result
            cadence.wrote(time.monotonic_ns())
            pause_s = IDLE_REPEAT_S if result.frame.notice else 0.0
            newer = outbox.take(max(pause_s, seconds_until(cadence.repeat_ns)))
            if newer is None:
                self._telemetry.frame_repeated()
                continue
            self._stop.wait(seconds_until(cadence.earliest_ns))
            result = outbox.take(0) or newer


def _thinned(frames: Iterator[Frame], fps: Fraction | None) -> Iterator[Frame]:
    """At most `fps` frames a second, by the recording's time or else by the clock."""
    cadence = None
    for frame in frames:
        time_ns = frame.captured_ns
        if frame.timestamp is not None:
            time_ns = int(frame.timestamp * NS_PER_S)
        if fps is not None:
            cadence = cadence or Cadence(fps, time_ns)
            if time_ns < cadence.earliest_ns:
                continue
            cadence.wrote(time_ns)
        yield frame
