"""From settings to a running pipeline: chooses, opens, watches, and tells how it went."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any

import cv2
from rich.console import Console

from vcsharp.console import RunView, make_view
from vcsharp.dress import Dressed, dresser
from vcsharp.engine.worker import Engine, choose, has_nvidia
from vcsharp.errors import BackendError, SettingsError, SinkError, SourceError, VcsharpError
from vcsharp.frame import Color, Frame
from vcsharp.overlay import with_line
from vcsharp.pipeline import Pipeline, Plan
from vcsharp.settings import RunSettings
from vcsharp.sinks import make_sink, virtual_available
from vcsharp.sinks.base import Sink, StreamFormat
from vcsharp.sources import make_source
from vcsharp.sources.base import Source, SourceFormat
from vcsharp.sources.reopen import Reopening
from vcsharp.telemetry import RunFacts, Telemetry

log = logging.getLogger(__name__)

LIVE_SIZE = (1920, 1080)
LIVE_FPS = Fraction(30)
NEVER_CAME_UP = 3


def run(settings: RunSettings, console: Console) -> int:
    """Runs until the source ends, a limit is reached or a signal asks to stop; returns 0.

    Raises:
        VcsharpError: with `exit_code` 3 if the run never came up, else 1 (2 for settings).
    """
    cv2.setNumThreads(1)  # its pool spins; our threads are already one for each stage
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # our errors say it better
    _check_statistics_file(settings.stats)
    return _Run(settings, make_view(console)).run()


class _Run:
    """The parts of one run. They are made here and handed to the pipeline, which closes them."""

    def __init__(self, settings: RunSettings, view: RunView) -> None:
        self._settings, self._view = settings, view
        self._stop = threading.Event()
        self._telemetry = Telemetry()
        self._engine = self._make_engine()
        self._source = self._make_source()
        self._sinks = [self._make_sink(spec) for spec in self._sink_specs()]
        realtime = [sink.realtime for sink in self._sinks]
        paced = any(sink.paced for sink in self._sinks)
        self._lossless = self._source.lossless and not all(realtime) and not paced
        self._plan = Plan(
            stream_for=self._stream_for,
            lossless=self._lossless,
            realtime=any(realtime),
            fps=self._wished_fps(),
            frames=settings.frames,
            seconds=settings.seconds,
            announce=self._announce,
        )

    def run(self) -> int:
        pipeline = Pipeline(
            self._source, self._engine, self._sinks, self._plan, self._telemetry, self._stop
        )
        self._announce(f"opening {self._source.name}")
        try:
            with _signals_set(self._stop):
                pipeline.run()
        except VcsharpError as error:
            if not pipeline.up and isinstance(error, SourceError | SinkError | BackendError):
                error.exit_code = NEVER_CAME_UP
            raise
        finally:
            self._view.finish()
            self._write_statistics()
        return 0

    def _make_engine(self) -> Engine:
        wish = self._settings
        engine = choose(
            wish.model, wish.device, wish.backend, wish.precision, wish.threads, wish.tile
        )
        engine.strength = wish.strength
        facts = engine.facts
        why = " (no GPU found)" if wish.device == "auto" and not has_nvidia() else ""
        self._announce(f"engine: {facts.model} on {facts.device}, {facts.runtime}{why}")
        return engine

    def _make_source(self) -> Source:
        wish = self._settings
        source = make_source(
            wish.source,
            size=wish.size_px or LIVE_SIZE,
            fps=self._wished_fps() or LIVE_FPS,
            loop=wish.loop,
            rtsp_transport=wish.rtsp_transport,
        )
        if source.lossless:
            return source
        return Reopening(source, self._stop, self._set_status)

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
        sink = make_sink(
            spec,
            force=wish.force,
            preview_port=wish.preview_port,
            pixel_format=wish.pixel_format,
            source_path=Path(wish.source) if Path(wish.source).is_file() else None,
            stats=self._figures,
            overlay=None if wish.overlay == "off" else self._with_figures,
        )
        is_page = spec.partition(":")[0] == "preview"  # draws the figures by itself
        line = self._with_figures if wish.overlay == "all" and not is_page else None
        dress = dresser(wish.compare if sink.dresses or is_page else "off", line)
        return Dressed(sink, dress) if dress else sink

    def _stream_for(self, found: SourceFormat) -> StreamFormat:
        """Size, rate and colour of the run; called once by the source's thread."""
        wish = self._settings
        paced = any(sink.paced for sink in self._sinks)
        width, height = wish.size_px or (self._own_size(found) if self._lossless else LIVE_SIZE)
        own_fps = found.fps if self._lossless else LIVE_FPS
        stream = StreamFormat(
            width,
            height,
            self._wished_fps() or own_fps,
            # What applications take a camera's bytes for, whatever the device says.
            Color() if paced else found.color,
        )
        self._tell_facts(stream)
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
            webbrowser.open(url)

    def _may_open_browser(self) -> bool:
        wish = self._settings.open_browser
        display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        has_screen = bool(display) or sys.platform in ("darwin", "win32")
        return wish == "yes" or (wish == "auto" and sys.stderr.isatty() and has_screen)

    def _set_status(self, words: str) -> None:
        self._telemetry.status = words

    def _figures(self) -> dict[str, Any]:
        """What the preview page shows."""
        fps_in, fps_out = self._telemetry.rates()
        facts = self._telemetry.facts
        return self._telemetry.snapshot().as_dict() | {
            "fps_in": round(fps_in, 1),
            "fps_out": round(fps_out, 1),
            "status": self._telemetry.status,
            "source": facts.source,
            "sinks": list(facts.sinks),
            "strength": self._engine.strength,
        }

    def _with_figures(self, frame: Frame) -> Frame:
        _, fps_out = self._telemetry.rates()
        p95_ms = self._telemetry.latency_p95_ms()
        model = self._telemetry.facts.model
        return with_line(frame, f"{fps_out:.0f} fps   {p95_ms:.0f} ms   {model}")

    def _write_statistics(self) -> None:
        path = self._settings.stats
        if path is None:
            return
        text = json.dumps(self._telemetry.snapshot().as_dict(), indent=2)
        try:
            path.write_text(text + "\n", "utf-8")
        except OSError as error:
            log.warning("cannot write the statistics to '%s': %s", path, error.strerror)


def _check_statistics_file(path: Path | None) -> None:
    """Refuses early what would only be found out after the run."""
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
        raise SettingsError(f"stats: cannot write '{path}'; name a file in a folder that exists")


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set `stop`; a second one ends the process at once with 128 + its number.

    Handlers can only be set in the main thread; elsewhere (tests, embedding) nothing is changed.
    """

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
