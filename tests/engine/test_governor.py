"""The governor's decisions, as a table and against a simulated machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcsharp.engine import governor
from vcsharp.engine.governor import FIRST_HOLD_S, Governor, Load, Tier, ladder

PERIOD_MS = 40.0
TIERS = [Tier("nano", 1000), Tier("base", 8000), Tier("small", 3000)]
STEPS = ladder(TIERS)
BASE, SMALL, NANO, HALF, QUARTER, FEW, PASS = range(7)


def test_the_ladder_goes_from_the_dearest_student_to_passing_on():
    assert [(step.model, step.share) for step in STEPS] == [
        ("base", 1.0), ("small", 1.0), ("nano", 1.0), ("nano", 1 / 2), ("nano", 1 / 4),
        ("nano", 1 / 12), ("nano", 0.0),
    ]  # fmt: skip
    costs = [step.cost for step in STEPS]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == 0


def decided(start: int, p95_ms: float, cpu: float = 0.2, limit: float = 1.0) -> int:
    """The step after a load that held for long."""
    subject = Governor(STEPS, start, limit)
    subject.decide(0.0, Load(0.7 * PERIOD_MS, PERIOD_MS, 0.0))
    found = subject.decide(FIRST_HOLD_S, Load(p95_ms, PERIOD_MS, cpu))
    return start if found is None else STEPS.index(found.step)


@pytest.mark.parametrize(
    ("start", "p95_ms", "cpu", "limit", "expected"),
    [
        # Between calm and full nothing changes.
        (NANO, 0.61 * PERIOD_MS, 0.2, 1.0, NANO),
        (NANO, 0.84 * PERIOD_MS, 0.2, 1.0, NANO),
        # Too dear: to the first step that should fit.
        (NANO, 0.9 * PERIOD_MS, 0.2, 1.0, HALF),
        (NANO, 1.6 * PERIOD_MS, 0.2, 1.0, HALF),
        (NANO, 2.5 * PERIOD_MS, 0.2, 1.0, QUARTER),
        (NANO, 9.9 * PERIOD_MS, 0.2, 1.0, FEW),
        (NANO, 11 * PERIOD_MS, 0.2, 1.0, PASS),
        (BASE, 2.0 * PERIOD_MS, 0.2, 1.0, SMALL),
        (BASE, 5.0 * PERIOD_MS, 0.2, 1.0, NANO),
        (PASS, 9.9 * PERIOD_MS, 0.2, 1.0, PASS),
        # Room: one step up, if that should stay calm.
        (NANO, 0.19 * PERIOD_MS, 0.2, 1.0, SMALL),
        (NANO, 0.21 * PERIOD_MS, 0.2, 1.0, NANO),
        (HALF, 0.29 * PERIOD_MS, 0.2, 1.0, NANO),
        (QUARTER, 0.29 * PERIOD_MS, 0.2, 1.0, HALF),
        (PASS, 0.0, 0.2, 1.0, FEW),
        (BASE, 0.01 * PERIOD_MS, 0.0, 1.0, BASE),
        # The ceiling.
        (NANO, 0.3 * PERIOD_MS, 0.6, 0.5, HALF),
        (NANO, 0.3 * PERIOD_MS, 1.9, 0.5, QUARTER),
        (NANO, 0.1 * PERIOD_MS, 0.14, 0.5, SMALL),
        (NANO, 0.1 * PERIOD_MS, 0.16, 0.5, NANO),
        (NANO, 0.1 * PERIOD_MS, 0.99, 1.0, SMALL),
    ],
)
def test_decisions(start, p95_ms, cpu, limit, expected):
    assert decided(start, p95_ms, cpu, limit) == expected


def test_causes_are_told():
    for load, limit, cause in [
        (Load(50, 40, 0.1), 1.0, "rate"),
        (Load(10, 40, 0.9), 0.5, "cpu"),
        (Load(1, 40, 0.1), 1.0, "room"),
    ]:
        subject = Governor(STEPS, NANO, limit)
        subject.decide(0, Load(28, 40, 0.0))
        found = subject.decide(FIRST_HOLD_S, load)
        assert found is not None
        assert found.cause == cause


def test_a_step_up_that_was_taken_back_is_tried_less_and_less():
    subject = Governor(STEPS, PASS)
    waits: list[float] = []
    now_s = went_down_s = 0.0
    while len(waits) < 6:
        load = Load(0.0 if subject.step.share == 0 else 200.0, PERIOD_MS, 0.2)
        found = subject.decide(now_s, load)
        if found and found.cause == "room":
            waits.append(now_s - went_down_s)
        elif found:
            went_down_s = now_s
        now_s += 1
    assert waits == [3, 6, 12, 24, 48, 60]


def test_after_a_step_up_that_lasted_the_patience_is_fresh():
    subject = Governor(STEPS, PASS)
    for _ in range(2):
        subject.decide(0, Load(0, 40, 0))
        assert subject.decide(3, Load(0, 40, 0))  # up
        assert subject.decide(30, Load(99, 40, 0))  # down, after it had settled
        assert subject.decide(32.9, Load(0, 40, 0)) is None
        assert subject.decide(33, Load(0, 40, 0))
        subject = Governor(STEPS, PASS)


def test_a_student_that_cannot_be_loaded_is_left_out():
    subject = Governor(STEPS, SMALL)
    subject.give_up("base")
    assert subject.step == STEPS[SMALL]
    subject.give_up("small")
    assert subject.step == STEPS[NANO]
    subject.give_up("nano")
    assert subject.step == STEPS[NANO]


@dataclass
class Machine:
    """A machine on which a frame's time is in proportion to its work and to what others take."""

    nano_ms: float
    hog: Callable[[float], float]
    """Factor by which other programs make everything slower, by the time in seconds."""

    def run(self, subject: Governor, seconds: int) -> list[tuple[float, int, float]]:
        """(time, step, share of the frame's time) for each second."""
        story: list[tuple[float, int, float]] = []
        for second in range(seconds):
            work = subject.step.cost / 1000
            p95_ms = work * self.nano_ms * self.hog(second)
            story.append((second, STEPS.index(subject.step), p95_ms / PERIOD_MS))
            subject.decide(second, Load(p95_ms, PERIOD_MS, 0.3))
        return story


def test_a_hog_that_comes_and_goes_costs_two_seconds_and_all_comes_back():
    machine = Machine(10, lambda s: 6.0 if 60 <= s < 120 else 1.0)
    story = machine.run(Governor(STEPS, NANO), 240)
    assert {step for time, step, _ in story if 20 < time < 60} == {NANO}
    assert all(share <= governor.FULL for time, _, share in story if not 60 <= time < 62)
    assert {step for time, step, _ in story if 62 < time < 120} == {HALF}
    assert story[-1][1] == NANO


def test_at_the_edge_it_does_not_swing():
    """Whatever the load, the picture changes its looks a few times in ten minutes."""
    for tenth in range(1, 60):
        story = Machine(2.0 * tenth, lambda _: 1.0).run(Governor(STEPS, NANO), 600)
        changes = sum(a[1] != b[1] for a, b in pairwise(story))
        assert changes <= 26, f"{changes} changes at {2.0 * tenth} ms"
        late = sum(share > governor.FULL for *_, share in story)
        assert late <= 14, f"{late} seconds late at {2.0 * tenth} ms"


@settings(max_examples=30)
@given(st.lists(st.floats(0.2, 20), min_size=30, max_size=120), st.floats(0.5, 60))
def test_no_two_bad_seconds_follow_on_each_other_while_the_load_stands(hogs, nano_ms):
    """A step down is as far as it has to be."""
    subject = Governor(STEPS, BASE)
    machine = Machine(nano_ms, lambda s: hogs[int(s) // 10 % len(hogs)])
    late = [share > governor.FULL for _, _, share in machine.run(subject, 10 * len(hogs))]
    for second in range(len(late) - 1):
        if (second + 1) % 10:  # the hog is the same one
            assert not (late[second] and late[second + 1])
