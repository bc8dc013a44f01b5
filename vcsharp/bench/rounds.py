"""Turns, round by round: whatever slows the machine down for a while slows all contenders down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vcsharp.bench.contender import Contender, NotHereError, Sample
from vcsharp.errors import VcsharpError

log = logging.getLogger(__name__)

SHORTEST_TURN_S = 0.02
PREPARING_SHARE = 0.6
"""Of the time: what is not prepared by then is left out."""
OVERTIME_S = 5.0
"""Granted to the first round, so that also a very slow machine has something of most."""
NO_TIME = "no time left; see --seconds and --only"
RESERVE_S = 0.5
"""Kept back of the time, for putting the results together."""


@dataclass(slots=True)
class Course:
    """A contender's way through the rounds."""

    contender: Contender
    samples: list[Sample] = field(default_factory=list)
    absent: str = ""
    """Why it was not measured: this machine has not what it needs."""
    failed: str = ""
    """Why it was not measured, or no longer: an error."""

    extra_s: float = 0.0
    """How much longer than asked its longest turn took: a slow frame, threads that end late."""

    @property
    def runs(self) -> bool:
        """Whether it takes its turns."""
        return not self.absent and not self.failed


@dataclass(frozen=True, slots=True)
class Step:
    """What is about to happen, for people."""

    stage: str
    """`preparing`, `round 2 of 5`."""
    contender: str
    """Whose turn it is; empty where it is nobody's."""
    spent_s: float
    total_s: float


Tell = Callable[[Step], None]


class Rounds:
    """Prepares contenders and gives them turns until the time is up, or `stopped` says so."""

    def __init__(
        self,
        contenders: Sequence[Contender],
        seconds: float,
        rounds: int,
        *,
        stopped: Callable[[], bool] = lambda: False,
        tell: Tell = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.courses = [Course(contender) for contender in contenders]
        self.done = 0
        """Whole rounds."""
        self._seconds, self._rounds = seconds, rounds
        self._stopped, self._tell, self._clock = stopped, tell, clock
        self._started_s = clock()

    def run(self) -> None:
        """Ends after the wanted rounds, or earlier where the next would not fit; one is always run.

        Contenders that fail are left out from there on, and keep what they have.
        """
        for course in self.courses:
            if not self._stopped():
                self._prepare(course)
        while self.done < self._rounds and self._fits() and not self._stopped():
            self._round()

    def close(self) -> None:
        """Frees all contenders."""
        for course in self.courses:
            course.contender.close()

    @property
    def spent_s(self) -> float:
        """Since this object was made."""
        return self._clock() - self._started_s

    def _fits(self) -> bool:
        """Whether there is time for another round of the shortest turns."""
        running = [course for course in self.courses if course.runs]
        least_s = sum(SHORTEST_TURN_S + course.extra_s for course in running)
        return self.done == 0 or least_s <= self._left_s

    @property
    def _left_s(self) -> float:
        return self._seconds - RESERVE_S - self.spent_s

    def _prepare(self, course: Course) -> None:
        if self.spent_s > PREPARING_SHARE * self._seconds:
            course.absent = NO_TIME
            return
        self._say("preparing", course)
        try:
            course.contender.prepare()
        except NotHereError as error:
            course.absent = str(error)
        except VcsharpError as error:
            course.failed = str(error)

    def _round(self) -> None:
        """Every other round goes backwards: a steady drift then cancels out."""
        running = [course for course in self.courses if course.runs]
        turn_s = self._turn_s(running)
        for course in running if self.done % 2 == 0 else reversed(running):
            if self._stopped():
                return
            self._say(f"round {self.done + 1} of {self._rounds}", course)
            self._turn(course, turn_s)
        self.done += 1

    def _turn(self, course: Course, turn_s: float) -> None:
        if self.spent_s > self._seconds + OVERTIME_S:
            course.absent = "" if course.samples else NO_TIME
            return
        started_s = self._clock()
        try:
            course.samples.append(course.contender.turn(turn_s))
        except VcsharpError as error:
            course.failed = str(error)
        course.extra_s = max(course.extra_s, self._clock() - started_s - turn_s)

    def _turn_s(self, running: Sequence[Course]) -> float:
        """All turns to come share what is left, less what they will take beyond it."""
        rounds = self._rounds - self.done
        extra_s = rounds * sum(course.extra_s for course in running)
        turns = max(1, len(running) * rounds)
        return max(SHORTEST_TURN_S, (self._left_s - extra_s) / turns)

    def _say(self, stage: str, course: Course) -> None:
        self._tell(Step(stage, title(course.contender), self.spent_s, self._seconds))


def title(contender: Contender) -> str:
    """Name and size."""
    size = contender.subject.size
    return contender.subject.name + (f" {size[0]}x{size[1]}" if size else "")
