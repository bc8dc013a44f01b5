"""Turns: who, when, how long, and what happens to those who fail."""

from __future__ import annotations

import pytest

from vcsharp.bench.contender import NotHereError, Subject, timed
from vcsharp.bench.rounds import NO_TIME, RESERVE_S, Rounds, Step
from vcsharp.errors import BackendError

from .plants import Planted, PlantedTime


def start() -> tuple[PlantedTime, list[str]]:
    """A clock, and a diary of who did what."""
    return PlantedTime(), []


def planted(time: PlantedTime, diary: list[str], *names: str, **facts) -> list[Planted]:
    return [Planted(Subject("networks", name), time, diary=diary, **facts) for name in names]


def rounds_of(time: PlantedTime, contenders: list[Planted], seconds=10.5, rounds=3, **how):
    return Rounds(contenders, seconds, rounds, clock=lambda: time.wall_s, **how)


def test_a_timed_step_is_called_until_the_time_is_up_and_each_call_is_measured() -> None:
    time = PlantedTime()
    sample = timed(lambda number: time.work(0.01 * (number + 1), 0.02), 0.05, time.clocks)
    assert sample.frames == 3
    assert sample.frame_ms == pytest.approx((10, 20, 30))
    assert sample.wall_s == pytest.approx(0.06)
    assert sample.cpu_s == pytest.approx(0.06)


def test_a_timed_step_is_called_once_however_little_time_there_is() -> None:
    time = PlantedTime()
    assert timed(lambda _: time.work(5, 5), 0.0, time.clocks).frames == 1


def test_every_other_round_goes_backwards_and_nobody_runs_twice_before_all_ran() -> None:
    time, diary = start()
    rounds = rounds_of(time, planted(time, diary, "a", "b", "c"))
    rounds.run()
    assert diary[:3] == ["prepare a", "prepare b", "prepare c"]
    assert diary[3:] == ["a", "b", "c", "c", "b", "a", "a", "b", "c"]


def test_the_turns_share_the_time_that_preparing_left() -> None:
    time, diary = start()
    contenders = planted(time, diary, "a", "b", prepare_s=0.5)
    rounds = rounds_of(time, contenders, seconds=10 + RESERVE_S, rounds=3)
    rounds.run()
    turns = [sample.wall_s for course in rounds.courses for sample in course.samples]
    assert turns == pytest.approx([9 / 6] * 6)
    assert rounds.spent_s == pytest.approx(10)


def test_no_round_is_begun_that_would_not_fit() -> None:
    time, diary = start()
    contenders = planted(time, diary, "a", "b", least_s=2.0)
    rounds = rounds_of(time, contenders, seconds=10 + RESERVE_S, rounds=5)
    rounds.run()
    assert rounds.done == 2
    assert rounds.spent_s == pytest.approx(8)


def test_a_machine_too_slow_for_all_leaves_the_last_out_and_says_so() -> None:
    time, diary = start()
    rounds = rounds_of(time, planted(time, diary, "a", "b", "c", least_s=8.0), seconds=10)
    rounds.run()
    assert [course.absent for course in rounds.courses] == ["", "", NO_TIME]
    assert [len(course.samples) for course in rounds.courses] == [1, 1, 0]


def test_what_cannot_be_prepared_in_time_is_left_out() -> None:
    time, diary = start()
    rounds = rounds_of(time, planted(time, diary, "a", "b", prepare_s=7.0), seconds=10)
    rounds.run()
    assert [course.absent for course in rounds.courses] == ["", NO_TIME]


def test_what_is_not_here_is_named_and_takes_no_turns() -> None:
    time, diary = start()
    contenders = planted(time, diary, "a", "b")
    contenders[0].error = NotHereError("no NVIDIA GPU")
    rounds = rounds_of(time, contenders)
    rounds.run()
    assert rounds.courses[0].absent == "no NVIDIA GPU"
    assert contenders[0].turns == 0
    assert contenders[1].turns == 3


def test_who_fails_midway_keeps_what_was_measured_and_the_others_go_on() -> None:
    time, diary = start()
    contenders = planted(time, diary, "a", "b")
    contenders[0].error, contenders[0].fails_in_turn = BackendError("driver lost"), 2
    rounds = rounds_of(time, contenders)
    rounds.run()
    assert rounds.courses[0].failed == "driver lost"
    assert len(rounds.courses[0].samples) == 1
    assert len(rounds.courses[1].samples) == 3


def test_a_stop_ends_it_before_the_next_turn() -> None:
    time, diary = start()
    rounds = rounds_of(time, planted(time, diary, "a", "b"), stopped=lambda: len(diary) >= 5)
    rounds.run()
    assert diary == ["prepare a", "prepare b", "a", "b", "b"]
    assert [len(course.samples) for course in rounds.courses] == [1, 2]


def test_each_step_is_told_before_it_happens_with_the_time_spent() -> None:
    time, diary = start()
    steps: list[Step] = []
    rounds = rounds_of(time, planted(time, diary, "a", prepare_s=1.0), rounds=1, tell=steps.append)
    rounds.run()
    assert steps == [Step("preparing", "a", 0.0, 10.5), Step("round 1 of 1", "a", 1.0, 10.5)]


def test_all_are_closed_even_those_that_failed() -> None:
    time, diary = start()
    contenders = planted(time, diary, "a", "b")
    contenders[0].error = BackendError("planted")
    rounds = rounds_of(time, contenders)
    rounds.run()
    rounds.close()
    assert [one.closed for one in contenders] == [True, True]
