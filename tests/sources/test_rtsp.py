"""Streams from a real RTSP server on loopback: read live, time-outs, faults, no credentials."""

from __future__ import annotations

import logging
import socket
import time

import pytest

from tests.peers import answering
from vcsharp.errors import SourceError, SourceLost
from vcsharp.sources.rtsp import StreamSource, Transport

from .conftest import RtspServer
from .rtsp_server import number_of

TIMEOUT_S = 1.5


def quick(url: str, transport: Transport = "tcp") -> StreamSource:
    return StreamSource(
        url, transport=transport, open_timeout_s=TIMEOUT_S, read_timeout_s=TIMEOUT_S
    )


def numbers(source: StreamSource, count: int) -> list[int]:
    found = []
    for _ in range(count):
        frame = source.read()
        assert frame is not None
        found.append(number_of(frame.y))
    return found


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("size", ["320x240", "1280x720"])
def test_a_live_stream_is_read_from_its_first_frame_without_gaps(
    rtsp: RtspServer, transport: Transport, size: str
) -> None:
    source = quick(rtsp.start("--size", size), transport)
    facts = source.open()
    assert f"{facts.width}x{facts.height}" == size
    assert facts.fps == 25
    assert numbers(source, 30) == list(range(30))
    source.close()


def test_frames_are_numbered_and_stamped_on_arrival(rtsp: RtspServer) -> None:
    source = quick(rtsp.start())
    source.open()
    before_ns = time.monotonic_ns()
    frames = [source.read() for _ in range(3)]
    source.close()
    stamps = [frame.captured_ns for frame in frames if frame]
    assert [frame.sequence for frame in frames if frame] == [0, 1, 2]
    assert before_ns <= stamps[0] <= stamps[1] <= stamps[2] <= time.monotonic_ns()
    assert all(frame.timestamp is None for frame in frames if frame)


def test_a_reader_that_paused_catches_up_at_once(rtsp: RtspServer) -> None:
    source = quick(rtsp.start())
    source.open()
    numbers(source, 10)
    time.sleep(1.2)  # 30 frames arrive meanwhile
    started_s = time.monotonic()
    numbers(source, 25)
    caught_up_s = time.monotonic()
    numbers(source, 30)
    source.close()
    live_took_s = time.monotonic() - caught_up_s
    assert caught_up_s - started_s < live_took_s  # equal if the delay were kept


@pytest.mark.parametrize("auth", ["digest", "basic"])
def test_a_stream_with_a_password_is_read_and_the_password_never_shown(
    rtsp: RtspServer, auth: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    rtsp.start("--user", "viewer", "--password", "s3cret", "--auth", auth)
    with caplog.at_level(logging.DEBUG):
        source = quick(rtsp.url("viewer:s3cret@"))
        facts = source.open()
        assert numbers(source, 3) == [0, 1, 2]
        rtsp.kill()
        with pytest.raises(SourceLost) as lost:
            numbers(source, 100)
        source.close()
        with pytest.raises(SourceError) as refused:
            source.open()
    shown = [source.name, facts.description, str(lost.value), str(refused.value), *caplog.messages]
    shown += [str(lost.value.__cause__), str(refused.value.__cause__), *capfd.readouterr()]
    assert not any("s3cret" in text or "viewer" in text for text in shown)
    assert "***@127.0.0.1" in source.name


@pytest.mark.parametrize(
    ("credentials", "path", "words"),
    [
        ("", "live", "401"),
        ("viewer:wrong@", "live", "401"),
        ("viewer:s3cret@", "other", "404"),
    ],
)
def test_a_refusal_by_the_server_names_its_cure(
    rtsp: RtspServer, credentials: str, path: str, words: str
) -> None:
    rtsp.start("--user", "viewer", "--password", "s3cret")
    with pytest.raises(SourceError, match=words) as caught:
        quick(rtsp.url(credentials, path)).open()
    assert "wrong" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert not isinstance(caught.value, SourceLost)


def test_nobody_at_the_port_is_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceError, match="connection refused"):
        quick(f"rtsp://127.0.0.1:{port}/live").open()


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_server_that_never_answers_is_given_up(scheme: str) -> None:
    with answering(None) as port:
        started_s = time.monotonic()
        with pytest.raises(SourceError, match=r"no answer within 1\.5 s"):
            quick(f"{scheme}://u:s3cret@127.0.0.1:{port}/live").open()
        assert time.monotonic() - started_s < 3 * TIMEOUT_S


@pytest.mark.parametrize("reply", [b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 400 Bad\r\n\r\n", b""])
def test_what_is_not_rtsp_is_told_apart(reply: bytes) -> None:
    with answering(reply) as port, pytest.raises(SourceError, match="does not send a video stream"):
        quick(f"rtsp://127.0.0.1:{port}/live").open()


def test_a_password_with_a_slash_is_understood_when_escaped_and_explained_when_not(
    rtsp: RtspServer,
) -> None:
    rtsp.start("--user", "viewer", "--password", "a/b@c")
    source = quick(rtsp.url("viewer:a%2Fb%40c@"))
    source.open()
    assert numbers(source, 2) == [0, 1]
    source.close()
    with pytest.raises(SourceError, match="%2F") as caught:
        quick(rtsp.url("viewer:a/b@c@")).open()
    assert "a/b" not in str(caught.value)


@pytest.mark.parametrize("url", ["rtsp://", "rtsp://127.0.0.1:99999/x", "rtsp://no.invalid/x"])
def test_impossible_addresses_are_one_line(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        quick(url).open()
    assert f"'{url}'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_dies_in_mid_run_is_a_lost_source(rtsp: RtspServer) -> None:
    source = quick(rtsp.start("--die-after", "20"))
    source.open()
    with pytest.raises(SourceLost, match="ended by the other side"):
        numbers(source, 100)
    source.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_server_that_falls_silent_is_a_lost_source_within_the_time_out(
    rtsp: RtspServer, transport: Transport
) -> None:
    source = quick(rtsp.start("--silent-after", "30"), transport)
    source.open()
    started_s = time.monotonic()
    with pytest.raises(SourceLost, match="is silent for"):
        numbers(source, 100)
    assert TIMEOUT_S <= time.monotonic() - started_s < 4 * TIMEOUT_S
    source.close()


def test_a_source_opens_again_after_a_loss_even_in_another_size(rtsp: RtspServer) -> None:
    source = quick(rtsp.start("--die-after", "20"))
    source.open()
    with pytest.raises(SourceLost):
        numbers(source, 100)
    source.close()
    rtsp.kill()
    rtsp.start("--size", "640x360")
    facts = source.open()
    frame = source.read()
    assert frame is not None
    assert (frame.width, frame.height) == (facts.width, facts.height) == (640, 360)
    source.close()
    source.close()
