"""The page's door: whoever has no key, or comes through another page or name, gets nothing."""

from __future__ import annotations

import json

import pytest

from .fake_runtime import picture
from .page_browser import JSON, nothing_done

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


# ---- ports, and the end


# ---- metrics
