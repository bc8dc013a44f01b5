"""A live run: source, engine and outputs that survive their faults, on the system's terms."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Self

from vcsharp import catalogue
from vcsharp.demand import Demand
from vcsharp.dress import Dressed, Look
from vcsharp.engine.governor import Decision, Tier
from vcsharp.engine.live import LiveEngine
from vcsharp.engine.machine import usable_cores
from vcsharp.engine.pilot import LoadMeter, Pilot, words
from vcsharp.engine.tuning import tune
from vcsharp.engine.worker import DEFAULT_MODEL, Engine, EngineFacts, choose
from vcsharp.faults import FaultLog
from vcsharp.handles import Handles
from vcsharp.settings import RunSettings
from vcsharp.sinks.base import StreamFormat
from vcsharp.sleep import SleepWatch
from vcsharp.sources import make_source
from vcsharp.sources.base import Source
from vcsharp.sources.live import LiveSource, SourceStatus
from vcsharp.states import SourceState
from vcsharp.steering import Parts
from vcsharp.telemetry import Telemetry

LIVE_SIZE = (1920, 1080)
LIVE_FPS = Fraction(30)
SLEEP_S = 2.0
"""How long the machine's sleep is put off for the camera and the GPU to be let go."""
CURE = " (--governor off: all of it, at fewer pictures a second)"
_OFF = (SourceState.PAUSED, SourceState.IDLE, SourceState.ASLEEP, SourceState.ENDED)

DAMAGE = {
    "half": "enlarged from half its size",
    "soft": "blurred by its lens",
    "mjpeg": "compressed by a webcam (MJPEG)",
    "call": "starved by a call's bit rate",
    "still": "good already",
}
"""How a picture looks that one of the shipped experts is for."""


class Live(Handles):
    """The handles and the surviving parts of a live run."""

    def __init__(
        self,
        settings: RunSettings,
        sinks: Sequence[Dressed],
        look: Look,
        telemetry: Telemetry,
        *,
        faults: FaultLog,
        stop: threading.Event,
        announce: Callable[[str], None],
        reread: Callable[[], RunSettings],
        first: Source | None,
    ) -> None:
        """`first` is the source where it was made already; it is not open."""
        self._settings, self._announce, self._telemetry = settings, announce, telemetry
        self._faults, self._announced = faults, ""
        self._first = first
        self._patient = any(sink.paced for sink in sinks)
        if first is None:
            self._check_source(settings.source)
        demand = self._demand(sinks)
        self.engine = self._make_engine()
        self.source = LiveSource(
            self._make_source,
            settings.source,
            stop,
            telemetry=telemetry,
            patient=self._patient,
            size=settings.size_px or LIVE_SIZE,
            wanted=lambda: demand.wanted,
            on_change=self._source_changed,
        )
        super().__init__(
            Parts(self.source, self.engine, sinks, look, demand, telemetry, faults),
            settings,
            announce=announce,
            reread=reread,
            check_source=self._check_source,
        )
        self._sleep = SleepWatch(self._fall_asleep, self._wake)

    def __enter__(self) -> Self:
        super().__enter__()
        self._sleep.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._sleep.close()
        super().__exit__(*details)

    def started(self, stream: StreamFormat, description: str) -> None:
        """See `Handles.started`."""
        super().started(stream, description)
        self.engine.pace(float(stream.fps))
        self._announced = description

    def _demand(self, sinks: Sequence[Dressed]) -> Demand:
        """Only a virtual camera tells of its viewers; without one pictures are always wanted."""
        return Demand(
            [lambda sink=sink: sink.wanted for sink in sinks],  # type: ignore[misc]
            grace_s=self._settings.idle_after,
            active=self._settings.on_demand == "auto" and self._patient,
        )

    def _make_engine(self) -> LiveEngine:
        wish = self._settings
        return LiveEngine(
            self._build_engine,
            wish.model,
            wish.device,
            strength=wish.strength,
            pilot=self._make_pilot(),
            tune=self._tune,
            on_fault=lambda why: self._faults.add("engine", why),
            on_change=self._engine_changed,
        )

    def _build_engine(self, model: str, device: str) -> Engine:
        engine = make_engine(self._settings, model, device)
        return watched(engine, self._telemetry, self._announce)

    def _tune(self, facts: EngineFacts) -> bool:
        """Told by a thread of the engine's; True where a faster set-up was found."""
        wish = self._settings
        if wish.tune == "off" or (facts.backend, facts.device) != ("onnxruntime", "cpu"):
            return False
        model = catalogue.find(wish.model if os.sep in wish.model else facts.model)
        return tune(model, wish.precision, wish.threads, wish.tile, anew=wish.tune == "again")

    def _make_pilot(self) -> Pilot:
        wish = self._settings
        return Pilot(
            _tiers,
            LoadMeter(usable_cores()),
            active=wish.governor == "auto",
            cpu_limit=wish.cpu_limit / 100 if wish.cpu_limit else None,
            on_step=self._stepped,
        )

    def _stepped(self, decision: Decision) -> None:
        """Told by the engine's thread."""
        what = words(decision)
        self._telemetry.stepped(up=decision.cause == "room", words=what)
        said = what or f"{decision.step.model} sharpens the whole picture"
        self._announce(f"engine: {said}{CURE if decision.cause == 'rate' else ''}")

    def _make_source(self, spec: str) -> Source:
        first, self._first = self._first, None
        if first is not None:
            return first
        wish = self._settings
        return make_source(
            spec,
            size=wish.size_px or LIVE_SIZE,
            fps=Fraction(wish.fps).limit_denominator(1001) if wish.fps else LIVE_FPS,
            loop=wish.loop,
            rtsp_transport=wish.rtsp_transport,
        )

    def _check_source(self, spec: str) -> None:
        """Refuses what can be no source. `auto` opens cameras, so only the feed may make it."""
        if spec != "auto":
            self._make_source(spec)

    def _source_changed(self, status: SourceStatus) -> None:
        """Told by the source's thread."""
        state, words = status.state, status.words
        self.engine.need(state not in _OFF)
        self._telemetry.status = _status_words(status)
        if state in (SourceState.LOST, SourceState.STALLED):
            self._faults.add("source", words)
        if state in _OFF:
            self._announce(f"camera off: {words}")
            self._announced = ""
        if state is SourceState.LIVE and status.description != self._announced:
            self._announced = status.description
            self._telemetry.facts = replace(self._telemetry.facts, source=status.name)
            self._announce(f"source: {status.description}")

    def _engine_changed(self) -> None:
        stream = self.parts.stream
        if stream is not None:
            plan = self.engine.plan(stream.width, stream.height)
            facts = self.engine.facts
            self._telemetry.facts = replace(
                self._telemetry.facts,
                model=facts.model,
                expert=facts.expert,
                device=facts.device,
                backend=facts.runtime,
                tile=str(plan),
            )

    def _fall_asleep(self) -> None:
        self.source.hold(SourceState.ASLEEP)
        deadline_s = time.monotonic() + SLEEP_S
        while self._awake() and time.monotonic() < deadline_s:
            time.sleep(0.05)

    def _awake(self) -> bool:
        return self.source.status.state is not SourceState.ASLEEP or self.engine.loaded

    def _wake(self) -> None:
        self.source.release(SourceState.ASLEEP)


def make_engine(wish: RunSettings, model: str, device: str) -> Engine:
    """An engine for a run with these settings. Raises what `choose` raises."""
    return choose(
        model,
        device,
        wish.backend,
        wish.precision,
        wish.threads,
        wish.tile,
        wish.change_threshold,
        wish.expert,
        wish.steady,
    )


def watched(engine: Engine, telemetry: Telemetry, announce: Callable[[str], None]) -> Engine:
    """The engine, which from now on tells what becomes of tiles, and who sharpens them."""

    def changed(facts: EngineFacts) -> None:
        telemetry.facts = replace(telemetry.facts, expert=facts.expert)
        announce(_expert_words(facts))

    engine.on_tiles = lambda t: telemetry.tiles(t.computed, t.kept, t.passed)
    engine.on_expert = changed
    return engine


def _expert_words(facts: EngineFacts) -> str:
    if facts.expert:
        damage = DAMAGE.get(facts.expert, f"like '{facts.expert}'")
        return f"picture looks {damage}; using {facts.model}'s expert '{facts.expert}'"
    return f"picture looks like none of the experts' kinds; {facts.model} itself goes on"


def _tiers() -> tuple[list[Tier], str]:
    """The students that `auto` may take, and the one to begin with."""
    tiers = [Tier(model.card.name, model.card.mac_per_px) for model in catalogue.tiers()]
    return tiers, DEFAULT_MODEL


def _status_words(status: SourceStatus) -> str:
    if status.state is SourceState.LIVE:
        return "live"
    if status.state is SourceState.LOST:
        return f"reconnecting: {status.words}"
    return f"{status.state}: {status.words}".rstrip(": ")
