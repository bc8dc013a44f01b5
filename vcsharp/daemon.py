"""From settings to a running pipeline: chooses, opens, watches, and tells how it went.

A run is either lossless (a recording into files: nothing is dropped, the first fault ends it) or
live (anything else: source, engine and virtual cameras survive their faults, and the run can be
steered while it goes).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import webbrowser
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
from rich.console import Console

from vcsharp.console import RunView, make_view
from vcsharp.demand import Demand
from vcsharp.dress import Dressed, Look
from vcsharp.engine.live import LiveEngine
from vcsharp.engine.worker import Engine, has_nvidia
from vcsharp.errors import BackendError, SettingsError, SinkError, SourceError, VcsharpError
from vcsharp.faults import FaultLog
from vcsharp.frame import Color, Frame
from vcsharp.handles import Handles
from vcsharp.live import LIVE_FPS, LIVE_SIZE, Live, make_engine, watched
from vcsharp.notify import Notifier, inherited
from vcsharp.overlay import with_line
from vcsharp.pipeline import Pipeline, Plan
from vcsharp.recording import FixedEngine, FixedSource
from vcsharp.settings import RunSettings
from vcsharp.signals import signals_obeyed
from vcsharp.sinks import make_sink, virtual_available
from vcsharp.sinks.base import Sink, StreamFormat
from vcsharp.sinks.expendable import Expendable
from vcsharp.sinks.kept import Kept
from vcsharp.sinks.persistent import Persistent
from vcsharp.sources import make_source
from vcsharp.sources.base import Source, SourceFormat
from vcsharp.steering import Parts
from vcsharp.telemetry import RunFacts, Telemetry

log = logging.getLogger(__name__)

NEVER_CAME_UP = 3


def run(settings: RunSettings, console: Console, reread: Callable[[], RunSettings]) -> int:
    """Runs until the source ends, a limit is reached or a signal asks to stop; returns 0.

    `reread` gives the settings as file and variables have them at that moment.

    Raises:
        VcsharpError: with `exit_code` 3 if the run never came up, else 1 (2 for settings).
    """
    cv2.setNumThreads(1)  # its pool spins; our threads are already one for each stage
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # our errors say it better
    _check_statistics_file(settings.stats)
    return _Run(settings, make_view(console), reread).run()


class _Run:
    """The parts of one run. They are made here and handed to the pipeline, which closes them."""

    def __init__(
        self, settings: RunSettings, view: RunView, reread: Callable[[], RunSettings]
    ) -> None:
        self._settings, self._view = settings, view
        self._stop = threading.Event()
        self._telemetry, self._faults = Telemetry(), FaultLog()
        self._notifier = Notifier.from_environment()
        self._kept = Kept(self._notifier, inherited())
        self._look = Look(settings.compare, settings.overlay, self._with_figures)
        specs = self._sink_specs()
        raw = [self._make_sink(spec) for spec in specs]
        self._paced = any(sink.paced for sink in raw)
        self._sinks = [Dressed(self._robust(sink), self._look) for sink in raw]
        self._engine: Engine | LiveEngine
        self._source: Source
        self._handles = self._make_handles(self._recording(), reread)
        self._tell_engine()
        self._progress = _Progress(len(self._sinks), self._all_wrote)

    def run(self) -> int:
        pipeline = Pipeline(
            self._source,
            self._engine,
            self._sinks,
            self._plan(),
            self._telemetry,
            self._stop,
        )
        auto = self._source.name == "auto"
        try:
            with self._handles, signals_obeyed(self._stop, self._reload):
                # Told once signals are obeyed: whoever reads it may send one.
                self._announce("looking for a camera" if auto else f"opening {self._source.name}")
                pipeline.run()
        except VcsharpError as error:
            if not pipeline.up and isinstance(error, SourceError | SinkError | BackendError):
                error.exit_code = NEVER_CAME_UP
            raise
        finally:
            self._notifier.stopping()
            self._view.finish()
            self._write_statistics()
        return 0

    def _plan(self) -> Plan:
        wish = self._settings
        return Plan(
            stream_for=self._stream_for,
            lossless=self._lossless,
            realtime=any(sink.realtime for sink in self._sinks),
            fps=self._wished_fps(),
            frames=wish.frames,
            seconds=wish.seconds,
            announce=self._announce,
            tap=self._handles.tap,
            wrote=self._progress.wrote,
        )

    def _recording(self) -> Source | None:
        """The source, if it may turn out to be a recording into files; else it is made later."""
        if self._paced or all(sink.realtime for sink in self._sinks):
            return None
        wish = self._settings
        return make_source(
            wish.source,
            size=wish.size_px or LIVE_SIZE,
            fps=self._wished_fps() or LIVE_FPS,
            loop=wish.loop,
            rtsp_transport=wish.rtsp_transport,
        )

    def _make_handles(self, first: Source | None, reread: Callable[[], RunSettings]) -> Handles:
        """Makes source and engine, as the kind of run wants them."""
        self._lossless = first is not None and first.lossless
        if first is not None and first.lossless:
            return self._make_conversion(first, reread)
        live = Live(
            self._settings,
            self._sinks,
            self._look,
            self._telemetry,
            faults=self._faults,
            stop=self._stop,
            announce=self._announce,
            reread=reread,
            first=first,
        )
        self._source, self._engine = live.source, live.engine
        return live

    def _make_conversion(self, source: Source, reread: Callable[[], RunSettings]) -> Handles:
        self._source, self._engine = source, self._choose_engine()
        parts = Parts(
            FixedSource(source),
            FixedEngine(self._engine),
            self._sinks,
            self._look,
            Demand([], grace_s=1, active=False),
            self._telemetry,
            self._faults,
        )
        return Handles(
            parts,
            self._settings,
            announce=self._announce,
            reread=reread,
            check_source=lambda _: None,
        )

    def _choose_engine(self) -> Engine:
        wish = self._settings
        engine = make_engine(wish, wish.model, wish.device)
        engine.strength = wish.strength
        return watched(engine, self._telemetry, self._announce)

    def _tell_engine(self) -> None:
        facts = self._engine.facts
        none = self._settings.device == "auto" and not has_nvidia()
        why = " (no GPU found)" if none else ""
        self._announce(f"engine: {facts.title} on {facts.device}, {facts.runtime}{why}")

    def _wished_fps(self) -> Fraction | None:
        fps = self._settings.fps
        return Fraction(fps).limit_denominator(1001) if fps else None

    def _sink_specs(self) -> list[str]:
        """The sinks asked for, `auto` resolved; each at most once."""
        specs = [self._resolved(spec) for spec in self._settings.sink]
        twice = next((spec for spec in specs if specs.count(spec) > 1), None)
        if twice is not None:
            raise SettingsError(f"sink: '{twice}' is named twice; name each output once")
        return specs

    def _resolved(self, spec: str) -> str:
        if spec != "auto":
            return spec
        device = virtual_available()
        if device is not None:
            self._announce(f"output: virtual camera {device}")
            return "virtual"
        self._announce("output: preview page (no virtual camera found)")
        return "preview"

    def _make_sink(self, spec: str) -> Sink:
        wish = self._settings
        return make_sink(
            spec,
            force=wish.force,
            preview_port=wish.preview_port,
            pixel_format=wish.pixel_format,
            source_path=Path(wish.source) if Path(wish.source).is_file() else None,
            serve=lambda port: self._handles.page_url(port),
            watched=lambda: self._handles.watched,
            kept=self._kept,
        )

    def _robust(self, sink: Sink) -> Sink:
        """A virtual camera outlives its device; what is beside it must not end the call."""
        if sink.paced:
            return Persistent(sink, lambda why: self._faults.add("sink", why))
        if self._paced:
            return Expendable(sink, lambda why: self._faults.add("sink", why))
        return sink

    def _stream_for(self, found: SourceFormat) -> StreamFormat:
        """Size, rate and colour of the run; called once by the source's thread."""
        wish = self._settings
        width, height = wish.size_px or (self._own_size(found) if self._lossless else LIVE_SIZE)
        own_fps = found.fps if self._lossless else LIVE_FPS
        stream = StreamFormat(
            width,
            height,
            self._wished_fps() or own_fps,
            # What applications take a camera's bytes for, whatever the device says.
            Color() if self._paced else found.color,
        )
        self._tell_facts(stream)
        self._handles.started(stream, found.description)
        self._view.start(self._telemetry, self._expected_frames(found))
        return stream

    def _own_size(self, found: SourceFormat) -> tuple[int, int]:
        """The source's size, made even where H.264 in 4:2:0 needs it."""
        if any(sink.name.lower().endswith((".mp4", ".mov")) for sink in self._sinks):
            return found.width + found.width % 2, found.height + found.height % 2
        return found.width, found.height

    def _expected_frames(self, found: SourceFormat) -> int | None:
        """For the progress bar; None where nobody knows."""
        wish = self._settings
        if not self._lossless or wish.loop:
            return wish.frames
        fps = min(found.fps, self._wished_fps() or found.fps)
        by_time = int(wish.seconds * fps) if wish.seconds is not None else None
        own = int(found.frames * fps / found.fps) if found.frames is not None else None
        counts = [count for count in (wish.frames, by_time, own) if count is not None]
        return min(counts) if counts else None

    def _tell_facts(self, stream: StreamFormat) -> None:
        facts = self._engine.facts
        self._telemetry.facts = RunFacts(
            source=self._source.name,
            sinks=tuple(sink.name for sink in self._sinks),
            model=facts.model,
            expert=facts.expert,
            device=facts.device,
            backend=facts.runtime,
            size=f"{stream.width}x{stream.height}",
            tile=str(self._engine.plan(stream.width, stream.height)),
        )

    def _announce(self, line: str) -> None:
        if not line.startswith("sink: http://"):
            self._view.announce(line)
            return
        url = line.removeprefix("sink: ")
        self._view.announce(f"sink: preview page, open {url} in a browser")
        if self._may_open_browser():
            webbrowser.open(self._handles.once_url())  # other users can read a command line

    def _may_open_browser(self) -> bool:
        wish = self._settings.open_browser
        display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        has_screen = bool(display) or sys.platform in ("darwin", "win32")
        return wish == "yes" or (wish == "auto" and sys.stderr.isatty() and has_screen)

    def _all_wrote(self, first: bool) -> None:  # noqa: FBT001 - the two things there are to tell
        """Every output took a picture since the last time: the proof of life that systemd gets."""
        if first:
            self._notifier.ready(f"sending to {', '.join(sink.name for sink in self._sinks)}")
        self._notifier.progress()

    def _reload(self) -> None:
        self._notifier.reloading()
        self._handles.reload()
        self._notifier.ready("settings read again")

    def _with_figures(self, frame: Frame) -> Frame:
        _, fps_out = self._telemetry.rates()
        p95_ms = self._telemetry.latency_p95_ms()
        network = self._telemetry.facts.title
        return with_line(frame, f"{fps_out:.0f} fps   {p95_ms:.0f} ms   {network}")

    def _write_statistics(self) -> None:
        path = self._settings.stats
        if path is None:
            return
        text = json.dumps(self._telemetry.snapshot().as_dict(), indent=2)
        try:
            path.write_text(text + "\n", "utf-8")
        except OSError as error:
            log.warning("cannot write the statistics to '%s': %s", path, error.strerror)


class _Progress:
    """Waits until every sink has written, again and again. `wrote` is for the sinks' threads."""

    def __init__(self, count: int, then: Callable[[bool], None]) -> None:
        """`then` is told True the first time."""
        self._all = frozenset(range(count))
        self._then = then
        self._lock = threading.Lock()
        self._written: set[int] = set()
        self._first = True

    def wrote(self, number: int) -> None:
        """Sink `number` took a picture."""
        with self._lock:
            self._written.add(number)
            if self._written != self._all:
                return
            self._written.clear()
            first, self._first = self._first, False
        self._then(first)


def _check_statistics_file(path: Path | None) -> None:
    """Refuses early what would only be found out after the run."""
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
        raise SettingsError(f"stats: cannot write '{path}'; name a file in a folder that exists")
