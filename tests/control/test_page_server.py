"""The page's listener: bounded, closed in time, on this machine only."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vcsharp.control import pictures, servers
from vcsharp.control.doors import Doors
from vcsharp.control.guards import LARGEST_BODY
from vcsharp.errors import SinkError, VcsharpError

from .fake_runtime import picture
from .page_browser import JSON, Browser, Reply, nothing_done


@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_body_is_refused(browser, runtime, chunked):
    body = b'{"source": "' + b"x" * LARGEST_BODY + b'"}'
    headers = browser.cookie | JSON
    connection = http.client.HTTPConnection("127.0.0.1", browser.port, timeout=30)
    content = iter([body[:40_000], body[40_000:]]) if chunked else body
    connection.request("PATCH", "/api/options", content, headers, encode_chunked=chunked)
    assert connection.getresponse().status == 413
    connection.close()
    assert nothing_done(runtime)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff" * 100,
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: {host}\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET /?token=%ff%00 HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET /%ff%00%2e%2e/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"PATCH /api/options HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n",
        b"PATCH /api/options HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    ],
)
def test_what_is_no_proper_request_gets_nothing_and_harms_nothing(browser, runtime, sent, caplog):
    with socket.create_connection(("127.0.0.1", browser.port), timeout=30) as rude:
        rude.sendall(sent.replace(b"{host}", f"127.0.0.1:{browser.port}".encode()))
        rude.shutdown(socket.SHUT_WR)
        answer = rude.recv(100)
    assert answer.split(b" ")[1][:1] == b"4"
    assert browser.get("/api/state").status == 200
    assert nothing_done(runtime)
    assert not caplog.records


def test_no_answer_waits_for_the_one_before_to_be_acknowledged(browser, monkeypatch):
    """Nagle's algorithm would hold each body back for 40 ms."""
    seen = []
    made = servers._Protocol.connection_made

    def looking(self, transport):
        made(self, transport)
        peer = transport.get_extra_info("socket")
        seen.append(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(servers._Protocol, "connection_made", looking)
    assert browser.get("/api/state").status == 200
    assert seen == [1]


def test_whoever_asks_too_slowly_is_cut(browser, monkeypatch):
    monkeypatch.setattr(servers, "EXCHANGE_TIMEOUT_S", 0.2)
    for start in (b"", b"GET /api/state HT", b"POST /api/pause HTTP/1.1\r\nHost: x\r\n"):
        with socket.create_connection(("127.0.0.1", browser.port), timeout=30) as slow:
            slow.sendall(start)
            assert cut(slow)


def test_many_connections_do_not_lock_the_page_out_for_ever(browser, monkeypatch):
    monkeypatch.setattr(servers, "EXCHANGE_TIMEOUT_S", 1.0)
    idle = [
        socket.create_connection(("127.0.0.1", browser.port), timeout=30)
        for _ in range(servers.MOST_CONNECTIONS)
    ]
    with socket.create_connection(("127.0.0.1", browser.port), timeout=30) as one_too_many:
        assert cut(one_too_many)
    assert all(map(cut, idle))
    assert browser.get("/api/state").status == 200
    for connection in idle:
        connection.close()


def cut(connection: socket.socket) -> bool:
    """Waits for the other end to close."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_asking_again_gives_the_same_page(open_doors, api):
    url = open_doors.page_url()
    assert open_doors.page_url(0) == url
    told = api.post("/api/ui").json()
    assert told["url"] == url
    assert told["once"].startswith(f"{url.partition('?')[0]}?ticket=")


def listening(suffix: str) -> list[str]:
    """Local addresses of listening sockets as the kernel writes them."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [row.split() for table in tables for row in table.read_text().splitlines()]
    return [row[1] for row in rows if row[3] == "0A" and row[1].endswith(suffix)]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_nothing_listens_beyond_this_machine(browser):
    assert listening(f":{browser.port:04X}") == [f"0100007F:{browser.port:04X}"]


def test_a_taken_port_is_named_with_a_cure(browser, runtime):
    other = Doors(runtime, "other")
    with pytest.raises(SinkError, match=rf"port '{browser.port}': another .*--preview-port"):
        other.page_url(browser.port)
    other.close()


def test_closing_frees_the_port_and_ends_the_threads(doors, own, runtime):
    serving = [t for t in threading.enumerate() if t.name == "vcsharp-page"]
    doors.close()
    doors.close()
    assert [t.is_alive() for t in serving].count(False) == 1
    with pytest.raises(ConnectionRefusedError):
        own.get("/")
    with pytest.raises(VcsharpError, match="about to end"):
        doors.page_url()
    again = Doors(runtime, "default")
    assert Browser(again.page_url(own.port)).port == own.port
    again.close()


def test_a_page_that_watches_hears_of_the_end(doors, own, runtime, monkeypatch):
    monkeypatch.setattr(pictures, "POLL_TIMEOUT_S", 20.0)
    number = runtime.show(picture(0))
    replies: list[Reply] = []
    page = threading.Thread(target=lambda: replies.append(own.get(f"/api/pair?after={number}")))
    page.start()
    while not runtime.looks:
        time.sleep(0.01)
    doors.close()
    page.join()
    assert (replies[0].status, replies[0].body) == (200, b"")


def test_it_is_known_whether_a_page_watches(doors, own, runtime, monkeypatch):
    runtime.show(picture(0))
    assert not doors.watched
    own.get("/api/state")
    assert not doors.watched
    own.get("/api/pair")
    assert doors.watched
    monkeypatch.setattr(pictures, "WATCHED_S", 0.0)
    assert not doors.watched


@pytest.fixture
def metrics(runtime, run_folder) -> Iterator[Browser]:
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"frames 1\n"})

    doors = Doors(runtime, "default", metrics=app)
    url = doors.metrics_url(0)
    assert url.endswith("/metrics")
    yield Browser(f"{url}?token=none")
    doors.close()


def test_metrics_need_no_key_and_are_all_there_is_at_their_port(metrics):
    assert metrics.ask("GET", "/metrics").body == b"frames 1\n"
    for path in ("/", "/api/state", "/metrics/", "/openapi.json"):
        assert metrics.ask("GET", path).status == 404
    assert metrics.ask("POST", "/metrics", JSON).status == 405
    assert metrics.ask("GET", "/metrics", {"Host": "evil.example"}).status == 400
