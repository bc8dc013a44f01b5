"""Whether anybody needs pictures: viewers, a grace time, and outputs that cannot tell."""

from __future__ import annotations

from vcsharp.demand import LOOK_S, Demand


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def demand(*looks: bool | None, active: bool = True) -> tuple[Demand, list[bool | None], Clock]:
    answers, clock = list(looks), Clock()
    tells = [lambda index=index: answers[index] for index in range(len(answers))]
    return Demand(tells, grace_s=5.0, active=active, clock=clock), answers, clock


def test_nobody_looks_from_the_start() -> None:
    asked, _, _ = demand(False)
    assert not asked.wanted


def test_a_viewer_is_noticed_at_once_and_missed_after_the_grace_time() -> None:
    asked, answers, clock = demand(False, False)
    answers[1] = True
    assert asked.wanted
    answers[1] = False
    clock.now_s += 4.9
    assert asked.wanted
    clock.now_s += 0.2
    assert not asked.wanted


def test_a_program_that_probes_every_three_seconds_keeps_the_camera_steady() -> None:
    asked, answers, clock = demand(False)
    seen = []
    for step in range(40):
        answers[0] = step % 6 == 0  # half a second each time
        seen.append(asked.wanted)
        clock.now_s += 0.5
    assert seen == [True] * 40


def test_an_output_that_cannot_tell_counts_as_looked_at() -> None:
    asked, _, _ = demand(False, None)
    assert asked.wanted


def test_without_on_demand_pictures_are_always_wanted() -> None:
    asked, _, _ = demand(False, active=False)
    assert asked.wanted


def test_a_question_for_a_picture_counts_as_looking_for_a_while() -> None:
    asked, _, clock = demand(False)
    asked.look()
    assert asked.seen
    clock.now_s += LOOK_S + 0.1
    assert not asked.seen


def test_without_outputs_nobody_looks() -> None:
    asked, _, _ = demand()
    assert not asked.wanted
