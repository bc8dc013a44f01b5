"""The governor's decisions, as a table and against a simulated machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcsharp.engine import governor
from vcsharp.engine.governor import FIRST_HOLD_S, Governor, Load, Sharing, Step, Tier, ladder

PERIOD_MS = 40.0
TIERS = [Tier("nano", 1000), Tier("base", 8000), Tier("small", 3000)]
TWO = Sharing(tiles=12, lanes=2)
STEPS = ladder(TIERS, TWO)
BASE, SMALL, NANO, TEN, EIGHT, SIX, FOUR, TWO_TILES, ONE, PASS = range(10)


def test_the_ladder_goes_from_the_dearest_student_to_passing_on():
    assert [(step.model, round(12 * step.share)) for step in STEPS] == [
        ("base", 12), ("small", 12), ("nano", 12), ("nano", 10), ("nano", 8), ("nano", 6),
        ("nano", 4), ("nano", 2), ("nano", 1), ("nano", 0),
    ]  # fmt: skip
    costs = [step.cost for step in STEPS]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == 0


@pytest.mark.parametrize(
    ("tiles", "lanes", "expected"),
    [
        (12, 1, [10, 9, 7, 5, 3, 2, 1]),
        (12, 2, [10, 8, 6, 4, 2, 1]),
        (12, 8, [8, 4, 2, 1]),
        (12, 16, [6, 3, 1]),
        (45, 2, [40, 32, 26, 20, 14, 6, 2, 1]),
        (3, 2, [2, 1]),
        (1, 4, []),
    ],
)
def test_shares_are_full_rounds(tiles, lanes, expected):
    found = Sharing(tiles, lanes).counts()
    if tiles == 45:  # spread over 22 rounds
        assert len(found) == governor.MOST_SHARES + 1
        assert all(count % 2 == 0 for count in found[:-1])
        return
    assert found == expected


def test_two_tiles_on_two_lanes_take_as_long_as_one():
    for sharing in (TWO, Sharing(45, 4), Sharing(12, 16)):
        for step in ladder([Tier("nano", 1000)], sharing):
            rounds = sharing.rounds(round(step.share * sharing.tiles))
            assert step.time == pytest.approx(1000 * rounds / sharing.rounds(sharing.tiles))
            assert step.cost == pytest.approx(1000 * step.share)


def decided(start: int, p95_ms: float, cpu: float = 0.2, limit: float = 1.0) -> int:
    """The step after a load that held for long."""
    subject = Governor(STEPS, start, limit)
    subject.decide(0.0, Load(0.7 * PERIOD_MS, PERIOD_MS, 0.0))
    load = Load(p95_ms, PERIOD_MS, cpu)
    found = subject.decide(FIRST_HOLD_S, load) or subject.decide(FIRST_HOLD_S, load)
    return start if found is None else STEPS.index(found.step)


@pytest.mark.parametrize(
    ("start", "p95_ms", "cpu", "limit", "expected"),
    [
        # Between calm and full nothing changes.
        (NANO, 0.61 * PERIOD_MS, 0.2, 1.0, NANO),
        (NANO, 0.84 * PERIOD_MS, 0.2, 1.0, NANO),
        # Too dear: to the first step that should fit, by its rounds.
        (NANO, 0.9 * PERIOD_MS, 0.2, 1.0, TEN),
        (NANO, 1.6 * PERIOD_MS, 0.2, 1.0, SIX),
        (NANO, 2.5 * PERIOD_MS, 0.2, 1.0, FOUR),
        (NANO, 5.0 * PERIOD_MS, 0.2, 1.0, TWO_TILES),
        # Not even one round should: half of it is tried, the lanes may be taken by others.
        (NANO, 9.9 * PERIOD_MS, 0.2, 1.0, ONE),
        (NANO, 11 * PERIOD_MS, 0.2, 1.0, PASS),
        (BASE, 2.0 * PERIOD_MS, 0.2, 1.0, SMALL),
        (BASE, 5.0 * PERIOD_MS, 0.2, 1.0, NANO),
        (PASS, 9.9 * PERIOD_MS, 0.2, 1.0, PASS),
        # Room for another student, if that should stay calm.
        (NANO, 0.19 * PERIOD_MS, 0.2, 1.0, SMALL),
        (NANO, 0.21 * PERIOD_MS, 0.2, 1.0, NANO),
        (BASE, 0.01 * PERIOD_MS, 0.0, 1.0, BASE),
        # Room for a larger share: all that stays calm, or one step that should be just in time.
        (SIX, 0.29 * PERIOD_MS, 0.2, 1.0, NANO),
        (SIX, 0.34 * PERIOD_MS, 0.2, 1.0, TEN),
        (SIX, 0.59 * PERIOD_MS, 0.2, 1.0, EIGHT),
        (SIX, 0.61 * PERIOD_MS, 0.2, 1.0, SIX),
        (TWO_TILES, 0.39 * PERIOD_MS, 0.2, 1.0, FOUR),
        (TWO_TILES, 0.41 * PERIOD_MS, 0.2, 1.0, TWO_TILES),
        (ONE, 0.59 * PERIOD_MS, 0.2, 1.0, TWO_TILES),
        (TEN, 0.66 * PERIOD_MS, 0.2, 1.0, NANO),
        (PASS, 0.0, 0.2, 1.0, ONE),
        # The ceiling: work counts, not rounds.
        (NANO, 0.3 * PERIOD_MS, 0.55, 0.5, TEN),
        (NANO, 0.3 * PERIOD_MS, 1.9, 0.5, TWO_TILES),
        (NANO, 0.3 * PERIOD_MS, 5.0, 0.5, ONE),
        (NANO, 0.1 * PERIOD_MS, 0.14, 0.5, SMALL),
        (NANO, 0.1 * PERIOD_MS, 0.16, 0.5, NANO),
        (NANO, 0.1 * PERIOD_MS, 0.99, 1.0, SMALL),
        (ONE, 0.1 * PERIOD_MS, 0.3, 0.5, ONE),
        (ONE, 0.1 * PERIOD_MS, 0.2, 0.5, TWO_TILES),
    ],
)
def test_decisions(start, p95_ms, cpu, limit, expected):
    assert decided(start, p95_ms, cpu, limit) == expected


def test_one_second_near_the_limit_is_nothing_and_two_are_too_many():
    near, calm, late = (Load(share * 40, 40, 0.1) for share in (0.9, 0.7, 1.01))
    subject = Governor(STEPS, NANO)
    assert [subject.decide(s, load) for s, load in enumerate((near, calm, near, calm))] == 4 * [
        None
    ]
    assert subject.decide(4, near) is None
    assert subject.decide(5, near)
    assert Governor(STEPS, NANO).decide(0, late)


def test_what_the_rest_of_the_program_takes_does_not_grow_with_the_tiles():
    """Under a limit of 22 %, of which decoding takes 12 and the whole picture would take 16."""
    subject = Governor(STEPS, ONE, 0.22)
    for now_s in range(120):
        tiles = 12 * subject.step.share
        engine_cpu = 0.16 * tiles / 12
        subject.decide(now_s, Load(5.0, 40.0, 0.12 + engine_cpu, engine_cpu))
    assert subject.step == STEPS[FOUR]  # six tiles would be 20 %: above 90 % of the limit


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
    while len(waits) < 9:
        load = Load(0.0 if subject.step.share == 0 else 200.0, PERIOD_MS, 0.2)
        found = subject.decide(now_s, load)
        if found and found.cause == "room":
            waits.append(now_s - went_down_s)
        elif found:
            went_down_s = now_s
        now_s += 1
    assert waits == [3, 6, 12, 24, 48, 96, 192, 300, 300]


def test_after_a_step_up_that_lasted_the_patience_is_fresh():
    subject = Governor(STEPS, PASS)
    now_s = 0.0
    for _ in range(3):
        subject.decide(now_s, Load(0, 40, 0))
        assert subject.decide(now_s + 3, Load(0, 40, 0))  # up
        assert subject.decide(now_s + 3 + governor.SETTLED_S, Load(99, 40, 0))  # down, later
        now_s += 3 + governor.SETTLED_S
        assert subject.decide(now_s + 2.9, Load(0, 40, 0)) is None


def test_other_tiles_leave_it_where_no_more_work_is_done():
    for start in range(len(STEPS)):
        subject = Governor(STEPS, start)
        subject.reshape(ladder(TIERS, Sharing(40, 3)))
        assert subject.step.model == STEPS[start].model
        assert STEPS[start].cost - 125 <= subject.step.cost <= STEPS[start].cost


def test_a_student_that_was_given_up_stays_away_with_other_tiles():
    subject = Governor(STEPS, SMALL)
    subject.give_up("base")
    subject.reshape(ladder(TIERS, Sharing(40, 3)))
    found = subject.decide(99, Load(0.01, 40, 0))
    assert found is None or found.step.model == "small"
    assert subject.decide(999, Load(0.01, 40, 0)) is None


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
    """A machine on which tiles go in rounds of as many as it has lanes."""

    nano_ms: float
    """Of a whole frame."""
    hog: Callable[[float], float] = lambda _: 1.0
    """Factor by which other programs make everything slower, by the time in seconds."""
    sharing: Sharing = TWO
    wobble: float = 0.0
    """Share by which a measurement may be off."""

    def __post_init__(self) -> None:
        self.steps = ladder(TIERS, self.sharing)
        self.chance = random.Random(0)

    def takes_ms(self, step: Step, now_s: float) -> float:
        mac = next(tier.mac_per_px for tier in TIERS if tier.model == step.model)
        rounds = self.sharing.rounds(round(step.share * self.sharing.tiles))
        frame_ms = self.nano_ms * mac / 1000 * rounds / self.sharing.rounds(self.sharing.tiles)
        return frame_ms * self.hog(now_s) * self.chance.uniform(1 - self.wobble, 1 + self.wobble)

    def run(self, subject: Governor, seconds: int) -> list[tuple[float, Step, float]]:
        """(time, step, share of the frame's time) for each second."""
        story: list[tuple[float, Step, float]] = []
        for second in range(seconds):
            p95_ms = self.takes_ms(subject.step, second)
            story.append((second, subject.step, p95_ms / PERIOD_MS))
            subject.decide(second, Load(p95_ms, PERIOD_MS, 0.3))
        return story

    def start(self, index: int) -> Governor:
        return Governor(self.steps, index)


def changes(story: list[tuple[float, Step, float]]) -> int:
    return sum(a[1] != b[1] for a, b in pairwise(story))


@pytest.mark.parametrize("sharing", [TWO, Sharing(12, 1), Sharing(12, 4), Sharing(45, 2)])
@pytest.mark.parametrize("start", ["whole", "nothing"])
def test_a_slow_machine_comes_to_the_largest_share_that_holds_the_rate(sharing, start):
    """From above and from below, without swinging."""
    for nano_ms in range(42, 400, 7):
        machine = Machine(nano_ms, sharing=sharing)
        story = machine.run(machine.start(NANO if start == "whole" else len(machine.steps) - 1), 90)
        holding = [s for s in machine.steps if s.model == "nano" and s.share
                   and machine.takes_ms(s, 0) <= governor.EDGE * PERIOD_MS]  # fmt: skip
        within_full = [s for s in machine.steps
                       if machine.takes_ms(s, 0) <= governor.FULL * PERIOD_MS]  # fmt: skip
        reached = story[-1][1]
        if not holding:  # not even one tile fits, or it is taken for too near the edge
            assert reached.share in (0, within_full[0].share, machine.steps[-2].share)
            continue
        assert max(holding, key=lambda s: s.share).share <= reached.share <= within_full[0].share
        assert changes(story) <= len(machine.steps)
        assert changes(story[60:]) == 0


def test_a_slow_laptop_sharpens_a_third_and_not_a_twelfth():
    """One 512-px tile takes 12 ms of one of two cores, 30 pictures a second are wanted."""
    machine = Machine(72 * PERIOD_MS / 33.3)
    story = machine.run(machine.start(NANO), 60)
    assert story[-1][1].share == pytest.approx(4 / 12)
    assert changes(story) == 1


def test_a_hog_that_comes_and_goes_costs_a_second_and_all_comes_back():
    machine = Machine(10, lambda s: 6.0 if 60 <= s < 120 else 1.0)
    story = machine.run(machine.start(NANO), 240)
    assert {step for time, step, _ in story if 20 < time < 60} == {STEPS[NANO]}
    assert all(share <= governor.FULL for time, _, share in story if time != 60)
    assert {step for time, step, _ in story if 60 < time < 120} == {STEPS[SIX]}
    assert {step for time, step, _ in story if time > 126} == {STEPS[NANO]}


@pytest.mark.parametrize(("wobble", "most"), [(0.0, 8), (0.05, 24), (0.15, 32)])
def test_at_the_edge_it_does_not_swing(wobble, most):
    """Whatever the load, the picture changes its looks a few times in ten minutes."""
    for fifth in range(1, 40):
        machine = Machine(5.0 * fifth, wobble=wobble)
        story = machine.run(machine.start(NANO), 600)
        assert changes(story) <= most, f"{changes(story)} changes at {machine.nano_ms} ms"
        late = sum(share > 1 for *_, share in story)
        assert late <= 14, f"{late} seconds late at {machine.nano_ms} ms"


@settings(max_examples=30)
@given(st.lists(st.floats(0.2, 20), min_size=30, max_size=120), st.floats(0.5, 60))
def test_no_three_bad_seconds_follow_on_each_other_while_the_load_stands(hogs, nano_ms):
    """A step down is as far as it has to be, or one tile is tried before nothing."""
    machine = Machine(nano_ms, lambda s: hogs[int(s) // 10 % len(hogs)])
    story = machine.run(machine.start(BASE), 10 * len(hogs))
    late = [share > 1 for _, _, share in story]
    for second in range(0, len(late), 10):  # the hog is the same one
        assert not any(all(late[at : at + 3]) for at in range(second, second + 8))
