"""The preview's web application: the page, the pictures, the figures, a snapshot."""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vcsharp.frame import Frame, Result
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.picture import jpeg, png

HOST = "127.0.0.1"
"""The only address the page is served on."""
POLL_TIMEOUT_S = 1.0
"""How long a page's question may stay unanswered."""
_GOODBYE_TIMEOUT_S = 0.5

_WEB = Path(__file__).parent.parent / "web"
_PAIR_HEADER = struct.Struct("<III")
"""Number of the picture, and the lengths in bytes of the JPEGs before and after."""
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Stage:
    """The newest result, and the pair of JPEGs made from it.

    Thread-safety: every method may be called from any thread.
    """

    def __init__(self, overlay: Callable[[Frame], Frame] | None) -> None:
        """`overlay` draws upon the sharpened picture before it is encoded."""
        self._overlay = overlay
        self._changed = threading.Condition()
        self._newest: Result | None = None
        self._number = 0
        self._ended = False
        self._asked_s = -math.inf
        self._told = False
        self._encoding = threading.Lock()
        self._pair = b""
        self._pair_number = 0
        self._size = ""

    @property
    def newest(self) -> Result | None:
        """What was shown last."""
        return self._newest

    @property
    def size(self) -> str:
        """Of the pictures, as `1920x1080`."""
        return self._size

    def begin(self, stream: StreamFormat) -> None:
        """A new stream starts."""
        with self._changed:
            self._size = f"{stream.width}x{stream.height}"
            self._newest, self._ended, self._told = None, False, False

    def show(self, result: Result) -> None:
        """Takes the place of the last result, without waiting for anybody."""
        with self._changed:
            self._newest = result
            self._number += 1
            self._changed.notify_all()

    def end(self) -> None:
        """Wakes everybody who waits; nothing more will come.

        A page that watches is between two questions half of the time: it is given a moment to ask
        once more, so that it hears of the end before the server is gone.
        """
        with self._changed:
            watched = time.monotonic() - self._asked_s < 2 * POLL_TIMEOUT_S
            self._ended = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._told or not watched, _GOODBYE_TIMEOUT_S)

    def next_pair(self, after: int, timeout_s: float) -> bytes | None:
        """The newest picture's pair, unless its number is `after`: header and two JPEGs.

        None where nothing newer came in time, nothing (of length 0) at the end. Each picture is
        encoded once, however many pages ask for it.
        """
        with self._changed:
            self._asked_s = time.monotonic()
            self._changed.wait_for(lambda: self._ended or self._is_new(after), timeout_s)
            if self._ended:
                self._told = True
                self._changed.notify_all()
                return b""
            if not self._is_new(after):
                return None
        with self._encoding:
            self._encode()
            return self._pair

    def _is_new(self, after: int) -> bool:
        return self._newest is not None and self._number != after

    def _encode(self) -> None:
        with self._changed:
            number, result = self._number, self._newest
        if result is None or number == self._pair_number:
            return
        frame = self._overlay(result.frame) if self._overlay else result.frame
        before, after = jpeg(result.source), jpeg(frame)
        header = _PAIR_HEADER.pack(number, len(before), len(after))
        self._pair, self._pair_number = header + before + after, number


def make_app(stage: Stage, stats: Callable[[], dict[str, Any]]) -> ASGIApp:
    """The application: `/`, `/pair`, `/stats`, `/snapshot.png`."""

    # Plain functions run in Starlette's thread pool, where they may wait and encode.
    def pair(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        body = stage.next_pair(int(after[:20]) if after.isdecimal() else 0, POLL_TIMEOUT_S)
        if body is None:
            return Response(status_code=204)
        return Response(body, media_type="application/octet-stream")

    def figures(_: Request) -> Response:
        return JSONResponse({"size": stage.size, **stats()})

    def snapshot(_: Request) -> Response:
        result = stage.newest
        if result is None:
            return Response("there is no picture yet", status_code=404, media_type="text/plain")
        name = time.strftime("vcsharp-%Y%m%d-%H%M%S.png")
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(png(result.frame), media_type="image/png", headers=headers)

    return Starlette(
        routes=[
            Route("/pair", pair),
            Route("/stats", figures),
            Route("/snapshot.png", snapshot),
            Mount("/", StaticFiles(directory=_WEB, html=True)),
        ],
        middleware=[
            Middleware(_SecurityHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
        ],
    )


class _SecurityHeaders:
    """Adds the headers that keep other pages and other hosts out of this one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)
