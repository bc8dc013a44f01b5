"""Who may come in: what stands before the application at each door.

The socket needs no key, for only its owner can open it. The page is reached over TCP, where every
program of this machine and every web page in the browser can knock: it takes a key, and refuses
whatever a browser sends on behalf of another page or under another host name.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vcsharp.control.answers import problem
from vcsharp.control.tickets import Tickets

HOST = "127.0.0.1"
"""The only address that anything but the socket is served on."""
LARGEST_BODY = 64 * 1024
"""Bytes; the longest wish is a tenth of it."""

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OWN_SITE = ("same-origin", "none")
_NO_KEY = "this page needs its key; open it again with: vcsharp ui"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class BoundedBody:
    """Takes the body whole before anybody looks at it, and refuses a long one with 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            refusal = problem(413, f"the body is too long; at most {LARGEST_BODY} bytes are taken")
            refusal.headers["Connection"] = "close"
            await refusal(scope, receive, send)
            return
        told = False

        async def receive_again() -> Message:
            nonlocal told
            if told:
                return await receive()  # waits for the end of the connection
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_again, send)


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None for one that is too long."""
    parts, length = [], 0
    more = True
    while more:
        message = await receive()
        part = message.get("body", b"")
        length += len(part)
        if length > LARGEST_BODY:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


class SafeHeaders:
    """Adds the headers that keep other pages and other hosts out of this one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Checked:
    """Lets a request through unless one of the checks has an answer for it."""

    def __init__(self, app: ASGIApp, *checks: Callable[[Scope], Response | None]) -> None:
        self._app, self._checks = app, checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answers = (check(scope) for check in self._checks)
        answer = next((answer for answer in answers if answer is not None), None)
        await (answer or self._app)(scope, receive, send)


class _Below:
    """Serves everything below a folder as well; links are relative and stay in it."""

    def __init__(self, folder: str, app: ASGIApp) -> None:
        self._folder, self._app = folder, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(f"{self._folder}/"):
            scope = dict(scope, path=scope["path"].removeprefix(self._folder))
        await self._app(scope, receive, send)


def socket_guard(app: ASGIApp) -> ASGIApp:
    """For the UNIX socket: the file's mode has asked who it is."""
    return BoundedBody(app)


def page_guard(app: ASGIApp, port: int, token: str, tickets: Tickets) -> ASGIApp:
    """For the page at `http://127.0.0.1:port/`, whose key is `token`; a ticket admits as well."""
    folder = f"/{hashlib.sha256(token.encode()).hexdigest()[:32]}"  # which does not give it away
    key = _Key(port, token, folder, tickets)
    checks = (_own_host(port), _own_origin, _own_site, _plain_json, key.check)
    return SafeHeaders(_Below(folder, _Checked(BoundedBody(app), *checks)))


def metrics_guard(app: ASGIApp, port: int) -> ASGIApp:
    """For `http://127.0.0.1:port/metrics`: figures without a key, and nothing else."""
    return SafeHeaders(_Checked(app, _own_host(port), _only_metrics))


def _own_host(port: int) -> Callable[[Scope], Response | None]:
    """Another name that leads here was made to do so by somebody else's name server."""
    names = [f"{HOST}:{port}", f"localhost:{port}"]
    if port == 80:  # browsers leave the default port out
        names += [HOST, "localhost"]

    def check(scope: Scope) -> Response | None:
        given = Headers(scope=scope).getlist("host")
        if len(given) == 1 and given[0].lower() in names:
            return None
        return problem(400, f"wrong host name; the address begins with http://{HOST}:{port}/")

    return check


def _own_origin(scope: Scope) -> Response | None:
    headers = Headers(scope=scope)
    own = f"http://{headers['host']}".lower()
    if all(origin.lower() == own for origin in headers.getlist("origin")):
        return None
    return problem(403, "another page may not ask this")


def _own_site(scope: Scope) -> Response | None:
    """What a browser says of itself; it covers what sends no Origin."""
    if scope["method"] in _SAFE_METHODS:
        return None
    if all(site in _OWN_SITE for site in Headers(scope=scope).getlist("sec-fetch-site")):
        return None
    return problem(403, "another page may not do this")


def _plain_json(scope: Scope) -> Response | None:
    """A form of another page cannot send JSON without asking first, and is not answered."""
    if scope["method"] in _SAFE_METHODS:
        return None
    given = Headers(scope=scope).getlist("content-type")
    if len(given) == 1 and given[0].partition(";")[0].strip().lower() == "application/json":
        return None
    return problem(415, "Content-Type has to be application/json")


def _only_metrics(scope: Scope) -> Response | None:
    if scope["path"] != "/metrics":
        return problem(404, "only /metrics is served here")
    if scope["method"] not in ("GET", "HEAD"):
        return problem(405, "metrics can only be read", {"Allow": "GET, HEAD"})
    return None


class _Key:
    """The page's key: first in the address, from then on in a cookie that no script can read.

    A browser sends a cookie to every port of this machine, also to one that another user listens
    at. So the page lives in a folder whose name nobody could guess, and the cookie goes there only.
    """

    def __init__(self, port: int, token: str, folder: str, tickets: Tickets) -> None:
        self._token, self._folder, self._tickets = token.encode(), folder, tickets
        self._cookie = f"vcsharp-{port}"  # cookies do not tell ports apart

    def check(self, scope: Scope) -> Response | None:
        """None for a request with the key."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["path"] == "/" and scope["method"] == "GET":
            if "token" in query:
                return self._welcome(admitted=all(map(self._is_key, query["token"])))
            if "ticket" in query:
                return self._welcome(admitted=all(map(self._tickets.spend, query["ticket"])))
        if any(self._is_key(word) for word in self._shown(Headers(scope=scope))):
            return None
        if scope["path"].startswith("/api/"):
            return problem(401, _NO_KEY, {"WWW-Authenticate": "Bearer"})
        return PlainTextResponse(f"{_NO_KEY}\n", 401)

    def _welcome(self, *, admitted: bool) -> Response:
        if not admitted:
            return PlainTextResponse(f"wrong key; {_NO_KEY}\n", 403)
        answer = Response(status_code=303, headers={"Location": f"{self._folder}/"})
        answer.set_cookie(
            self._cookie, self._token.decode(), path=self._folder, httponly=True, samesite="strict"
        )
        return answer

    def _shown(self, headers: Headers) -> list[str]:
        """What the request holds in the places of a key."""
        cookies = (cookie_parser(text).get(self._cookie) for text in headers.getlist("cookie"))
        named = (text.partition(" ") for text in headers.getlist("authorization"))
        bearers = (word.strip() for scheme, _, word in named if scheme.lower() == "bearer")
        return [*filter(None, cookies), *bearers]

    def _is_key(self, word: str) -> bool:
        return secrets.compare_digest(word.encode("utf-8", "replace"), self._token)
