"""The handles of a live run: what they tell, and that changes arrive in the picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest

from vcsharp.control.model import Change
from vcsharp.control.runtime import Runtime
from vcsharp.demand import Demand
from vcsharp.dress import Dressed, Look
from vcsharp.engine.live import LiveEngine
from vcsharp.engine.worker import Engine
from vcsharp.errors import ModelNotFoundError, SettingsError
from vcsharp.faults import FaultLog
from vcsharp.frame import Color, Result
from vcsharp.pipeline import Pipeline, Plan
from vcsharp.settings import RunSettings
from vcsharp.sinks.base import StreamFormat
from vcsharp.sources.live import LiveSource
from vcsharp.states import SourceState
from vcsharp.steering import Parts, Steering
from vcsharp.telemetry import Telemetry

from .conftest import FakeSink, FakeSource, HookedBackend, nothing

STREAM = StreamFormat(64, 48, Fraction(30), Color())


class LiveRig:
    """A live run of fakes in the background, and its handles."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.sources: dict[str, FakeSource] = {
            name: FakeSource(count=10**6, lossless=False, period_s=0.005, name=name)
            for name in ("0", "1", "rtsp://me:secret@host/live")
        }
        self.settings = RunSettings(source="0", sink=["null"])
        self.fresh = self.settings
        telemetry = Telemetry()
        sink = FakeSink(realtime=True)
        self.sink = sink
        look = Look("off", "off", lambda frame: frame)
        dressed = Dressed(sink, look)
        source = LiveSource(
            self.sources.__getitem__,
            "0",
            self.stop,
            telemetry=telemetry,
            patient=False,
            size=(64, 48),
        )
        engine = LiveEngine(
            lambda model, device: Engine(HookedBackend(nothing), None), "nano", "cpu"
        )
        demand = Demand([], grace_s=5, active=False)
        faults = FaultLog()
        self.parts = Parts(source, engine, [dressed], look, demand, telemetry, faults)
        self.parts.stream = STREAM
        self.steering = Steering(self.parts, self.settings, self._check, lambda: self.fresh)
        plan = Plan(lambda _: STREAM, lossless=False, tap=self.parts.tap)
        pipeline = Pipeline(source, engine, [dressed], plan, telemetry, self.stop)
        self.thread = threading.Thread(target=pipeline.run)
        self.thread.start()

    def _check(self, spec: str) -> None:
        if spec not in self.sources:
            raise SettingsError(f"source '{spec}' is no source")

    def until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < deadline_s, self.steering.state()
            time.sleep(0.01)

    def last(self) -> Result:
        return self.sink.results[-1]


@pytest.fixture
def rig() -> Iterator[LiveRig]:
    made = LiveRig()
    made.until(lambda: len(made.sink.results) > 3)
    yield made
    made.stop.set()
    made.thread.join(20)
    assert not made.thread.is_alive()


def test_it_keeps_the_promise_of_a_runtime(rig: LiveRig) -> None:
    runtime: Runtime = rig.steering
    state = runtime.state()
    assert state.source.state is SourceState.LIVE
    assert (state.size, state.fps) == ("64x48", 30.0)
    assert state.figures.frames_out > 0
    assert state.options.source == "0"
    assert [sink.name for sink in state.sinks] == ["memory"]
    assert state.delay_ms == state.figures.latency_ms["p50"] or state.delay_ms > 0
    assert state.model_dump_json()


def test_pausing_closes_the_source_and_shows_it(rig: LiveRig) -> None:
    assert rig.steering.pause().paused
    rig.until(lambda: rig.last().frame.notice.startswith("paused"))
    rig.until(lambda: rig.sources["0"].closed == 1)
    rig.steering.pause()
    assert not rig.steering.resume().paused
    rig.until(lambda: not rig.last().frame.notice)


def test_another_source_is_seen_in_the_output(rig: LiveRig) -> None:
    state = rig.steering.change(Change(source="1", strength=0.5, compare="split"))
    assert (state.options.source, state.options.strength, state.options.compare) == (
        "1",
        0.5,
        "split",
    )
    rig.until(lambda: rig.sources["1"].sent > 3)
    rig.until(lambda: rig.steering.state().source.name == "1")
    assert rig.parts.engine.strength == 0.5
    assert rig.sources["0"].closed == 1


def test_a_bad_wish_changes_nothing(rig: LiveRig) -> None:
    before = rig.steering.state().options
    with pytest.raises(SettingsError):
        rig.steering.change(Change(source="nowhere", strength=0.1))
    with pytest.raises(ModelNotFoundError, match="known: "):
        rig.steering.change(Change(model="gigantic", strength=0.1))
    assert rig.steering.state().options == before


def test_credentials_never_leave(rig: LiveRig) -> None:
    rig.parts.faults.add("source", "'rtsp://me:secret@host/live' was cut off")
    state = rig.steering.change(Change(source="rtsp://me:secret@host/live"))
    rig.until(lambda: rig.sources["rtsp://me:secret@host/live"].sent > 0)
    assert "secret" not in state.model_dump_json()
    assert "secret" not in rig.steering.state().model_dump_json()
    assert state.faults[0].what == "'rtsp://***@host/live' was cut off"


def test_the_key_of_the_page_is_not_told(rig: LiveRig) -> None:
    rig.parts.sinks[0].description = "http://127.0.0.1:4711/?token=sesame"
    (view,) = rig.steering.state().sinks
    assert view.description == "http://127.0.0.1:4711/?token=***"


def test_reading_the_settings_again_applies_what_can_be_applied(rig: LiveRig) -> None:
    rig.fresh = RunSettings(source="1", sink=["null"], strength=1.5, fps=15)
    told = rig.steering.reload()
    assert sorted(told.applied) == ["source", "strength"]
    assert told.needs_restart == ["fps"]
    rig.until(lambda: rig.sources["1"].sent > 0)
    assert rig.steering.reload().applied == []


def test_what_a_person_changed_stays_when_the_file_did_not_change(rig: LiveRig) -> None:
    rig.steering.change(Change(strength=0.3))
    assert rig.steering.reload().applied == []
    assert rig.steering.state().options.strength == 0.3


def test_the_newest_picture_is_waited_for(rig: LiveRig) -> None:
    found = rig.steering.newest(0, 5.0)
    assert found is not None
    number, result = found
    later = rig.steering.newest(number, 5.0)
    assert later is not None
    assert later[0] > number
    assert rig.steering.dressed(result).frame is result.frame


def test_choices_name_the_demo_the_networks_and_none(rig: LiveRig) -> None:
    assert rig.steering.sources()[-1].source == "demo"
    names = [choice.model for choice in rig.steering.models()]
    assert names[0] == "nano"
    assert names[-1] == "none"


def test_a_change_of_the_network_is_told(rig: LiveRig) -> None:
    rig.steering.change(Change(model="none"))
    rig.until(lambda: rig.steering.state().options.model == "none")
