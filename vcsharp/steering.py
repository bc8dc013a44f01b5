"""A run's handles: what it tells of itself, and how it is changed while it goes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import psutil

import vcsharp
from vcsharp import catalogue
from vcsharp.control.model import (
    Change,
    EngineView,
    Fault,
    Figures,
    ModelChoice,
    Options,
    Reloaded,
    SinkView,
    SourceChoice,
    SourceView,
    State,
)
from vcsharp.demand import Demand
from vcsharp.dress import Dressed, Look
from vcsharp.engine.live import EngineStatus
from vcsharp.engine.worker import NO_MODEL, EngineFacts
from vcsharp.faults import FaultLog
from vcsharp.frame import Result
from vcsharp.settings import RunSettings
from vcsharp.sinks.base import StreamFormat
from vcsharp.sources.cameras import CameraInfo, list_cameras
from vcsharp.sources.live import SourceStatus
from vcsharp.sources.urls import redact
from vcsharp.states import SinkState, SourceState
from vcsharp.telemetry import Telemetry

CHANGEABLE = ("source", "model", "strength", "compare", "overlay")
"""Settings that take effect while running."""
CPU_PERIOD_S = 1.0


class Tap:
    """Holds the newest result for whoever asks. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self._result: Result | None = None

    def __call__(self, result: Result) -> None:
        """Takes the place of the last result."""
        with self._changed:
            self._number += 1
            self._result = result
            self._changed.notify_all()

    def newest(self, after: int, timeout_s: float) -> tuple[int, Result] | None:
        """The newest result and its number, as soon as that is not `after`; None if too late."""
        with self._changed:
            self._changed.wait_for(lambda: self._number not in (0, after), timeout_s)
            if self._result is None or self._number == after:
                return None
            return self._number, self._result


class SourceHandle(Protocol):
    """What can be asked of a source from outside. Thread-safe."""

    @property
    def status(self) -> SourceStatus:
        """As it is now."""

    def use(self, spec: str) -> None:
        """Changes to another source. Raises SettingsError where that makes no sense."""

    def hold(self, reason: SourceState) -> None:
        """Closes the device for a while. Raises SettingsError where that makes no sense."""

    def release(self, reason: SourceState) -> None:
        """Takes a hold back."""


class EngineHandle(Protocol):
    """What can be asked of an engine from outside. Thread-safe."""

    strength: float

    @property
    def facts(self) -> EngineFacts:
        """Of the engine that runs, or ran last."""

    @property
    def model(self) -> str:
        """What was asked for last."""

    @property
    def status(self) -> EngineStatus:
        """As it is now."""

    def use(self, model: str) -> None:
        """Changes to another network. Raises SettingsError where that makes no sense."""


@dataclass(slots=True)
class Parts:
    """What a run is made of."""

    source: SourceHandle
    engine: EngineHandle
    sinks: Sequence[Dressed]
    look: Look
    demand: Demand
    telemetry: Telemetry
    faults: FaultLog
    tap: Tap = field(default_factory=Tap)
    stream: StreamFormat | None = None
    """Known once the run has started."""


class Steering:
    """Fulfils `control.runtime.Runtime`. Every method may be called from any thread."""

    def __init__(
        self,
        parts: Parts,
        settings: RunSettings,
        check_source: Callable[[str], object],
        reread: Callable[[], RunSettings],
    ) -> None:
        """`check_source` raises SettingsError for a word that names no source.

        `reread` gives the settings as they are now in file and variables, under the same flags.
        """
        self._parts, self._check_source, self._reread = parts, check_source, reread
        self._loaded = settings
        self._source_spec = settings.source
        self._paused = False
        self._lock = threading.Lock()
        self._started_s = time.monotonic()
        self._cpu = _CpuMeter()

    def state(self) -> State:
        """See `Runtime.state`."""
        parts, stream = self._parts, self._parts.stream
        latency_ms = parts.telemetry.snapshot().latency_ms
        return State(
            version=vcsharp.__version__,
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self._started_s, 1),
            paused=self._paused,
            wanted=parts.demand.wanted,
            on_demand=parts.demand.active,
            size=f"{stream.width}x{stream.height}" if stream else "",
            fps=float(stream.fps) if stream else 0.0,
            delay_ms=latency_ms["p50"],
            options=self._options(),
            source=self._source_view(),
            engine=self._engine_view(),
            sinks=[_sink_view(sink) for sink in parts.sinks],
            figures=self._figures(),
            faults=[
                Fault.model_validate(
                    {"at_s": f.at_s, "where": f.where, "what": redact(f.what), "count": f.count}
                )
                for f in parts.faults.newest()
            ],
        )

    def change(self, wish: Change) -> State:
        """See `Runtime.change`."""
        if wish.source is not None:
            self._check_source(wish.source)
        if wish.model not in (None, "auto", NO_MODEL):
            catalogue.find(str(wish.model))
        with self._lock:
            self._apply(wish)
        return self.state()

    def pause(self) -> State:
        """See `Runtime.pause`."""
        with self._lock:
            self._parts.source.hold(SourceState.PAUSED)
            self._paused = True
        return self.state()

    def resume(self) -> State:
        """See `Runtime.resume`."""
        with self._lock:
            self._paused = False
            self._parts.source.release(SourceState.PAUSED)
        return self.state()

    def reload(self) -> Reloaded:
        """See `Runtime.reload`."""
        fresh = self._reread()
        differing = [
            name
            for name in type(fresh).model_fields
            if getattr(fresh, name) != getattr(self._loaded, name)
        ]
        applied = [name for name in differing if name in CHANGEABLE]
        self.change(Change.model_validate({name: getattr(fresh, name) for name in applied}))
        self._loaded = fresh
        return Reloaded(
            applied=applied, needs_restart=[name for name in differing if name not in applied]
        )

    def sources(self) -> list[SourceChoice]:
        """See `Runtime.sources`."""
        cameras = [c for c in list_cameras() if (c.captures or c.problem) and not c.virtual]
        return [*map(_camera_choice, cameras), _DEMO]

    def models(self) -> list[ModelChoice]:
        """See `Runtime.models`."""
        known = [
            ModelChoice(model=m.card.name, summary=m.card.summary, mac_per_px=m.card.mac_per_px)
            for m in catalogue.every()
        ]
        return [*known, ModelChoice(model=NO_MODEL, summary="no network: the picture as it is")]

    def newest(self, after: int, timeout_s: float) -> tuple[int, Result] | None:
        """See `Runtime.newest`."""
        self._parts.demand.look()
        return self._parts.tap.newest(after, timeout_s)

    def dressed(self, result: Result) -> Result:
        """See `Runtime.dressed`."""
        return self._parts.look.for_page(result)

    def _apply(self, wish: Change) -> None:
        parts = self._parts
        # First what may be refused, so that a refused wish changes nothing.
        if wish.source is not None:
            parts.source.use(wish.source)
            self._source_spec = wish.source
        if wish.model is not None and wish.model != parts.engine.model:
            parts.engine.use(wish.model)
        if wish.strength is not None:
            parts.engine.strength = wish.strength
        parts.look.compare = wish.compare or parts.look.compare
        parts.look.overlay = wish.overlay or parts.look.overlay

    def _options(self) -> Options:
        parts = self._parts
        return Options.model_validate(
            {
                "source": redact(self._source_spec),
                "model": parts.engine.model,
                "strength": parts.engine.strength,
                "compare": parts.look.compare,
                "overlay": parts.look.overlay,
            }
        )

    def _source_view(self) -> SourceView:
        status = self._parts.source.status
        return SourceView(
            name=status.name,
            description=status.description,
            state=status.state,
            words=redact(status.words),
            since_s=round(time.monotonic() - status.since_s, 1),
            width=status.width,
            height=status.height,
            fps=round(status.fps, 3),
            reconnects=status.reconnects,
            stalls=status.stalls,
        )

    def _engine_view(self) -> EngineView:
        facts, status = self._parts.engine.facts, self._parts.engine.status
        return EngineView(
            state=status.state,
            words=status.words,
            model=facts.model,
            device=facts.device,
            backend=facts.runtime,
            restarts=status.restarts,
            share=status.share,
            expert=facts.expert,
        )

    def _figures(self) -> Figures:
        telemetry = self._parts.telemetry
        now = telemetry.snapshot()
        fps_in, fps_out = telemetry.rates()
        return Figures(
            frames_in=now.frames_in,
            frames_out=now.frames_out,
            frames_dropped=now.frames_dropped,
            frames_repeated=now.frames_repeated,
            fps_in=round(fps_in, 1),
            fps_out=round(fps_out, 1),
            latency_ms=now.latency_ms,
            stage_ms=now.stage_ms,
            cpu_percent=self._cpu.percent(),
            rss_mib=now.rss_mib,
            tiles=now.tiles,
            kept_percent=now.kept_percent,
            steps=now.steps,
        )


class _CpuMeter:
    """CPU time of this process as a share of one core, over the last second or more."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._asked_s, self._used_s, self._percent = time.monotonic(), self._cpu_s(), 0.0

    def percent(self) -> float:
        with self._lock:
            span_s = time.monotonic() - self._asked_s
            if span_s >= CPU_PERIOD_S:
                used_s = self._cpu_s()
                self._percent = round(100 * (used_s - self._used_s) / span_s, 1)
                self._asked_s, self._used_s = self._asked_s + span_s, used_s
            return self._percent

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


_DEMO = SourceChoice(
    source="demo",
    title="Demo scene",
    details="generated here, degraded like a bad call",
)


def _camera_choice(camera: CameraInfo) -> SourceChoice:
    sizes = ", ".join(f"{width}x{height}" for width, height in camera.sizes[:4])
    return SourceChoice(
        source=camera.stable_path or camera.path,
        title=camera.card or f"Camera {camera.path}",
        details=camera.problem or f"{camera.path}: {' '.join(camera.formats)} {sizes}".rstrip(),
        usable=not camera.problem,
    )


def _sink_view(sink: Dressed) -> SinkView:
    """`Persistent` and `Expendable` tell more than a plain sink, which works while the run does."""
    words = getattr(sink.inner, "words", "")
    state = getattr(sink.inner, "state", SinkState.WRITING if sink.description else None)
    return SinkView(
        name=sink.name,
        # The page's address holds its key, which is for the browser only.
        description=redact(getattr(sink.inner, "description", sink.description)),
        state=SinkState(state or SinkState.OPENING),
        words=redact(words),
        wanted=sink.wanted,
    )
