"""A live source through every state: pictures, placeholders with the reason, and back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest

from vcsharp.errors import SourceError, SourceLost
from vcsharp.frame import Color, ColorRange, black
from vcsharp.sources import live
from vcsharp.sources.placeholder import Placeholder, dimmed
from vcsharp.sources.rtsp import StreamSource
from vcsharp.states import SourceState as S

from .conftest import RtspServer
from .live_rig import Flaky, Rig, live_frames, refuse_always, refuse_until, wait_until, waiting_for
from .rtsp_server import number_of


@pytest.fixture
def rigs() -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(flaky: Flaky | dict[str, Flaky], **options: bool) -> Rig:
        made.append(Rig(flaky, **options))
        return made[-1]

    yield make
    for rig in made:
        rig.stop.set()
        rig.source.close()


def test_a_lost_source_gives_placeholders_and_comes_back(rigs: Callable[..., Rig]) -> None:
    flaky = Flaky(open_hook=refuse_until(3))
    rig = rigs(flaky)
    rig.source.open()
    frames = rig.frames_until(lambda got: live_frames(got) == 6)
    notices = [frame.notice for frame in frames]
    assert notices[:3] == notices[-3:] == [""] * 3
    assert {notice.partition(":")[0] for notice in notices[3:-3]} >= {"camera unplugged"}
    assert flaky.opens == 3
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert all(later.captured_ns > first.captured_ns for first, later in pairwise(frames))
    assert {(frame.width, frame.height) for frame in frames} == {(96, 64)}
    assert rig.states[:2] == [S.LIVE, S.LOST]
    assert rig.states[-1] is S.LIVE
    assert rig.source.status.reconnects == 1
    assert "camera '0' is gone" in [status.words for status in rig.told]
    assert rig.source.status.words == ""


def test_pauses_double_up_to_the_longest_with_a_little_chance(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LONGEST_WAIT_S", 1.0)
    rig = rigs(Flaky())
    pauses = []
    for _ in range(6):
        before_s = time.monotonic()
        rig.source._lose(SourceLost("gone"))
        pauses.append(rig.source._attempt_s - before_s)
    for pause_s, planned_s in zip(pauses, [0.2, 0.4, 0.8, 1.0, 1.0, 1.0], strict=True):
        assert 0.74 * planned_s < pause_s < 1.3 * planned_s


def test_a_camera_that_opens_but_never_delivers_is_not_hammered(rigs: Callable[..., Rig]) -> None:
    flaky = Flaky(good=0)
    rig = rigs(flaky, patient=True)
    rig.source.open()
    started_s = time.monotonic()
    while time.monotonic() - started_s < 1.2:
        rig.source.read()
    assert flaky.opens <= 5  # about after 0, 0.2, 0.6 s, and not yet after 1.4 s


def test_a_device_that_appears_is_tried_at_once(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FIRST_WAIT_S", 60.0)
    stamp = [0]
    monkeypatch.setattr(live, "hot_plug_stamp", lambda: stamp[0])
    flaky = Flaky(good=1)
    rig = rigs(flaky)
    rig.source.open()
    rig.until(S.LOST)
    stamp[0] = 1
    rig.until(S.LIVE)
    assert flaky.opens == 2


def test_a_first_open_that_fails_is_an_error(rigs: Callable[..., Rig]) -> None:
    rig = rigs(Flaky(open_hook=refuse_always))
    with pytest.raises(SourceError, match="in use"):
        rig.source.open()


def test_a_patient_run_starts_with_a_placeholder_instead(rigs: Callable[..., Rig]) -> None:
    rig = rigs(Flaky(open_hook=refuse_always), patient=True)
    found = rig.source.open()
    assert (found.width, found.height) == (96, 64)
    frames = rig.until(S.LOST)
    assert all(frame.notice for frame in frames)
    assert frames[-1].notice.startswith("camera in use")


def test_a_patient_run_shows_that_it_waits_for_a_slow_camera(rigs: Callable[..., Rig]) -> None:
    released = threading.Event()
    rig = rigs(Flaky(open_hook=waiting_for(released)), patient=True)
    rig.source.open()
    frames = rig.frames_until(lambda got: len(got) == 3)
    assert {frame.notice for frame in frames} == {"starting the camera: one moment"}
    released.set()
    rig.until(S.LIVE)


def test_the_end_of_the_first_recording_is_the_end_of_the_run(rigs: Callable[..., Rig]) -> None:
    rig = rigs(Flaky(good=2, ends=True, lossless=True))
    rig.source.open()
    frames = [rig.source.read() for _ in range(3)]
    assert [frame is not None for frame in frames] == [True, True, False]


def test_a_recording_chosen_later_ends_in_a_placeholder(rigs: Callable[..., Rig]) -> None:
    clip = Flaky(good=2, ends=True, lossless=True, name="clip.mp4")
    rig = rigs({"0": Flaky(good=10**6), "clip.mp4": clip})
    rig.source.open()
    rig.until(S.LIVE)
    rig.source.use("clip.mp4")
    frames = rig.until(S.ENDED)
    frame = rig.source.read()
    assert frame is not None
    assert "the video is over" in frame.notice
    assert all(f.timestamp is None for f in frames)  # paced here, so its own times mean nothing


def test_changing_the_source_closes_the_old_one(rigs: Callable[..., Rig]) -> None:
    first = Flaky(good=10**6)
    second = Flaky(good=10**6, size=(48, 32), name="/dev/video1")
    rig = rigs({"0": first, "1": second})
    rig.source.open()
    rig.until(S.LIVE)
    rig.source.use("1")
    frames = rig.frames_until(lambda got: bool(got) and got[-1].width == 48)
    assert not first.is_open
    assert rig.source.status.name == "/dev/video1"
    assert [f.sequence for f in frames] == list(range(frames[0].sequence, frames[-1].sequence + 1))


def test_held_and_released(rigs: Callable[..., Rig]) -> None:
    flaky = Flaky(good=10**6)
    rig = rigs(flaky)
    rig.source.open()
    rig.until(S.LIVE)
    for state, title in ((S.PAUSED, "paused"), (S.ASLEEP, "asleep")):
        rig.source.hold(state)
        frames = rig.until(state)
        assert frames[-1].notice.startswith(title)
        wait_until(lambda: not flaky.is_open)
        rig.source.release(state)
        rig.until(S.LIVE)
    assert rig.source.status.reconnects == 0


def test_the_weightier_hold_shows_and_both_must_go(rigs: Callable[..., Rig]) -> None:
    rig = rigs(Flaky(good=10**6))
    rig.source.open()
    rig.source.hold(S.PAUSED)
    rig.source.hold(S.ASLEEP)
    rig.until(S.ASLEEP)
    rig.source.release(S.ASLEEP)
    rig.until(S.PAUSED)
    rig.source.release(S.PAUSED)
    rig.until(S.LIVE)


def test_nobody_looks_closes_the_camera_and_somebody_opens_it(rigs: Callable[..., Rig]) -> None:
    flaky = Flaky(good=10**6)
    rig = rigs(flaky, patient=True)
    rig.wanted = False
    rig.source.open()
    rig.until(S.IDLE)
    assert flaky.opens == 0
    rig.wanted = True
    rig.until(S.LIVE)
    rig.wanted = False
    frames = rig.until(S.IDLE)
    wait_until(lambda: not flaky.is_open)
    # The picture of a closed camera shows nothing of the room.
    assert frames[-1].notice.startswith("camera off")


def test_a_closed_camera_sends_about_one_picture_a_second(rigs: Callable[..., Rig]) -> None:
    rig = rigs(Flaky(), patient=True)
    rig.source.hold(S.PAUSED)
    rig.source.open()
    started_s = time.monotonic()
    rig.frames_until(lambda got: len(got) == 3)
    assert time.monotonic() - started_s > 1.8


def test_a_source_that_stays_silent_is_stalled_then_live_again(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STALL_S", 0.2)
    go_on = threading.Event()
    flaky = Flaky(good=10**6, read_hook=waiting_for(go_on, at=3))
    rig = rigs(flaky)
    rig.source.open()
    frames = rig.until(S.STALLED)
    assert live_frames(frames[:-1]) == 3
    assert "sends nothing" in frames[-1].notice
    go_on.set()
    rig.until(S.LIVE)
    assert (rig.source.status.stalls, rig.source.status.reconnects, flaky.opens) == (1, 0, 1)


def test_a_source_that_hangs_for_good_is_opened_anew_beside_its_thread(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STALL_S", 0.1)
    monkeypatch.setattr(live, "HUNG_S", 0.4)
    go_on = threading.Event()
    hung = Flaky(good=10**6, read_hook=waiting_for(go_on, at=2))
    fine = Flaky(good=10**6)
    made = [hung, fine]
    rig = rigs(hung)
    rig.source._make = lambda spec: made.pop(0)
    rig.source.open()
    rig.until(S.LOST)
    rig.until(S.LIVE)
    assert fine.is_open
    assert rig.source.status.reconnects == 1
    go_on.set()
    wait_until(lambda: not hung.is_open)


def test_placeholders_go_on_and_stop_works_while_opening_hangs(rigs: Callable[..., Rig]) -> None:
    released = threading.Event()

    def hang(attempt: int) -> None:
        if attempt > 1:
            released.wait(20)

    flaky = Flaky(good=1, open_hook=hang)
    rig = rigs(flaky)
    rig.source.open()
    frames = rig.frames_until(lambda got: flaky.opens == 2 and len(got) > 8)
    assert all(frame.notice for frame in frames[1:])
    rig.stop.set()
    started_s = time.monotonic()
    assert rig.source.read() is None
    rig.source.close()
    assert time.monotonic() - started_s < 5
    released.set()
    wait_until(lambda: flaky.closes == 2 and not flaky.is_open)


def test_stopping_ends_a_first_open_that_hangs(rigs: Callable[..., Rig]) -> None:
    released = threading.Event()
    rig = rigs(Flaky(open_hook=waiting_for(released)))
    threading.Timer(0.2, rig.stop.set).start()
    with pytest.raises(SourceLost, match="stopped"):
        rig.source.open()
    released.set()


def test_a_pause_while_the_first_open_hangs_is_obeyed(rigs: Callable[..., Rig]) -> None:
    released = threading.Event()
    made = [Flaky(good=10**6, open_hook=waiting_for(released)), Flaky(good=10**6)]
    rig = rigs(made[0])
    rig.source._make = lambda spec: made.pop(0)
    threading.Timer(0.2, lambda: rig.source.hold(S.PAUSED)).start()
    rig.source.open()
    rig.until(S.PAUSED)
    released.set()
    rig.source.release(S.PAUSED)
    rig.until(S.LIVE)


def test_a_fault_of_the_program_is_not_taken_for_a_lost_camera(rigs: Callable[..., Rig]) -> None:
    def fail(number: int) -> None:
        raise ZeroDivisionError("planted")

    rig = rigs(Flaky(read_hook=fail))
    rig.source.open()
    with pytest.raises(ZeroDivisionError, match="planted"):
        rig.until(S.LOST)


def test_a_source_chosen_by_auto_is_kept_when_it_is_lost(rigs: Callable[..., Rig]) -> None:
    rig = rigs({"auto": Flaky(good=1)})
    rig.source.open()
    rig.frames_until(lambda got: live_frames(got) == 2)
    assert rig.made == ["auto"]


def test_the_device_is_used_by_no_thread_of_the_run(rigs: Callable[..., Rig]) -> None:
    flaky = Flaky()
    rig = rigs(flaky)
    rig.source.open()
    rig.frames_until(lambda got: live_frames(got) == 6)
    assert flaky.threads == {"vcsharp-feed"}


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


def test_without_any_picture_the_ground_is_dark_of_the_known_size() -> None:
    frame = Placeholder(None, (64, 48), "paused", "the camera is off").frame(0)
    assert (frame.width, frame.height) == (64, 48)
    assert 20 < np.median(frame.y) < 60
    assert frame.notice == "paused: the camera is off"


def test_a_killed_and_restarted_rtsp_server_is_read_again(
    rtsp: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(Flaky())
    inner = StreamSource(rtsp.start(), open_timeout_s=2, read_timeout_s=2)
    rig.source._make = lambda spec: inner
    rig.source.open()
    every = rig.frames_until(lambda got: live_frames(got) == 10)
    rtsp.kill()
    away = rig.frames_until(lambda got: sum(bool(frame.notice) for frame in got) > 4)
    rtsp.start("--size", "640x360")
    back = rig.frames_until(lambda got: live_frames(got) == 10)
    rig.stop.set()
    rig.source.close()
    assert away[-1].notice.startswith("stream ")
    assert (back[-1].width, back[-1].height) == (640, 360)
    assert number_of(back[-1].y) == 9
    every += [*away, *back]
    assert all(later.sequence == first.sequence + 1 for first, later in pairwise(every))
    assert rig.states[0] is rig.states[-1] is S.LIVE
