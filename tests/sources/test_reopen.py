"""A lost live source: placeholders at once, attempts with growing pauses, and the picture back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from vcsharp.errors import SourceError, SourceLost
from vcsharp.frame import Color, ColorRange, Frame, black
from vcsharp.sources import reopen
from vcsharp.sources.base import SourceFormat
from vcsharp.sources.placeholder import Placeholder, dimmed
from vcsharp.sources.reopen import Reopening
from vcsharp.sources.rtsp import StreamSource

from .conftest import RtspServer
from .rtsp_server import number_of


@dataclass
class Flaky:
    """Delivers `good` frames after each open, then is lost; `open_hook` may refuse or wait."""

    good: int = 3
    name: str = "/dev/video0"
    lossless: bool = False
    open_hook: Callable[[int], None] = lambda attempt: None
    ends: bool = False
    opens: int = 0
    closes: int = 0
    is_open: bool = False
    sent: int = 0
    readers: set[int] = field(default_factory=set)

    def open(self) -> SourceFormat:
        assert not self.is_open, "opened twice"
        self.opens += 1
        self.open_hook(self.opens)
        self.is_open, self.sent = True, 0
        return SourceFormat(96, 64, Fraction(30), Color(), "flaky")

    def read(self) -> Frame | None:
        assert self.is_open, "read while closed"
        if self.sent == self.good:
            if self.ends:
                return None
            raise SourceLost("camera '0' is gone")
        self.sent += 1
        return black(96, 64).replaced(sequence=self.sent - 1, captured_ns=time.monotonic_ns())

    def close(self) -> None:
        self.closes += 1
        self.is_open = False


def refuse_until(attempt: int) -> Callable[[int], None]:
    def hook(number: int) -> None:
        if 1 < number < attempt:
            raise SourceError("no camera at '0'")

    return hook


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def frames_until(source: Reopening, done: Callable[[list[Frame]], bool]) -> list[Frame]:
    frames: list[Frame] = []
    while not done(frames):
        frame = source.read()
        assert frame is not None
        frames.append(frame)
        assert len(frames) < 2000
    return frames


def test_a_lost_source_gives_placeholders_and_comes_back(stop: threading.Event) -> None:
    statuses: list[str] = []
    flaky = Flaky(open_hook=refuse_until(3))
    source = Reopening(flaky, stop, statuses.append)
    source.open()
    frames = frames_until(source, lambda got: sum(not frame.notice for frame in got) == 6)
    source.close()
    notices = [frame.notice for frame in frames]
    assert notices[:3] == notices[-3:] == [""] * 3
    assert set(notices[3:-3]) == {"camera lost: trying again"}
    assert flaky.opens == 3
    assert all(later.sequence == first.sequence + 1 for first, later in pairwise(frames))
    assert all(later.captured_ns > first.captured_ns for first, later in pairwise(frames))
    assert {(frame.width, frame.height) for frame in frames} == {(96, 64)}
    assert statuses[0] == statuses[-1] == "live"
    assert statuses[1] == "reconnecting: camera '0' is gone"
    assert "reconnecting: no camera at '0'" in statuses
    assert not flaky.is_open


def test_the_first_placeholder_comes_at_once(stop: threading.Event) -> None:
    source = Reopening(Flaky(good=1, open_hook=refuse_until(99)), stop, lambda status: None)
    source.open()
    source.read()
    started_s = time.monotonic()
    frame = source.read()
    assert frame is not None
    assert frame.notice
    assert time.monotonic() - started_s < 2
    source.close()


def test_pauses_double_up_to_the_longest(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reopen, "LONGEST_WAIT_S", 1.0)
    pauses = []
    source = Reopening(Flaky(), stop, lambda status: None)
    for _ in range(5):
        before_s = time.monotonic()
        source._put_off(SourceLost("gone"))
        pauses.append(round(source._next_attempt_s - before_s, 1))
    assert pauses == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_camera_that_opens_but_never_delivers_is_not_hammered(stop: threading.Event) -> None:
    flaky = Flaky(good=1)
    source = Reopening(flaky, stop, lambda status: None)
    source.open()
    source.read()
    flaky.good = 0
    started_s = time.monotonic()
    while time.monotonic() - started_s < 1.2:
        source.read()
    source.close()
    assert flaky.opens <= 4  # after 0, 0.2, 0.6 s and not yet after 1.4 s


def test_a_first_open_that_fails_is_an_error(stop: threading.Event) -> None:
    def refuse(attempt: int) -> None:
        raise SourceError("busy")

    source = Reopening(Flaky(open_hook=refuse), stop, lambda status: None)
    with pytest.raises(SourceError, match="busy"):
        source.open()


def test_the_end_of_a_source_is_passed_on(stop: threading.Event) -> None:
    source = Reopening(Flaky(good=1, ends=True), stop, lambda status: None)
    source.open()
    assert source.read() is not None
    assert source.read() is None


def test_placeholders_go_on_and_stop_works_while_opening_hangs(stop: threading.Event) -> None:
    released = threading.Event()

    def hang(attempt: int) -> None:
        if attempt > 1:
            released.wait(20)

    flaky = Flaky(good=1, open_hook=hang)
    source = Reopening(flaky, stop, lambda status: None)
    source.open()
    frames = frames_until(source, lambda got: flaky.opens == 2 and len(got) > 8)
    assert all(frame.notice for frame in frames[1:])
    stop.set()
    assert source.read() is None
    closes = flaky.closes
    source.close()
    released.set()
    for thread in threading.enumerate():
        if thread.name == "vcsharp-reopen":
            thread.join(5)
    assert flaky.closes == closes + 1  # by the abandoned attempt itself
    assert not flaky.is_open


@pytest.mark.parametrize("size", [(96, 64), (33, 17), (1920, 1080), (1, 1)])
def test_a_placeholder_is_the_last_picture_dimmed_with_words(size: tuple[int, int]) -> None:
    last = black(*size).replaced(color=Color(ColorRange.FULL))
    last.y[:] = 200
    last.u[:] = 60
    frame = Placeholder(last, (0, 0), "stream lost").frame(7)
    assert (frame.width, frame.height, frame.sequence) == (*size, 7)
    assert frame.notice == "stream lost: trying again"
    assert frame.color == last.color
    assert int(np.median(frame.y)) == 60
    assert abs(int(np.median(frame.u)) - 101) <= 1
    if size[0] > 90:
        assert frame.y.max() > 180  # the words


def test_dimming_keeps_black_black_in_both_ranges() -> None:
    for color_range, level in ((ColorRange.LIMITED, 16), (ColorRange.FULL, 0)):
        frame = dimmed(black(8, 8, Color(color_range)))
        assert set(np.unique(frame.y)) == {level}
        assert set(np.unique(frame.u)) == {128}


def test_without_any_picture_the_ground_is_black_of_the_known_size() -> None:
    frame = Placeholder(None, (64, 48), "camera lost").frame(0)
    assert (frame.width, frame.height) == (64, 48)


def test_a_killed_and_restarted_rtsp_server_is_read_again(
    rtsp: RtspServer, stop: threading.Event
) -> None:
    statuses: list[str] = []
    inner = StreamSource(rtsp.start(), open_timeout_s=2, read_timeout_s=2)
    source: Any = Reopening(inner, stop, statuses.append)
    source.open()
    live = [source.read() for _ in range(10)]
    rtsp.kill()
    away = frames_until(source, lambda got: sum(bool(frame.notice) for frame in got) > 4)
    rtsp.start("--size", "640x360")
    back = frames_until(source, lambda got: sum(not frame.notice for frame in got) == 10)
    source.close()
    assert away[-1].notice == "stream lost: trying again"
    assert (back[-1].width, back[-1].height) == (640, 360)
    assert number_of(back[-1].y) == 9
    every = [*live, *away, *back]
    assert all(later.sequence > first.sequence for first, later in pairwise(every))
    assert statuses[0] == statuses[-1] == "live"
