"""How much is sharpened, so that the source's rate is held: the decision alone.

No clock, no thread, no device: times and loads come in as numbers, a step comes out. `pilot.py`
measures, and carries out what is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MOST_SHARES = 6
"""Steps between the whole picture and nothing, one tile not counted."""
FULL, EDGE, CALM = 0.85, 0.80, 0.60
"""Shares of a frame's time: twice in a row above the first, a step is too dear; up to the second a
larger share is tried; up to the last there is room for a larger student, or for several steps."""
CPU_CALM = 0.9
"""Share of the CPU ceiling under which the next step has to stay."""
FIRST_HOLD_S, LONGEST_HOLD_S = 3.0, 300.0
"""Wait before a step up; doubled whenever the last one had to be taken back."""
SETTLED_S = 60.0
"""A step up that lasted so long was right."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """How a frame is cut, and how many of its tiles are worked on at once."""

    tiles: int = 12
    lanes: int = 1

    def rounds(self, tiles: int) -> int:
        """One after the other; a round with one tile takes as long as one with `lanes`."""
        return -(-tiles // self.lanes)

    def counts(self) -> list[int]:
        """Tiles of the steps below the whole picture, the most first, down to one.

        Full rounds, so that no lane waits; within the last round halves, which save CPU only.
        """
        whole = self.rounds(self.tiles)
        spread = {round(whole * i / (MOST_SHARES + 1)) for i in range(1, MOST_SHARES + 1)}
        counts = {rounds * self.lanes for rounds in spread if 0 < rounds < whole}
        half = min(self.tiles, self.lanes)
        while half := half // 2:
            counts.add(half)
        return sorted(counts | ({1} if self.tiles > 1 else set()), reverse=True)


@dataclass(frozen=True, slots=True)
class Tier:
    """A student that may be chosen."""

    model: str
    mac_per_px: int


@dataclass(frozen=True, slots=True)
class Step:
    """A way to go on."""

    model: str
    share: float
    """Of a frame's tiles that are computed at most, changed ones first; 0 passes pictures on."""
    cost: float
    """Work in a frame where everything moves, in any unit."""
    time: float
    """From its start to its end, in the same unit for all steps: rounds count, not tiles."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the last frames took at the present step."""

    p95_ms: float
    """Time in the engine that 95 of 100 frames stayed within."""
    period_ms: float
    """A frame's time at the source's rate."""
    cpu: float
    """Of all cores, by this process, 0..1."""
    engine_cpu: float = 1.0
    """The engine's part of that, at most; the rest (reading, decoding, output) stays as it is."""


Cause = Literal["rate", "cpu", "room"]
"""The rate could not be held; the CPU ceiling was passed; there is room again."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of step."""

    step: Step
    cause: Cause


def ladder(tiers: Sequence[Tier], sharing: Sharing) -> list[Step]:
    """The steps for these students, the dearest first, passing pictures on as the last."""
    best_first = sorted(tiers, key=lambda tier: tier.mac_per_px, reverse=True)
    whole = [
        Step(tier.model, 1.0, float(tier.mac_per_px), float(tier.mac_per_px)) for tier in best_first
    ]
    return whole + [_part(best_first[-1], sharing, count) for count in (*sharing.counts(), 0)]


def _part(tier: Tier, sharing: Sharing, tiles: int) -> Step:
    share = tiles / sharing.tiles
    rounds = sharing.rounds(tiles) / sharing.rounds(sharing.tiles)
    return Step(tier.model, share, share * tier.mac_per_px, rounds * tier.mac_per_px)


class Governor:
    """Walks up and down a ladder. For one thread at a time.

    Args:
        steps: from the dearest to the cheapest, which is last and takes no time.
        start: index of the first step.
        cpu_limit: share of all cores that this process may use; 1 or more is no limit.
    """

    def __init__(self, steps: Sequence[Step], start: int, cpu_limit: float = 1.0) -> None:
        self._steps, self._at, self._cpu_limit = list(steps), start, cpu_limit
        self._hold_s = FIRST_HOLD_S
        self._changed_s: float | None = None
        self._rose_s: float | None = None
        self._near = False
        """The last load was above `FULL`, though in time."""

    @property
    def step(self) -> Step:
        """The present one."""
        return self._steps[self._at]

    def decide(self, now_s: float, load: Load) -> Decision | None:
        """A change, or None. `load` was measured since the last change; `now_s` on any clock."""
        if self._changed_s is None:
            self._changed_s = now_s
        cause = self._excess(load)
        if cause is not None:
            return self._down(now_s, load, cause)
        above = self._above(now_s, load)
        if above is not None:
            self._rose_s = now_s
            return self._go(above, now_s, "room")
        return None

    def reshape(self, steps: Sequence[Step]) -> None:
        """Takes another ladder for the same students: the tiles are others now.

        The place is the first one that takes no more work than the present one.
        """
        models = {step.model for step in self._steps}
        self._move_to([step for step in steps if step.model in models])

    def give_up(self, model: str) -> None:
        """Takes a student that cannot be loaded out of the ladder, unless it is the only one."""
        left = [step for step in self._steps if step.model != model]
        if left:
            self._move_to(left)

    def _move_to(self, steps: list[Step]) -> None:
        cost = self.step.cost
        self._steps = steps
        self._at = next((i for i, step in enumerate(steps) if step.cost <= cost), len(steps) - 1)

    def _excess(self, load: Load) -> Cause | None:
        near, self._near = self._near, load.p95_ms > FULL * load.period_ms
        if load.p95_ms > load.period_ms or (near and self._near):
            return "rate"
        return "cpu" if self._cpu_limit < 1 and load.cpu > self._cpu_limit else None

    def _down(self, now_s: float, load: Load, cause: Cause) -> Decision | None:
        if self._at == len(self._steps) - 1:
            return None
        if self._rose_s is not None and now_s - self._rose_s < SETTLED_S:
            self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S)
        elif self._changed_s is not None and now_s - self._changed_s >= SETTLED_S:
            self._hold_s = FIRST_HOLD_S
        self._rose_s = None
        return self._go(self._affordable(load), now_s, cause)

    def _affordable(self, load: Load) -> int:
        """The first step below that should fit.

        Where no number of rounds does, the lanes may be taken by other programs: then fewer tiles
        are tried once, before all are passed on.
        """
        below = range(self._at + 1, len(self._steps) - 1)
        by_rounds = (i for i in below if self._fits(i, load, FULL, 1.0))
        by_work = (i for i in below if self._fits(i, load, FULL, 1.0, by_rounds=False))
        return next(by_rounds, next(by_work, len(self._steps) - 1))

    def _above(self, now_s: float, load: Load) -> int | None:
        """The step to rise to, if it is time and one should fit."""
        if self._at == 0 or self._changed_s is None or now_s - self._changed_s < self._hold_s:
            return None
        if self.step.cost == 0:  # tells nothing of what sharpening would take: that is tried
            return self._at - 1
        model = self.step.model
        alike = [i for i in range(self._at) if self._steps[i].model == model]
        calm = (i for i in alike or [self._at - 1] if self._fits(i, load, CALM, CPU_CALM))
        edge = (i for i in alike[-1:] if self._fits(i, load, EDGE, CPU_CALM))
        return next(calm, next(edge, None))

    def _fits(
        self, index: int, load: Load, of_period: float, of_limit: float, *, by_rounds: bool = True
    ) -> bool:
        there, here = self._steps[index], self.step
        work = there.cost / here.cost
        in_time = (there.time / here.time if by_rounds else work) * load.p95_ms
        if in_time > of_period * load.period_ms:
            return False
        return self._cpu_limit >= 1 or _cpu_at(work, load) <= of_limit * self._cpu_limit

    def _go(self, index: int, now_s: float, cause: Cause) -> Decision:
        self._at, self._changed_s, self._near = index, now_s, False
        return Decision(self.step, cause)


def _cpu_at(work: float, load: Load) -> float:
    """Of all cores, with so many times the work.

    On the way down all is taken to shrink, so that no step too many is gone; one too few is
    noticed a second later.
    """
    if work <= 1:
        return work * load.cpu
    return load.cpu + (work - 1) * min(load.cpu, load.engine_cpu)
