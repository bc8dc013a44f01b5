from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vcsharp.errors import SinkError, SinkFormatError, SinkGone, SinkIOError
from vcsharp.frame import Result
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.persistent import FIRST_PAUSE_S, LONGEST_PAUSE_S, Persistent
from vcsharp.states import SinkState


class PlannedSink:
    """A virtual camera whose device comes and goes as planned."""

    name, realtime, paced, dresses = "virtual", True, True, False
    wanted: bool | None = True

    def __init__(self) -> None:
        self.open_error: SinkError | None = None
        self.write_error: SinkError | None = None
        self.close_error: SinkError | None = None
        self.tries, self.is_open = 0, False
        self.written: list[Result] = []

    def open(self, stream: StreamFormat) -> str:
        self.tries += 1
        if self.open_error:
            raise self.open_error
        self.is_open = True
        return f"device {self.tries}"

    def write(self, result: Result) -> None:
        assert self.is_open
        if self.write_error:
            raise self.write_error
        self.written.append(result)

    def close(self) -> None:
        self.is_open = False
        if self.close_error:
            raise self.close_error


class Bench:
    """A persistent sink with a clock that only moves when told."""

    def __init__(self, make_results: Callable[..., list[Result]], stream: StreamFormat) -> None:
        self.now_s = 0.0
        self.faults: list[str] = []
        self.inner = PlannedSink()
        self.sink = Persistent(self.inner, self.faults.append, clock=lambda: self.now_s)
        self.stream, self._result = stream, make_results(1)[0]

    def write(self, times: int = 1, step_s: float = 0.1) -> None:
        for _ in range(times):
            self.now_s += step_s
            self.sink.write(self._result)

    def lose(self, error: SinkError) -> None:
        self.inner.write_error = self.inner.open_error = error
        self.write()

    def give_back(self) -> None:
        self.inner.write_error = self.inner.open_error = None


@pytest.fixture
def bench(make_results: Any, stream: StreamFormat) -> Bench:
    made = Bench(make_results, stream)
    assert made.sink.state is SinkState.OPENING
    made.sink.open(stream)
    return made


def test_it_passes_through_what_works(bench):
    assert bench.sink.description == "device 1"
    assert (bench.sink.state, bench.sink.words) == (SinkState.WRITING, "")
    assert (bench.sink.name, bench.sink.realtime, bench.sink.paced) == ("virtual", True, True)
    assert bench.sink.dresses is False
    bench.write(3)
    assert len(bench.inner.written) == 3
    bench.sink.close()
    assert not bench.inner.is_open
    assert bench.faults == []


def test_the_first_opening_may_fail(make_results, stream):
    bench = Bench(make_results, stream)
    bench.inner.open_error = SinkError("there is no virtual camera")
    with pytest.raises(SinkError, match="no virtual camera"):
        bench.sink.open(stream)
    assert bench.sink.state is SinkState.OPENING
    assert bench.faults == []


@pytest.mark.parametrize("kind", [SinkGone, SinkIOError, SinkFormatError, SinkError])
def test_a_lost_device_is_opened_again_when_it_is_back(bench, kind):
    bench.write()
    bench.lose(kind("'/dev/video10' is gone"))
    assert not bench.inner.is_open
    assert (bench.sink.state, bench.sink.words) == (SinkState.REOPENING, "'/dev/video10' is gone")
    bench.write(30)
    bench.give_back()
    bench.write(60)
    assert (bench.sink.state, bench.sink.words) == (SinkState.WRITING, "")
    assert bench.sink.description == f"device {bench.inner.tries}"
    assert len(bench.inner.written) > 10
    assert bench.faults == ["'/dev/video10' is gone"]


def test_attempts_become_rarer_and_never_stop(bench):
    bench.write()
    bench.lose(SinkGone("gone"))
    before = bench.inner.tries
    bench.write(9, step_s=FIRST_PAUSE_S / 10)
    assert bench.inner.tries == before
    bench.write(2, step_s=FIRST_PAUSE_S / 10)
    assert bench.inner.tries == before + 1
    bench.write(6000)  # ten minutes
    assert 600 / LONGEST_PAUSE_S <= bench.inner.tries - before <= 600 / LONGEST_PAUSE_S + 6
    assert bench.sink.state is SinkState.REOPENING


def test_the_words_follow_the_reason(bench):
    bench.lose(SinkGone("the module was unloaded"))
    bench.inner.open_error = SinkFormatError("stays at '640x360'")
    bench.write(10)
    assert bench.sink.words == "stays at '640x360'"
    assert bench.faults == ["the module was unloaded"]


def test_a_device_that_opens_and_refuses_every_frame_is_one_fault_and_is_not_hammered(bench):
    bench.inner.write_error = SinkIOError("another program writes to it")
    bench.write(600)
    assert bench.sink.state is SinkState.REOPENING
    assert bench.faults == ["another program writes to it"]
    assert bench.inner.tries < 20
    assert not bench.inner.is_open


def test_each_loss_is_told_and_begins_with_a_short_pause(bench):
    for _ in range(3):
        bench.write(100)
        bench.lose(SinkGone("gone"))
        bench.give_back()
        bench.write(1, step_s=FIRST_PAUSE_S)
        assert bench.sink.state is SinkState.WRITING
    assert bench.faults == ["gone"] * 3


def test_a_device_that_flaps_is_tried_less_and_less_often(bench):
    for _ in range(200):
        bench.lose(SinkGone("gone"))
        bench.give_back()
        bench.write()
    assert bench.inner.tries < 15


def test_nobody_looks_at_a_device_that_is_away(bench):
    assert bench.sink.wanted is True
    bench.inner.wanted = None
    assert bench.sink.wanted is None
    bench.lose(SinkGone("gone"))
    assert bench.sink.wanted is False
    bench.give_back()
    bench.write(10)
    assert bench.sink.wanted is None


def test_a_device_that_cannot_be_closed_is_left(bench):
    bench.inner.close_error = SinkError("cannot close")
    bench.lose(SinkGone("gone"))
    bench.give_back()
    bench.write(10)
    assert bench.sink.state is SinkState.WRITING


def test_closing_while_away_ends_the_attempts(bench):
    bench.lose(SinkGone("gone"))
    tries = bench.inner.tries
    bench.sink.close()
    bench.sink.close()
    assert bench.inner.tries == tries
    assert not bench.inner.is_open
