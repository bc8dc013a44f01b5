"""Measures a live engine, asks the governor once a second, and tells of its decisions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from vcsharp.engine.governor import Decision, Governor, Load, Sharing, Tier, ladder
from vcsharp.frame import Frame

PERIOD_S, LONGEST_PERIOD_S = 1.0, 3.0
FEWEST_FRAMES = 8
"""In a period, for a p95 that says something; where frames take that long, two have to do."""
GRACE_S = 2.0
"""After a start: caches, clocks and other programs settle."""
NOBODY: Callable[[Decision], None] = lambda _: None  # noqa: E731


class LoadMeter:
    """What frames took since the last `reset`. For one thread.

    Args:
        cores: that make up the machine.
        clock: seconds; replaced in tests.
        cpu: seconds that all threads of this process have used; replaced in tests.
    """

    def __init__(
        self,
        cores: int,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._cores, self.clock, self._cpu = cores, clock, cpu
        self.reset()

    def reset(self, grace_s: float = 0.0) -> None:
        """Forgets all frames, and those of the next `grace_s` seconds."""
        self._from_s = self.clock() + grace_s
        self._cpu_s = self._cpu()
        self._took_ms: list[float] = []
        self._worked_s = 0.0
        self._first: Frame | None = None
        self._source_ms = 0.0

    def frame(self, frame: Frame, took_s: float, lanes: int = 1) -> None:
        """`frame` was `took_s` in the engine, which worked on `lanes` tiles at once."""
        if self.clock() < self._from_s:
            self._cpu_s = self._cpu()
            return
        self._took_ms.append(1e3 * took_s)
        self._worked_s += took_s * lanes
        first = self._first = self._first or frame
        # Frames that were dropped on the way here leave gaps in the numbers.
        count = frame.sequence - first.sequence
        if count > 0:
            self._source_ms = (frame.captured_ns - first.captured_ns) / count / 1e6

    def load(self, sink_period_ms: float) -> Load | None:
        """Since the last reset; None until enough was seen. `sink_period_ms` is the rate sent."""
        span_s = self.clock() - self._from_s
        fewest = FEWEST_FRAMES if span_s < LONGEST_PERIOD_S else 2
        if span_s < PERIOD_S or len(self._took_ms) < fewest:
            return None
        return Load(
            p95_ms=float(np.percentile(self._took_ms, 95)),
            period_ms=max(sink_period_ms, self._source_ms),
            cpu=(self._cpu() - self._cpu_s) / span_s / self._cores,
            engine_cpu=self._worked_s / span_s / self._cores,
        )


class Pilot:
    """Chooses student and share for a live engine.

    Thread-safety: `begin` and `period_s` are for any thread, the rest for the engine's.

    Args:
        tiers: the students that `auto` may take, and where to begin.
        active: whether `auto` is governed; a CPU limit is kept either way.
        cpu_limit: share of all cores, 0..1; None is no limit.
        meter: measures.
        on_step: told each change.
    """

    def __init__(
        self,
        tiers: Callable[[], tuple[Sequence[Tier], str]],
        meter: LoadMeter,
        *,
        active: bool = True,
        cpu_limit: float | None = None,
        on_step: Callable[[Decision], None] = NOBODY,
    ) -> None:
        self._tiers, self._meter, self._active = tiers, meter, active
        self._cpu_limit, self._on_step = cpu_limit, on_step
        self._governor: Governor | None = None
        self._students: Sequence[Tier] = ()
        self._sharing = Sharing()
        self._fixed = ""
        self._words = ""
        self.period_s = 1 / 30
        """Of the pictures that are sent."""

    def begin(self, asked: str) -> str:
        """Somebody wants this model, maybe `auto`; returns the one to run first."""
        self._fixed, self._words, self._governor = asked, "", None
        if asked == "auto" and (self._active or self._cpu_limit):
            self._start(*self._tiers())
        elif asked != "none" and self._cpu_limit:
            self._start([Tier(asked, 1)], asked)
        return self.model

    @property
    def model(self) -> str:
        """That should run now."""
        governor = self._governor
        return governor.step.model if governor else self._fixed

    @property
    def share(self) -> float:
        """Of a frame's tiles that may be computed."""
        governor = self._governor
        return governor.step.share if governor else 1.0

    @property
    def words(self) -> str:
        """Why less than everything is sharpened, for people; empty where nothing is left out."""
        return self._words

    def ran(self, frame: Frame, took_s: float, sharing: Sharing) -> None:
        """The engine, with `model` and `share`, had `frame` for so long; `sharing` is of its tiles.

        Tiles change with a measurement of what suits the machine, with another network's halo and
        with the size of the picture.
        """
        governor = self._governor
        if governor is None:
            return
        if sharing != self._sharing:
            self._sharing = sharing
            governor.reshape(ladder(self._students, sharing))
        tiles = max(1, round(self.share * sharing.tiles))
        self._meter.frame(frame, took_s, min(sharing.lanes, tiles))
        load = self._meter.load(1e3 * self.period_s)
        if load is None:
            return
        self._meter.reset()
        decision = governor.decide(self._meter.clock(), load)
        if decision is not None:
            self._words = words(decision)
            self._on_step(decision)

    def changing(self) -> None:
        """Another network is on its way: what the old one takes no longer counts."""
        self._meter.reset()

    def cannot(self, model: str) -> None:
        """A student could not be loaded: it is not tried again."""
        if self._governor is not None:
            self._governor.give_up(model)

    def _start(self, tiers: Sequence[Tier], first: str) -> None:
        self._meter.reset(GRACE_S)
        self._students = tiers
        steps = ladder(tiers, self._sharing)
        start = next(i for i, step in enumerate(steps) if step.model == first)
        self._governor = Governor(steps, start, self._cpu_limit or 1.0)


def words(decision: Decision) -> str:
    """What is left out, and why; empty where nothing is."""
    step = decision.step
    if step.share == 1:
        return ""
    why = {
        "rate": "the machine is too slow for more",
        "cpu": "the CPU limit allows no more",
        "room": "more is tried step by step",
    }[decision.cause]
    what = f"at most {step.share:.0%} of the picture is sharpened, changed parts first"
    return f"{what if step.share else 'pictures pass unsharpened'}: {why}"
