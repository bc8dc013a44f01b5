"""A live engine under a governor: what is measured, and what follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from vcsharp.engine.backend import NullBackend
from vcsharp.engine.governor import Decision, Load, Tier
from vcsharp.engine.live import LiveEngine
from vcsharp.engine.pilot import GRACE_S, LoadMeter, Pilot
from vcsharp.engine.worker import Engine
from vcsharp.errors import ModelError
from vcsharp.frame import Frame, black
from vcsharp.states import EngineState

FPS = 25
PERIOD_MS = 1000 / FPS


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = self.cpu_s = 0.0

    def meter(self, cores: int = 2) -> LoadMeter:
        return LoadMeter(cores, lambda: self.now_s, lambda: self.cpu_s)


def frame_at(number: int, period_ms: float = PERIOD_MS) -> Frame:
    return black(256, 256).replaced(sequence=number, captured_ns=int(number * period_ms * 1e6))


def fed(clock: Clock, meter: LoadMeter, count: int, took_ms: float, every: int = 1) -> Load | None:
    """The load after `count` frames, each of which was captured `every` frames after the last."""
    for number in range(count):
        clock.now_s += every * PERIOD_MS / 1e3
        clock.cpu_s += 2 * took_ms / 1e3
        meter.frame(frame_at(every * number), took_ms / 1e3)
    return meter.load(1.0)


def test_a_load_needs_a_second_and_enough_frames():
    clock = Clock()
    meter = clock.meter()
    assert fed(clock, meter, 20, 10) is None  # 0.8 s
    assert fed(clock, meter, 6, 10) is not None
    meter.reset()
    assert fed(clock, meter, 7, 10, every=10) is None  # 2.8 s
    assert fed(clock, meter, 1, 10, every=10) is not None  # eight frames
    meter.reset()
    assert fed(clock, meter, 2, 10, every=40) is not None  # 3.2 s


def test_the_load_tells_time_rate_and_share_of_the_machine():
    clock = Clock()
    load = fed(clock, clock.meter(cores=4), 50, 30)
    assert load is not None
    assert load.p95_ms == pytest.approx(30)
    assert load.period_ms == pytest.approx(PERIOD_MS)
    assert load.cpu == pytest.approx(2 * 30 / PERIOD_MS / 4, rel=0.01)


def test_the_engines_part_of_the_load_is_its_lanes_time():
    clock = Clock()
    meter = clock.meter(cores=4)
    for number in range(50):
        clock.now_s += PERIOD_MS / 1e3
        clock.cpu_s += 0.1
        meter.frame(frame_at(number), 0.01, lanes=3)
    load = meter.load(1.0)
    assert load is not None
    assert load.engine_cpu == pytest.approx(3 * 10 / PERIOD_MS / 4)


def test_frames_that_were_dropped_do_not_make_the_source_slower():
    clock = Clock()
    load = fed(clock, clock.meter(), 20, 90, every=3)
    assert load is not None
    assert load.period_ms == pytest.approx(PERIOD_MS)


def test_a_source_faster_than_what_is_sent_needs_no_more_than_that():
    clock = Clock()
    meter = clock.meter()
    fed(clock, meter, 50, 5)
    load = meter.load(2 * PERIOD_MS)
    assert load is not None
    assert load.period_ms == 2 * PERIOD_MS


class Simulated(NullBackend):
    """Takes time on the simulated clock, in proportion to its tiles and its model."""

    def __init__(self, clock: Clock, tile_ms: float) -> None:
        self.clock, self.tile_ms = clock, tile_ms

    def sharpen(self, plane, plan, strength, out) -> None:
        super().sharpen(255 - plane, plan, strength, out)
        self.clock.now_s += self.tile_ms * len(plan.tiles) / 1e3


@dataclass
class Rig:
    """A live engine of 16 tiles on a simulated machine, 25 frames a second."""

    monkeypatch: pytest.MonkeyPatch
    nano_tile_ms: float
    active: bool = True
    cpu_limit: float | None = None
    asked: str = "auto"
    lanes: int = 1
    clock: Clock = field(default_factory=Clock)
    decisions: list[Decision] = field(default_factory=list)
    hog: float = 1.0
    refuse: str = ""
    number: int = 0

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(time, "perf_counter", lambda: self.clock.now_s)
        self.pilot = Pilot(
            lambda: ([Tier("nano", 1000), Tier("base", 4000)], "nano"),
            self.clock.meter(),
            active=self.active,
            cpu_limit=self.cpu_limit,
            on_step=self.decisions.append,
        )
        self.built: list[str] = []
        self.engine = LiveEngine(self._build, self.asked, "cpu", pilot=self.pilot)
        self.engine.pace(FPS)

    def _build(self, model: str, device: str) -> Engine:
        if model == self.refuse:
            raise ModelError("planted")
        self.built.append(model)
        factor = 4 if model == "base" else 1
        return Engine(Greying(self, factor), None, 64, 0)

    def run(self, seconds: float) -> list[float]:
        """How many ms each frame took; every frame is new, everything in it moves."""
        took, end_s = [], self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.number += 1
            frame = frame_at(self.number)
            frame.y[::4, ::4] = 60 + self.number % 100
            started_s = self.clock.now_s
            self.engine.process(frame)
            took.append(1e3 * (self.clock.now_s - started_s))
            rest_s = max(0.0, PERIOD_MS / 1e3 - (self.clock.now_s - started_s))
            self.clock.now_s += rest_s
            self.settle()
        return took

    def settle(self) -> None:
        """Waits for a loader, in real time."""
        loader = self.engine._loader
        if loader is not None:
            loader.join(20)


class Greying(NullBackend):
    """Leaves the picture as it is, in simulated time."""

    def __init__(self, rig: Rig, factor: int) -> None:
        self.rig, self.factor, self.lanes = rig, factor, rig.lanes

    def sharpen(self, plane, plan, strength, out) -> None:
        super().sharpen(plane, plan, strength, out)
        rounds = -(-len(plan.tiles) // self.lanes)
        spent_s = self.rig.nano_tile_ms * self.factor * self.rig.hog * rounds / 1e3
        self.rig.clock.now_s += spent_s
        self.rig.clock.cpu_s += spent_s / self.rig.hog


MakeRig = Callable[..., Rig]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> MakeRig:
    return lambda *args, **options: Rig(monkeypatch, *args, **options)


def test_auto_takes_the_largest_student_that_stays_within_its_share(make: MakeRig) -> None:
    fast = make(0.3)  # nano 4.8 ms, base 19.2 of 40
    fast.run(10)
    assert fast.built == ["nano", "base"]
    slow = make(0.5)  # base would take 32 of 40
    slow.run(10)
    assert slow.built == ["nano"]
    assert (slow.decisions, slow.engine.status.words) == ([], "")


def test_under_a_hog_it_steps_down_and_comes_back(make: MakeRig) -> None:
    rig = make(1.25)  # 20 of 40 ms
    rig.run(10)
    assert not rig.decisions
    rig.hog = 4.0
    late = [took > PERIOD_MS for took in rig.run(20)]
    # The governor sees a second of it, then every frame is in time.
    assert 1 <= sum(late) <= 25
    assert not any(late[26:])
    assert rig.engine.status.share == 5 / 16
    assert "at most 31% of the picture" in rig.engine.status.words
    rig.hog = 1.0
    rig.run(30)
    assert rig.engine.status.share == 1.0
    assert rig.engine.status.words == ""
    assert [decision.cause for decision in rig.decisions] == ["rate", "room"]


def test_a_slow_machine_with_four_cores_sharpens_what_three_rounds_do(make: MakeRig) -> None:
    """Of 16 tiles at 10 ms each, four at once: three rounds are 30 of 40 ms."""
    rig = make(10.0, lanes=4)
    rig.run(60)
    assert rig.engine.status.share == 12 / 16
    assert len(rig.decisions) == 1
    rig.hog = 2.0  # one round is 20 ms
    rig.run(60)
    assert rig.engine.status.share == 4 / 16
    rig.hog = 1.0
    rig.run(60)
    assert rig.engine.status.share == 12 / 16


def test_when_nothing_helps_pictures_pass(make: MakeRig) -> None:
    rig = make(50.0)
    rig.run(7)
    frame = frame_at(10**6)
    assert rig.engine.process(frame) is frame
    assert rig.engine.status.share == 0.0
    assert "pictures pass unsharpened" in rig.engine.status.words


def test_a_named_model_is_left_alone(make: MakeRig) -> None:
    rig = make(50.0, asked="nano")
    rig.run(10)
    assert (rig.decisions, rig.engine.status.share) == ([], 1.0)


def test_without_a_governor_nothing_changes(make: MakeRig) -> None:
    rig = make(50.0, active=False)
    rig.run(10)
    assert rig.built == ["auto"]
    assert rig.engine.status.share == 1.0


def test_a_cpu_limit_holds_for_a_named_model_too(make: MakeRig) -> None:
    rig = make(1.5, asked="nano", cpu_limit=0.2)  # 24 of 40 ms on one of two cores: 30 %
    rig.run(10)
    assert rig.decisions[0].cause == "cpu"
    assert rig.engine.status.share == 9 / 16
    assert "CPU limit" in rig.engine.status.words
    used_s = rig.clock.cpu_s
    started_s = rig.clock.now_s
    rig.run(20)
    assert (rig.clock.cpu_s - used_s) / (rig.clock.now_s - started_s) / 2 <= 0.2


def test_a_student_that_cannot_be_loaded_is_not_tried_again(make: MakeRig) -> None:
    rig = make(0.3, refuse="base")
    rig.run(20)
    assert rig.built == ["nano"]
    assert [decision.step.model for decision in rig.decisions] == ["base"]
    assert rig.engine.status.state is EngineState.READY
    assert "'base' could not be loaded" in rig.engine.status.words


def test_another_wish_begins_anew(make: MakeRig) -> None:
    rig = make(50.0)
    rig.run(10)
    rig.engine.use("nano")
    rig.settle()
    assert rig.engine.status.share == 1.0
    rig.engine.use("auto")
    before = len(rig.decisions)
    rig.run(GRACE_S)
    assert rig.engine.status.share == 1.0
    rig.run(5)
    assert rig.decisions[before].step.share == 0.0  # more may have been tried since
    assert rig.engine.model == "auto"
