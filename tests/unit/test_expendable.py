"""A recording beside a virtual camera: its disk may fill, the call goes on."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vcsharp.errors import SinkError
from vcsharp.frame import Color, Result, black
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.expendable import Expendable

STREAM = StreamFormat(16, 16, Fraction(30), Color())
RESULT = Result(black(16, 16), black(16, 16))


class Disk:
    """Takes `room` pictures."""

    name, realtime, paced, dresses = "out.mp4", False, False, True
    wanted: bool | None = True

    def __init__(self, room: int, *, closes: bool = True) -> None:
        self.room, self.closes, self.closed, self.written = room, closes, 0, 0

    def open(self, stream: StreamFormat) -> str:
        if self.room < 0:
            raise SinkError("cannot write 'out.mp4': the disk is full")
        return "out.mp4"

    def write(self, result: Result) -> None:
        if self.written == self.room:
            raise SinkError("cannot write 'out.mp4': the disk is full; free some space")
        self.written += 1

    def close(self) -> None:
        self.closed += 1
        if not self.closes:
            raise SinkError("the disk is full")


@pytest.mark.parametrize("closes", [True, False])
def test_a_full_disk_is_told_once_and_the_run_goes_on(closes: bool) -> None:
    faults: list[str] = []
    disk = Disk(2, closes=closes)
    sink = Expendable(disk, faults.append)
    assert sink.open(STREAM) == "out.mp4"
    for _ in range(5):
        sink.write(RESULT)
    assert disk.written == 2
    assert faults == [sink.words] == ["cannot write 'out.mp4': the disk is full; free some space"]
    sink.close()
    assert disk.closed == 1  # what could be finished was, at the time of the fault


def test_one_that_works_is_closed_at_the_end_and_may_fail_then() -> None:
    sink = Expendable(Disk(9, closes=False), print)
    sink.open(STREAM)
    sink.write(RESULT)
    assert sink.wanted
    with pytest.raises(SinkError):
        sink.close()


def test_one_that_cannot_be_opened_still_ends_the_run() -> None:
    with pytest.raises(SinkError, match="full"):
        Expendable(Disk(-1), print).open(STREAM)


def test_one_that_failed_wants_no_more_pictures() -> None:
    sink = Expendable(Disk(0), lambda why: None)
    sink.write(RESULT)
    assert sink.wanted is False
