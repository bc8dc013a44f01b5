from __future__ import annotations

import http.client
import json
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from vcsharp.errors import SinkError
from vcsharp.sinks import preview_app
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.picture import bgr
from vcsharp.sinks.preview import PreviewSink

STATS = {"fps_in": 29.9, "status": "live", "source": "demo"}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def get(url: str, path: str, host: str | None = None) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, headers, answer.read())
    finally:
        connection.close()


def pictures(body: bytes) -> tuple[int, np.ndarray, np.ndarray]:
    """(number, before, after) of a pair."""
    number, before, after = struct.unpack_from("<III", body)
    assert len(body) == 12 + before + after
    parts = body[12 : 12 + before], body[12 + before :]
    return number, decoded(parts[0]), decoded(parts[1])


def decoded(data: bytes) -> np.ndarray:
    """Blue, green, red of a JPEG or PNG."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


@pytest.fixture
def sink() -> Iterator[PreviewSink]:
    made = PreviewSink(stats=lambda: STATS)
    yield made
    made.close()


@pytest.fixture
def url(sink: PreviewSink, stream: StreamFormat) -> str:
    return sink.open(stream)


def flat(result, level):
    """A result whose sharpened picture is one grey; its source a darker one."""
    frame = result.frame.replaced(data=np.full_like(result.frame.data, 128))
    source = frame.replaced(data=frame.data.copy())
    frame.y[:], source.y[:] = level, level // 2
    return type(result)(frame, source)


def test_the_page_is_served_on_this_machine_only(url):
    assert url.startswith("http://127.0.0.1:")
    reply = get(url, "/")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/html")
    for name in ("app.js", "style.css", "icon.svg"):
        assert get(url, f"/{name}").status == 200
    assert get(url, "/../preview.py").status == 404


def test_nothing_may_be_loaded_from_elsewhere(url):
    for path in ("/", "/app.js", "/stats", "/pair?after=0", "/nowhere"):
        headers = get(url, path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; ")
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_other_host_names_are_refused(url, host):
    assert get(url, "/stats", host).status == 400


def test_localhost_is_welcome(url):
    assert get(url, "/stats", f"localhost:{urlsplit(url).port}").status == 200


def test_a_pair_shows_one_frame_before_and_after(sink, url, make_results):
    result = flat(make_results(1)[0], 160)
    sink.write(result)
    number, before, after = pictures(get(url, "/pair?after=0").body)
    assert number == 1
    assert np.abs(after.astype(int) - bgr(result.frame)).max() <= 2
    assert np.abs(before.astype(int) - bgr(result.source)).max() <= 2


def test_the_newest_wins(sink, url, make_results):
    for level, result in zip((60, 120, 200), make_results(3), strict=True):
        sink.write(flat(result, level))
    number, _, after = pictures(get(url, "/pair?after=1").body)
    assert number == 3
    assert after.mean() == pytest.approx((200 - 16) * 255 / 219, abs=2)


def test_without_anything_newer_the_answer_is_empty_after_a_while(
    sink, url, make_results, monkeypatch
):
    monkeypatch.setattr(preview_app, "POLL_TIMEOUT_S", 0.05)
    assert get(url, "/pair?after=0").status == 204
    sink.write(make_results(1)[0])
    assert get(url, "/pair?after=1").status == 204


def test_a_waiting_page_gets_the_next_frame(sink, url, make_results, monkeypatch):
    monkeypatch.setattr(preview_app, "POLL_TIMEOUT_S", 15.0)
    replies: list[Reply] = []
    page = threading.Thread(target=lambda: replies.append(get(url, "/pair?after=0")))
    page.start()
    time.sleep(0.1)
    sink.write(make_results(1)[0])
    page.join()
    assert pictures(replies[0].body)[0] == 1


@pytest.mark.parametrize("after", ["", "x", "-1", "9" * 30])
def test_a_strange_question_gets_the_newest(sink, url, make_results, after):
    sink.write(make_results(1)[0])
    assert pictures(get(url, f"/pair?after={after}").body)[0] == 1


def test_nothing_is_encoded_until_somebody_asks_and_then_once(sink, url, make_results, monkeypatch):
    encoded = []

    def counting(frame):
        encoded.append(frame)
        return b"jpeg"

    monkeypatch.setattr(preview_app, "jpeg", counting)
    for result in make_results(5):
        sink.write(result)
    assert encoded == []
    bodies = {get(url, "/pair?after=0").body for _ in range(3)}
    assert len(bodies) == 1
    assert len(encoded) == 2


def test_the_overlay_is_in_the_page_and_not_in_the_snapshot(make_results, stream):
    def whiten(frame):
        return frame.replaced(data=np.full_like(frame.data, 128))

    sink = PreviewSink(overlay=whiten)
    try:
        url = sink.open(stream)
        result = flat(make_results(1)[0], 40)
        sink.write(result)
        _, _, after = pictures(get(url, "/pair?after=0").body)
        assert after.mean() == pytest.approx((128 - 16) * 255 / 219, abs=2)
        snapshot = get(url, "/snapshot.png").body
        assert np.array_equal(decoded(snapshot), bgr(result.frame))
    finally:
        sink.close()


def test_a_snapshot_is_a_download(sink, url, make_results):
    assert get(url, "/snapshot.png").status == 404
    sink.write(make_results(1)[0])
    reply = get(url, "/snapshot.png")
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["content-disposition"].startswith('attachment; filename="vcsharp-')


def test_the_figures_come_as_given(url):
    assert json.loads(get(url, "/stats").body) == {"size": "64x48", **STATS}


def test_a_page_that_watches_hears_of_the_end(sink, url, make_results, monkeypatch):
    monkeypatch.setattr(preview_app, "POLL_TIMEOUT_S", 15.0)
    sink.write(make_results(1)[0])
    replies: list[Reply] = []
    page = threading.Thread(target=lambda: replies.append(get(url, "/pair?after=1")))
    page.start()
    time.sleep(0.1)
    sink.close()
    page.join()
    assert (replies[0].status, replies[0].body) == (200, b"")


def test_closing_ends_the_server_and_frees_the_port(sink, url, stream, make_results):
    sink.close()
    with pytest.raises(ConnectionRefusedError):
        get(url, "/")
    again = PreviewSink(urlsplit(url).port or 0)
    try:
        assert again.open(stream) == url
    finally:
        again.close()
    assert not [t for t in threading.enumerate() if t.name == "vcsharp-preview"]


def test_a_taken_port_is_named_with_a_cure(url, stream):
    second = PreviewSink(urlsplit(url).port or 0)
    with pytest.raises(SinkError, match=f"port '{urlsplit(url).port}': another program uses it"):
        second.open(stream)
    second.close()


def test_writing_never_waits_for_a_page(sink, url, make_results, monkeypatch):
    """A page that is being served slowly holds nobody up."""
    release = threading.Event()
    asked = threading.Event()

    def stuck(frame):
        asked.set()
        release.wait(20)
        return b"jpeg"

    monkeypatch.setattr(preview_app, "jpeg", stuck)
    results = make_results(4)
    sink.write(results[0])
    page = threading.Thread(target=lambda: get(url, "/pair?after=0"))
    page.start()
    assert asked.wait(20)
    for result in results[1:]:
        sink.write(result)
    assert not release.is_set()
    release.set()
    page.join()
