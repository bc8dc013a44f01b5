"""The page's door: whoever has no key, or comes through another page or name, gets nothing."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from vcsharp.control import pictures, servers
from vcsharp.control.doors import Doors
from vcsharp.control.guards import LARGEST_BODY
from vcsharp.errors import SinkError, VcsharpError

from .fake_runtime import picture

JSON = {"Content-Type": "application/json"}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Browser:
    """Sends exactly what it is told."""

    def __init__(self, url: str) -> None:
        self.port = urlsplit(url).port or 0
        self.token = parse_qs(urlsplit(url).query)["token"][0]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.cookie = {"Cookie": f"vcsharp-{self.port}={self.token}"}

    def ask(self, method: str, path: str, headers=None, body: bytes | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, self.cookie | headers)


@pytest.fixture
def browser(open_doors, runtime) -> Browser:
    """At a page that stays open from test to test."""
    return Browser(open_doors.page_url())


@pytest.fixture
def own(doors) -> Browser:
    """At a page that this test may close."""
    return Browser(doors.page_url())


def nothing_done(runtime) -> bool:
    return not runtime.calls and not runtime.looks


# ---- the key


def test_the_address_opens_the_page_once_and_leaves_the_key_in_a_cookie(browser):
    reply = browser.ask("GET", f"/?token={browser.token}")
    assert reply.status == 303
    place = reply.headers["location"]
    cookie, *attributes = reply.headers["set-cookie"].split("; ")
    assert cookie == f"vcsharp-{browser.port}={browser.token}"
    assert {"HttpOnly", "SameSite=strict"} < set(attributes)
    page = browser.ask("GET", place, {"Cookie": cookie})
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert browser.token.encode() not in page.body
    assert browser.ask("GET", f"{place}api/state", {"Cookie": cookie}).status == 200
    assert browser.ask("GET", place).status == 401


def test_a_listener_at_another_port_is_not_sent_the_cookie(browser):
    """Browsers send cookies to all ports alike, but only below the path they are for."""
    reply = browser.ask("GET", f"/?token={browser.token}")
    place = reply.headers["location"]
    assert len(place) >= 20
    assert browser.token not in place
    assert f"Path={place.rstrip('/')}" in reply.headers["set-cookie"].split("; ")


def test_the_key_is_long_and_another_one_each_time(browser, own):
    assert browser.token != own.token
    assert min(len(browser.token), len(own.token)) >= 43


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/api/state", "/api/pair", "/api/snapshot.png", "/openapi.json", "/x"]
)
def test_without_the_key_there_is_nothing_to_see(browser, runtime, path):
    runtime.show(picture(0))
    reply = browser.ask("GET", path)
    assert reply.status == 401
    assert b"vcsharp ui" in reply.body
    assert nothing_done(runtime)


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "vcsharp-{port}=wrong"},
        {"Cookie": "vcsharp={token}"},
        {"Cookie": "vcsharp-1={token}"},
        {"Cookie": "{token}"},
        {"Cookie": "vcsharp-{port}={token}x"},
        {"Cookie": "vcsharp-{port}="},
        {"Cookie": "vcsharp-{port}=\xe9\xff"},
        {"Authorization": "{token}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic {token}"},
    ],
)
def test_a_wrong_key_is_none(browser, runtime, headers):
    filled = {
        name: value.format(port=browser.port, token=browser.token)
        for name, value in headers.items()
    }
    assert browser.ask("GET", "/api/state", filled).status == 401
    assert browser.ask("POST", "/api/pause", filled | JSON).status == 401
    assert nothing_done(runtime)


@pytest.mark.parametrize("query", ["token=wrong", "token=", "token={token}&token=wrong"])
def test_a_wrong_key_in_the_address_is_refused(browser, query):
    reply = browser.ask("GET", "/?" + query.format(token=browser.token))
    assert reply.status in (401, 403)
    assert "set-cookie" not in reply.headers


def test_the_key_in_the_address_opens_nothing_but_the_page(browser, runtime):
    key = f"?token={browser.token}"
    assert browser.ask("GET", f"/api/state{key}").status == 401
    assert browser.ask("POST", f"/api/pause{key}", JSON).status == 401
    assert browser.ask("POST", f"/{key}", JSON).status == 401
    assert nothing_done(runtime)


def test_programs_may_send_the_key_in_a_header(browser):
    reply = browser.ask("GET", "/api/state", {"Authorization": f"Bearer {browser.token}"})
    assert reply.status == 200


def test_two_runs_do_not_take_each_others_cookies(browser, own):
    both = {"Cookie": f"{browser.cookie['Cookie']}; {own.cookie['Cookie']}"}
    assert browser.ask("GET", "/api/state", both).status == 200
    assert own.ask("GET", "/api/state", both).status == 200
    assert own.ask("GET", "/api/state", browser.cookie).status == 401


# ---- other pages, other names


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.evil.example:{port}",
        "localhost.evil.example:{port}",
        "127.1:{port}",
        "[::1]:{port}",
        "user@127.0.0.1:{port}",
        "",
    ],
)
def test_a_name_that_was_made_to_lead_here_is_refused_even_with_the_key(browser, runtime, host):
    named = {"Host": host.format(port=browser.port)}
    assert browser.get("/api/state", **named).status == 400
    assert browser.ask("GET", f"/?token={browser.token}", named).status == 400
    assert nothing_done(runtime)


def test_localhost_is_welcome(browser):
    assert browser.get("/api/state", Host=f"localhost:{browser.port}").status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "null",
        "",
    ],
)
def test_another_origin_is_refused_even_with_the_key(browser, runtime, origin):
    named = {"Origin": origin.format(port=browser.port)}
    assert browser.get("/api/state", **named).status == 403
    headers = browser.cookie | JSON | named
    assert browser.ask("PATCH", "/api/options", headers, b'{"strength": 2}').status == 403
    assert nothing_done(runtime)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something-new"])
def test_a_request_that_another_page_made_changes_nothing(browser, runtime, site):
    headers = browser.cookie | JSON | {"Sec-Fetch-Site": site}
    for path in ("/api/pause", "/api/reload", "/api/ui"):
        assert browser.ask("POST", path, headers).status == 403
    assert nothing_done(runtime)


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain; application/json",
    ],
)
def test_what_a_form_of_another_page_can_send_is_not_json(browser, runtime, kind):
    headers = browser.cookie | ({"Content-Type": kind} if kind else {})
    assert browser.ask("POST", "/api/pause", headers, b"{}").status == 415
    assert browser.ask("PATCH", "/api/options", headers, b'{"strength": 2}').status == 415
    assert nothing_done(runtime)


def test_the_page_itself_may_change_things(browser, runtime):
    headers = browser.cookie | JSON
    headers |= {"Origin": browser.origin, "Sec-Fetch-Site": "same-origin"}
    reply = browser.ask("PATCH", "/api/options", headers, b'{"strength": 2}')
    assert (reply.status, json.loads(reply.body)["options"]["strength"]) == (200, 2)
    assert browser.ask("POST", "/api/pause", headers).status == 200
    assert runtime.calls == ["change", "pause"]


def test_a_preflight_allows_nothing(browser):
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PATCH"}
    reply = browser.ask("OPTIONS", "/api/options", headers)
    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/app.js", "/api/state", "/api/nothing", "/no-key"])
def test_every_answer_keeps_other_pages_out(browser, path):
    for reply in (browser.get(path), browser.ask("GET", path)):
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] == "no-store"
        assert not [name for name in reply.headers if name.startswith("access-control")]


def test_only_the_pages_own_files_are_served(browser):
    for name in ("index.html", "app.js", "style.css", "icon.svg"):
        assert browser.get(f"/{name}").status == 200
    for name in ("../settings.py", "%2e%2e/settings.py", "..%2fsettings.py", "//etc/passwd"):
        assert browser.get(f"/{name}").status == 404


# ---- bounds


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


# ---- ports, and the end


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


# ---- metrics


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
