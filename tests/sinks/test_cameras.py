"""Virtual cameras as a run has them: on demand, gone and back, several beside each other."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vcsharp.frame import Result
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.persistent import LONGEST_PAUSE_S, Persistent
from vcsharp.sinks.v4l2loopback import LoopbackSink
from vcsharp.states import SinkState

from .fake_kernel import FakeKernel, Node

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")

FIRST, SECOND = "/dev/video10", "/dev/video11"


class Cameras:
    """Persistent sinks on a fake kernel, with a clock that only moves when told."""

    def __init__(self, sysfs: Path, stream: StreamFormat, result: Result) -> None:
        self.kernel = FakeKernel({FIRST: Node(), SECOND: Node()})
        for path in self.kernel.nodes:
            (sysfs / Path(path).name).mkdir()
        self._sysfs, self._stream, self._result = sysfs, stream, result
        self.now_s, self.faults = 0.0, list[str]()
        self.sinks: list[Persistent] = []

    def open(self, path: str | None) -> Persistent:
        sink = LoopbackSink(path, device=self.kernel, sysfs=self._sysfs)
        made = Persistent(sink, self.faults.append, clock=lambda: self.now_s)
        self.sinks.append(made)
        made.open(self._stream)
        return made

    def write(self, step_s: float = LONGEST_PAUSE_S) -> int:
        """One picture to each; how many arrived."""
        before = len(self.kernel.written)
        self.now_s += step_s
        for sink in self.sinks:
            sink.write(self._result)
        return len(self.kernel.written) - before


@pytest.fixture
def cameras(tmp_path, stream, make_results) -> Iterator[Cameras]:
    made = Cameras(tmp_path, stream, make_results(1)[0])
    yield made
    for sink in made.sinks:
        sink.close()
    assert made.kernel.open_now == {}


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


def test_each_camera_tells_of_its_own_readers(cameras):
    first, second = cameras.open(FIRST), cameras.open(SECOND)
    assert until(lambda: (first.wanted, second.wanted) == (False, False))
    cameras.kernel.set_readers(SECOND, 1)
    assert until(lambda: second.wanted is True)
    assert first.wanted is False


def test_a_closed_camera_cannot_tell(cameras):
    sink = LoopbackSink(FIRST, device=cameras.kernel)
    assert sink.wanted is None


def test_the_loss_of_one_leaves_the_other_alone(cameras):
    first, second = cameras.open(FIRST), cameras.open(SECOND)
    assert cameras.write() == 2
    cameras.kernel.take_away(FIRST)
    assert [cameras.write() for _ in range(5)] == [1] * 5
    assert (first.state, second.state) == (SinkState.REOPENING, SinkState.WRITING)
    assert len(cameras.faults) == 1
    assert f"'{FIRST}' is gone" in cameras.faults[0]


def test_a_camera_that_returns_is_written_again_and_seen_again(cameras):
    sink = cameras.open(FIRST)
    cameras.kernel.take_away(FIRST)
    assert cameras.write() == 0
    assert sink.wanted is False
    assert "the device is gone; make it again" in (cameras.write(), sink.words)[1]
    cameras.kernel.give_back(FIRST)
    assert cameras.write() == 1
    cameras.kernel.set_readers(FIRST, 1)
    assert until(lambda: sink.wanted is True)
    assert cameras.kernel.nodes[FIRST].standin


def test_a_name_of_one_s_own_is_never_exchanged_for_another_device(cameras):
    cameras.open(FIRST)
    cameras.kernel.take_away(FIRST)
    assert [cameras.write() for _ in range(3)] == [0, 0, 0]


def test_virtual_takes_another_device_where_its_own_is_gone(cameras):
    sink = cameras.open(None)
    assert sink.description.startswith(FIRST)
    cameras.kernel.take_away(FIRST)
    cameras.write()
    assert cameras.write() == 1
    assert sink.description.startswith(SECOND)


def test_virtual_stays_at_the_device_that_applications_have_chosen(cameras):
    cameras.kernel.open_errors[FIRST] = errno.EBUSY
    sink = cameras.open(None)
    assert sink.description.startswith(SECOND)
    cameras.kernel.open_errors.clear()
    cameras.kernel.nodes[SECOND].takes = [-errno.EIO]
    assert cameras.write() == 0
    assert cameras.write() == 1
    assert sink.description.startswith(SECOND)


def test_a_format_held_by_another_program_is_waited_for(cameras):
    sink = cameras.open(FIRST)
    cameras.kernel.nodes[FIRST].takes = [-errno.EINVAL]
    cameras.kernel.nodes[FIRST].keeps = (640, 360, "YUYV")
    assert [cameras.write() for _ in range(3)] == [0, 0, 0]
    assert "stays at '640x360 YUYV'" in sink.words
    assert "--size 640x360" in sink.words
    cameras.kernel.nodes[FIRST].keeps = None
    assert cameras.write() == 1
    assert sink.words == ""
