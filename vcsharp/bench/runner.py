"""One call of the bench, from the models to the figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil

from vcsharp.bench.contender import Contender, NotHereError
from vcsharp.bench.frames import FPS
from vcsharp.bench.machine import this_machine
from vcsharp.bench.outcome import Circumstances, Live, Outcome, outcome
from vcsharp.bench.pipelines import paced
from vcsharp.bench.rounds import Rounds, Step, Tell
from vcsharp.bench.suite import Choice, contenders, live_engine, live_frames
from vcsharp.catalogue import Model
from vcsharp.errors import VcsharpError

ROUNDS, QUICK_ROUNDS = 5, 3
LIVE_SHARE, LIVE_LONGEST_S = 0.05, 5.0
"""Of the time, for the run at a camera's pace."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one call is to do."""

    choice: Choice
    seconds: float
    rounds: int


def measure(
    models: Sequence[Model],
    wish: Wish,
    tell: Tell = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Measures until the time is up or `stopped`; what was measured by then is the outcome.

    Args:
        models: cheapest first.
        wish: which groups, for how long.
        tell: told what comes next, before each turn.
        stopped: looked at before each turn.
    """
    tell(Step("looking at the machine", "", 0.0, wish.seconds))
    machine, load = this_machine(), Load()
    lively = "pipeline" in wish.choice.groups and bool(models)
    live_s = min(LIVE_LONGEST_S, LIVE_SHARE * wish.seconds) if lively else 0.0
    taking_turns = contenders(models, wish.choice, machine.cores)
    rounds = _taken(taking_turns, wish, live_s, tell, stopped)
    live = None
    if lively and not stopped():
        tell(Step("a run at a camera's pace", "", rounds.spent_s, wish.seconds))
        live = _live(models[0], live_s)
    facts = Circumstances(
        date=f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
        seconds=rounds.spent_s,
        rounds=rounds.done,
        interrupted=stopped(),
        others_percent=load.others_percent(),
    )
    return outcome(rounds.courses, machine, facts, live)


def _taken(
    taking_turns: Sequence[Contender],
    wish: Wish,
    live_s: float,
    tell: Tell,
    stopped: Callable[[], bool],
) -> Rounds:
    rounds = Rounds(taking_turns, wish.seconds - live_s, wish.rounds, stopped=stopped, tell=tell)
    try:
        rounds.run()
    finally:
        rounds.close()
    return rounds


def _live(model: Model, seconds: float) -> Live | None:
    """None where the network cannot run here; the rows say why."""
    try:
        stats = paced(live_frames(), live_engine(model), seconds)
    except (NotHereError, VcsharpError):
        return None
    return Live(
        name=model.card.name,
        fps=float(FPS),
        latency_ms=stats.latency_ms,
        frames=stats.frames_in,
        dropped=stats.frames_dropped,
    )


class Load:
    """How much of the machine other programs use from now on."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._started_s, self._busy_s, self._own_s = time.monotonic(), _busy_s(), self._ours_s()

    def others_percent(self) -> float:
        """Of all cores together, 0..100."""
        spent_s = (time.monotonic() - self._started_s) * (psutil.cpu_count() or 1)
        others_s = (_busy_s() - self._busy_s) - (self._ours_s() - self._own_s)
        return min(100.0, max(0.0, 100 * others_s / max(spent_s, 1e-9)))

    def _ours_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)


def _busy_s() -> float:
    """User, system and stolen time of all cores since the machine started."""
    times = psutil.cpu_times()
    kinds = ("user", "nice", "system", "irq", "softirq", "steal")
    return float(sum(getattr(times, kind, 0.0) for kind in kinds))
