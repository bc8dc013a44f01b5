"""One call of the bench: what was measured on what, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vcsharp.bench.figures import (
    Linear,
    Rate,
    Ratio,
    Row,
    linear_in_cameras,
    linear_in_pixels,
    rates,
    ratios,
    rows,
)
from vcsharp.bench.machine import Machine
from vcsharp.bench.rounds import Course, title

SCHEMA = 1
"""Of the JSON document; counts up when a key changes its meaning or goes."""
QUIET_PERCENT = 10.0
"""Below this, other programs' share of the machine is not worth a word."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How the figures were taken."""

    date: str
    """ISO 8601, UTC, to the minute."""
    seconds: float
    rounds: int
    interrupted: bool
    others_percent: float
    """Of all cores together: what other programs used meanwhile."""


@dataclass(frozen=True, slots=True)
class Live:
    """A run at a camera's pace."""

    name: str
    fps: float
    latency_ms: dict[str, float]
    """p50, p95, p99 from the source's return to the end of the sink's write."""
    frames: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """All figures of one call."""

    machine: Machine
    circumstances: Circumstances
    ceilings: list[Rate]
    rows: list[Row]
    linear: list[Linear]
    ratios: list[Ratio]
    live: Live | None = None
    absent: dict[str, list[str]] = field(default_factory=dict)
    """Why something was not measured, and what."""
    failed: dict[str, str] = field(default_factory=dict)
    """What failed, and how."""

    def of(self, *groups: str) -> list[Row]:
        """The rows of some groups."""
        return [row for row in self.rows if row.group in groups]

    @property
    def busy(self) -> bool:
        """Whether others used the machine so much that only ratios say something."""
        return self.circumstances.others_percent >= QUIET_PERCENT

    def as_dict(self) -> dict[str, Any]:
        """The JSON document."""
        run = self.circumstances
        live = self.live
        return {
            "schema": SCHEMA,
            "machine": self.machine.as_dict(),
            "run": {
                "date": run.date,
                "seconds": round(run.seconds, 1),
                "rounds": run.rounds,
                "interrupted": run.interrupted,
                "others_percent": round(run.others_percent, 1),
            },
            "ceilings": [rate.as_dict() for rate in self.ceilings],
            "rows": [row.as_dict() for row in self.rows],
            "linear": [one.as_dict() for one in self.linear],
            "ratios": [ratio.as_dict() for ratio in self.ratios],
            "live": None
            if live is None
            else {
                "name": live.name,
                "fps": live.fps,
                "latency_ms": live.latency_ms,
                "frames": live.frames,
                "dropped": live.dropped,
            },
            "not_measured": [{"why": why, "what": what} for why, what in self.absent.items()],
            "failed": [{"what": what, "why": why} for what, why in self.failed.items()],
        }


def outcome(
    courses: Sequence[Course], machine: Machine, circumstances: Circumstances, live: Live | None
) -> Outcome:
    """Puts the figures together."""
    ceilings = rates(courses)
    measured = rows(courses, ceilings)
    return Outcome(
        machine=machine,
        circumstances=circumstances,
        ceilings=ceilings,
        rows=measured,
        linear=[*linear_in_pixels(measured), *linear_in_cameras(measured)],
        ratios=ratios(measured),
        live=live,
        absent=_absent(courses),
        failed={title(course.contender): course.failed for course in courses if course.failed},
    )


def _absent(courses: Sequence[Course]) -> dict[str, list[str]]:
    """By the reason; with the size only where the same was measured at another."""
    measured = {course.contender.subject.name for course in courses if course.samples}
    found: dict[str, list[str]] = {}
    for course in (course for course in courses if course.absent):
        name = course.contender.subject.name
        words = title(course.contender) if name in measured else name
        names = found.setdefault(course.absent, [])
        names += [words] if words not in names else []
    return found
