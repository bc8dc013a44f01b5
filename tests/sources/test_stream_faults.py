"""An RTSP server that is blocked, slow, replaced by garbage, or refuses the password."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.peers import answering
from vcsharp.sources import live
from vcsharp.sources.rtsp import StreamSource
from vcsharp.states import SourceState as S

from .conftest import RtspServer
from .live_rig import Flaky, Rig, live_frames


@pytest.fixture
def watch(rtsp: RtspServer) -> Iterator[Callable[[str], Rig]]:
    """Makes a live source over a real stream, with short time-outs."""
    rigs: list[Rig] = []

    def make(url: str) -> Rig:
        rig = Rig(Flaky(name="rtsp://unused"), patient=True)
        rig.source._make = lambda spec: StreamSource(url, open_timeout_s=2, read_timeout_s=3)
        rig.source.use(url)
        rig.source.open()
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.stop.set()
        rig.source.close()


def test_a_blocked_server_stalls_the_stream_and_its_return_mends_it(
    rtsp: RtspServer, watch: Callable[[str], Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STALL_S", 0.5)
    rig = watch(rtsp.start())
    rig.frames_until(lambda got: live_frames(got) == 10)
    rtsp.processes[-1].send_signal(signal.SIGSTOP)
    frames = rig.until(S.STALLED)
    assert frames[-1].notice.startswith("stream sends nothing")
    rtsp.processes[-1].send_signal(signal.SIGCONT)
    rig.until(S.LIVE)
    assert rig.source.status.stalls == 1


def test_a_server_that_stays_blocked_is_lost_and_found_again(
    rtsp: RtspServer, watch: Callable[[str], Rig]
) -> None:
    rig = watch(rtsp.start())
    rig.frames_until(lambda got: live_frames(got) == 10)
    rtsp.processes[-1].send_signal(signal.SIGSTOP)
    rig.until(S.LOST)
    rtsp.processes[-1].send_signal(signal.SIGCONT)
    rig.frames_until(lambda got: live_frames(got) == 3)
    assert rig.source.status.reconnects == 1


def test_a_slow_stream_is_not_taken_for_a_stalled_one(
    rtsp: RtspServer, watch: Callable[[str], Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STALL_S", 0.2)  # shorter than the time between two pictures
    rig = watch(rtsp.start("--fps", "2"))
    rig.frames_until(lambda got: live_frames(got) == 4)
    assert rig.source.status.stalls == 0


def test_garbage_in_its_place_is_told_and_outlived(
    rtsp: RtspServer, watch: Callable[[str], Rig]
) -> None:
    rig = watch(rtsp.start())
    rig.frames_until(lambda got: live_frames(got) == 5)
    rtsp.kill()
    with answering(bytes(range(256)) * 40, rtsp.port):
        rig.frames_until(lambda got: "does not send a video" in rig.source.status.words)
    rtsp.start()
    rig.frames_until(lambda got: live_frames(got) == 5)


def test_a_wrong_password_is_shown_in_the_picture_without_the_password(
    rtsp: RtspServer, watch: Callable[[str], Rig]
) -> None:
    rtsp.start("--user", "me", "--password", "right")
    rig = watch(rtsp.url("me:wr0ng@"))
    frames = rig.until(S.LOST)
    assert frames[-1].notice.startswith("stream refuses the password")
    assert "wr0ng" not in repr(rig.told)
