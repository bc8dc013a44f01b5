"""An engine that is exchanged, freed, broken and rebuilt while frames go through it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from vcsharp.engine import live
from vcsharp.engine.backend import NullBackend
from vcsharp.engine.live import LiveEngine, checked
from vcsharp.engine.worker import Engine, EngineFacts
from vcsharp.errors import BackendError, ModelError, ModelNotFoundError, VcsharpError
from vcsharp.frame import Frame, black
from vcsharp.states import EngineState as E


class Adding(NullBackend):
    """Adds a level to every sample, or fails as told."""

    def __init__(self, levels: int, device: str = "cpu") -> None:
        self.levels, self.device = levels, device
        self.error: Exception | None = None
        self.closed = False

    def sharpen(self, plane, plan, strength, out) -> None:
        assert not self.closed, "used after it was freed"
        if self.error is not None:
            raise self.error
        super().sharpen(plane, plan, strength, out)
        out += self.levels

    def close(self) -> None:
        self.closed = True


@dataclass
class Maker:
    """Builds engines that add as many levels as the model's name says."""

    backends: list[Adding] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    refuse: VcsharpError | None = None
    hold: threading.Event | None = None

    def __call__(self, model: str, device: str) -> Engine:
        self.asked.append((model, device))
        if self.hold is not None and len(self.asked) > 1:
            self.hold.wait(20)
        if self.refuse is not None:
            raise self.refuse
        self.backends.append(Adding(int(model), "cuda:0" if device == "auto" else device))
        return Engine(self.backends[-1], None)


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Maker:
    monkeypatch.setattr(live, "FIRST_WAIT_S", 0.05)
    return Maker()


def levels(engine: LiveEngine) -> int:
    """By how much the engine moves a picture now."""
    frame = grey()
    return int(engine.process(frame).y[0, 0]) - int(frame.y[0, 0])


def grey() -> Frame:
    frame = black(64, 64)
    frame.y[:] = 100
    return frame


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_another_network_takes_over_between_two_frames(maker: Maker) -> None:
    engine = LiveEngine(maker, "1", "cpu")
    assert levels(engine) == 1
    engine.use("2")
    wait_until(lambda: levels(engine) == 2)
    assert maker.backends[0].closed
    assert (engine.model, engine.status.state) == ("2", E.READY)
    engine.close()
    assert maker.backends[1].closed


def test_the_old_network_goes_on_while_the_new_one_loads(maker: Maker) -> None:
    maker.hold = threading.Event()
    engine = LiveEngine(maker, "1", "cpu")
    engine.use("2")
    assert [levels(engine) for _ in range(5)] == [1] * 5
    assert engine.status.state is E.LOADING
    engine.use("3")  # before the second is ready
    maker.hold.set()
    wait_until(lambda: levels(engine) == 3)
    assert all(backend.closed for backend in maker.backends[:-1])


def test_a_network_that_cannot_be_loaded_leaves_the_old_one(maker: Maker) -> None:
    faults: list[str] = []
    engine = LiveEngine(maker, "1", "cpu", on_fault=faults.append)
    maker.refuse = ModelNotFoundError("no model named '2'")
    engine.use("2")
    wait_until(lambda: bool(faults))
    assert levels(engine) == 1
    assert engine.model == engine.facts.model or engine.status.state is E.READY
    assert "no model named '2'" in engine.status.words


def test_the_first_engine_fails_loudly(maker: Maker) -> None:
    maker.refuse = ModelNotFoundError("no model named '1'")
    with pytest.raises(ModelNotFoundError):
        LiveEngine(maker, "1", "cpu")


def test_it_is_freed_while_nobody_needs_it_and_comes_back(maker: Maker) -> None:
    engine = LiveEngine(maker, "1", "cpu")
    engine.need(False)
    assert levels(engine) == 0
    assert maker.backends[0].closed
    assert (engine.loaded, engine.status.state) == (False, E.RELEASED)
    engine.use("2")  # remembered, not loaded
    time.sleep(0.05)
    assert len(maker.asked) == 1
    engine.need(True)
    wait_until(lambda: levels(engine) == 2)


@pytest.mark.parametrize("error", [BackendError("planted"), MemoryError(), RuntimeError("CUDA")])
def test_a_fault_passes_the_frame_on_and_builds_anew(maker: Maker, error: Exception) -> None:
    faults: list[str] = []
    engine = LiveEngine(maker, "1", "cpu", on_fault=faults.append)
    maker.backends[0].error = error
    assert levels(engine) == 0
    assert engine.status.state is E.FAILED
    assert maker.backends[0].closed
    wait_until(lambda: levels(engine) == 1)
    assert engine.status.restarts == 1
    assert len(faults) == 1


def test_a_gpu_that_fails_twice_is_given_up_for_the_cpu(maker: Maker) -> None:
    engine = LiveEngine(maker, "1", "auto")
    assert engine.facts.device == "cuda:0"
    for _ in range(2):
        wait_until(lambda: levels(engine) == 1)
        maker.backends[-1].error = BackendError("driver lost")
        assert levels(engine) == 0
    wait_until(lambda: levels(engine) == 1)
    assert engine.facts.device == "cpu"
    assert engine.status.state is E.FALLBACK
    assert "CPU" in engine.status.words


def test_one_that_cannot_be_built_again_is_tried_less_and_less(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LONGEST_WAIT_S", 0.4)
    engine = LiveEngine(maker, "1", "cpu")
    maker.backends[0].error = BackendError("planted")
    maker.refuse = BackendError("no memory")
    started_s = time.monotonic()
    while time.monotonic() - started_s < 1.0:
        assert levels(engine) == 0
        time.sleep(0.005)
    assert 2 <= len(maker.asked) <= 7  # not one attempt for each of two hundred frames
    maker.refuse = None
    wait_until(lambda: levels(engine) == 1)


def test_weights_that_are_no_numbers_are_refused() -> None:
    backend = Adding(0)

    def black_out(plane, plan, strength, out) -> None:
        out[:] = 0  # what a conversion of not-a-number to bytes gives

    backend.sharpen = black_out  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="damaged"):
        checked(Engine(backend, None))
    assert backend.closed


def test_placeholders_and_strength_0_pass_unchanged(maker: Maker) -> None:
    engine = LiveEngine(maker, "1", "cpu")
    notice = grey().replaced(notice="camera lost")
    assert engine.process(notice) is notice
    engine.strength = 0.0
    frame = grey()
    assert engine.process(frame) is frame
    engine.strength = 1.0
    assert np.all(engine.process(frame).y == 101)


def test_a_fresh_engine_is_warm_before_it_takes_over(maker: Maker) -> None:
    engine = LiveEngine(maker, "1", "cpu")
    engine.warm_up(128, 96)
    planes: list[tuple[int, ...]] = []
    make = maker.__call__

    def spying(model: str, device: str) -> Engine:
        built = make(model, device)
        built.warm_up = lambda width, height: planes.append((width, height))  # type: ignore[method-assign]
        return built

    engine._build = spying
    engine.use("2")
    wait_until(lambda: levels(engine) == 2)
    assert planes == [(128, 96)]


def test_what_suits_the_machine_is_measured_once_beside_the_frames(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TUNE_AFTER_S", 0.05)
    asked: list[str] = []
    release = threading.Event()

    def tune(facts: EngineFacts) -> bool:
        asked.append(facts.backend)
        release.wait(20)
        return True

    engine = LiveEngine(maker, "1", "cpu", tune=tune)
    wait_until(lambda: levels(engine) == 1 and bool(asked))
    assert levels(engine) == 1  # frames go on meanwhile
    assert len(maker.backends) == 1
    release.set()
    wait_until(lambda: levels(engine) == 1 and maker.backends[0].closed)
    assert len(maker.backends) == 2
    time.sleep(0.1)
    assert levels(engine) == 1
    assert len(asked) == 1
    engine.close()


def test_a_measurement_that_fails_changes_nothing(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TUNE_AFTER_S", 0.0)
    asked: list[str] = []

    def tune(facts: EngineFacts) -> bool:
        asked.append(facts.model)
        raise BackendError("planted")

    engine = LiveEngine(maker, "1", "cpu", tune=tune)
    wait_until(lambda: levels(engine) == 1 and bool(asked))
    wait_until(lambda: levels(engine) == 1 and not engine._is_loading())
    assert engine.status.state is E.READY
    assert len(maker.backends) == 1
