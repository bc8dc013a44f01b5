"""How much is sharpened, so that the source's rate is held: the decision alone.

No clock, no thread, no device: times and loads come in as numbers, a step comes out. `pilot.py`
measures, and carries out what is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SHARES = (1 / 2, 1 / 4, 1 / 12, 0.0)
"""Of the tiles: what is tried below the smallest student, at last nothing.

The smallest share is one tile at 1080p, so that a try after nothing costs little.
"""
FULL, CALM = 0.85, 0.60
"""Shares of a frame's time: above the first a step is too dear, below the second it has room."""
CPU_CALM = 0.9
"""Share of the CPU ceiling under which the next step has to stay."""
FIRST_HOLD_S, LONGEST_HOLD_S = 3.0, 60.0
"""Wait before a step up; doubled whenever the last one had to be taken back."""
SETTLED_S = 20.0
"""A step up that lasted so long was right."""


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
    """Of a frame where everything moves, in any unit."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the last frames took at the present step."""

    p95_ms: float
    """Time in the engine that 95 of 100 frames stayed within."""
    period_ms: float
    """A frame's time at the source's rate."""
    cpu: float
    """Of all cores, by this process, 0..1."""


Cause = Literal["rate", "cpu", "room"]
"""The rate could not be held; the CPU ceiling was passed; there is room again."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of step."""

    step: Step
    cause: Cause


def ladder(tiers: Sequence[Tier]) -> list[Step]:
    """The steps for these students, the dearest first, passing pictures on as the last."""
    best_first = sorted(tiers, key=lambda tier: tier.mac_per_px, reverse=True)
    smallest = best_first[-1]
    whole = [Step(tier.model, 1.0, float(tier.mac_per_px)) for tier in best_first]
    return whole + [Step(smallest.model, share, share * smallest.mac_per_px) for share in SHARES]


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
        if self._may_rise(now_s, load):
            self._rose_s = now_s
            return self._go(self._at - 1, now_s, "room")
        return None

    def give_up(self, model: str) -> None:
        """Takes a student that cannot be loaded out of the ladder, unless it is the only one."""
        left = [step for step in self._steps if step.model != model]
        if left:
            cost = self.step.cost
            self._steps = left
            self._at = next((i for i, step in enumerate(left) if step.cost <= cost), len(left) - 1)

    def _excess(self, load: Load) -> Cause | None:
        if load.p95_ms > FULL * load.period_ms:
            return "rate"
        return "cpu" if self._cpu_limit < 1 and load.cpu > self._cpu_limit else None

    def _down(self, now_s: float, load: Load, cause: Cause) -> Decision | None:
        if self._at == len(self._steps) - 1:
            return None
        if self._rose_s is not None and now_s - self._rose_s < SETTLED_S:
            self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S)
        else:
            self._hold_s = FIRST_HOLD_S
        self._rose_s = None
        return self._go(self._affordable(load), now_s, cause)

    def _affordable(self, load: Load) -> int:
        """The first step below that should fit; costs are taken to be in proportion."""
        below = range(self._at + 1, len(self._steps) - 1)
        fits = (index for index in below if self._fits(index, load, FULL, 1.0))
        return next(fits, len(self._steps) - 1)

    def _may_rise(self, now_s: float, load: Load) -> bool:
        if self._at == 0 or self._changed_s is None or now_s - self._changed_s < self._hold_s:
            return False
        # Passing pictures on tells nothing of what sharpening would take: that has to be tried.
        return self.step.cost == 0 or self._fits(self._at - 1, load, CALM, CPU_CALM)

    def _fits(self, index: int, load: Load, of_period: float, of_limit: float) -> bool:
        factor = self._steps[index].cost / self.step.cost
        in_time = factor * load.p95_ms <= of_period * load.period_ms
        return in_time and (self._cpu_limit >= 1 or factor * load.cpu <= of_limit * self._cpu_limit)

    def _go(self, index: int, now_s: float, cause: Cause) -> Decision:
        self._at, self._changed_s = index, now_s
        return Decision(self.step, cause)
