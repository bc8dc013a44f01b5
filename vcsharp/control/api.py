"""The control API: what can be asked of a run and done to it, over HTTP, behind every door."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

import vcsharp
from vcsharp.control.answers import Problem, problem
from vcsharp.control.model import Change, ModelChoice, Reloaded, SourceChoice, State
from vcsharp.control.pictures import Pictures
from vcsharp.control.runtime import Runtime
from vcsharp.errors import ModelNotFoundError, SettingsError, VcsharpError
from vcsharp.redact import redact

log = logging.getLogger(__name__)

Guard = Callable[[ASGIApp], ASGIApp]
"""Stands before the application and turns away who may not come in."""

_DESCRIPTION = """\
Steers a running vcsharp. `vcsharp ctl` speaks it over a UNIX socket that only its owner can open,
the control page over 127.0.0.1 with a key. Nothing is loaded from elsewhere.
"""


class Address(BaseModel):
    """Where the control page is."""

    url: str
    """Opens the page in a browser, as often as you like; holds the page's key."""
    once: str
    """Opens it once, within a minute: for where others can read along."""


def make_app(
    runtime: Runtime,
    guard: Guard,
    *,
    pictures: Pictures | None = None,
    open_page: Callable[[], tuple[str, str]] | None = None,
    page: Path | None = None,
) -> ASGIApp:
    """The application.

    Args:
        runtime: the run that is steered.
        guard: what stands before it; see `vcsharp.control.guards`.
        pictures: shared with the other doors, so that each picture is encoded once.
        open_page: starts the page's server, or finds it running; returns its address, and one
            for a single visit.
        page: folder of the page's files, for the door that browsers come through.
    """
    app = FastAPI(
        title="vcsharp",
        version=vcsharp.__version__,
        description=_DESCRIPTION,
        docs_url=None,  # they would be fetched from elsewhere
        redoc_url=None,
        responses={400: {"model": Problem, "description": "The request was turned away"}},
    )
    app.include_router(_steering(runtime))
    app.include_router(_looking(pictures or Pictures(runtime)))
    if open_page is not None:
        app.include_router(_opening(open_page))
    if page is not None:
        app.mount("/", StaticFiles(directory=page, html=True))
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return guard(_AfterBugs(app))


class _AfterBugs:
    """Keeps a fault of ours, which was answered and logged by `_bug`, from cutting the connection.

    Starlette raises it once more for the server, which would print a traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Exception):
            await self._app(scope, receive, send)


# Plain functions run in a pool of threads, where they may wait and encode.


def _steering(runtime: Runtime) -> APIRouter:
    """What is asked and done; each route but the changes is named after its method."""
    api = APIRouter(prefix="/api")

    @api.get("/state")
    def state() -> State:
        """Everything there is to know about the run, as it is now."""
        return runtime.state()

    @api.patch("/options", responses=_REFUSED | _INVALID)
    def change(wish: Change) -> State:
        """Changes options while running, as a whole or not at all; what is left out stays."""
        return runtime.change(wish)

    @api.post("/pause")
    def pause() -> State:
        """Closes the source; outputs show a picture that says so."""
        return runtime.pause()

    @api.post("/resume")
    def resume() -> State:
        """Opens the source again."""
        return runtime.resume()

    @api.post("/reload", responses=_REFUSED)
    def reload() -> Reloaded:
        """Reads the settings file again, as `systemctl reload` does."""
        return runtime.reload()

    @api.get("/sources")
    def sources() -> list[SourceChoice]:
        """What could be the source on this machine."""
        return runtime.sources()

    @api.get("/models")
    def models() -> list[ModelChoice]:
        """The networks that can be chosen."""
        return runtime.models()

    return api


def _looking(pictures: Pictures) -> APIRouter:
    """Pictures, for eyes and for files."""
    api = APIRouter(prefix="/api")

    @api.get("/snapshot.png", response_class=Response, responses=_PNG | _NO_PICTURE | _INVALID)
    def snapshot(which: Literal["after", "before", "both"] = "after") -> Response:
        """The newest live picture as a PNG file, nothing drawn on it; wakes an idle camera."""
        data = pictures.snapshot(which)
        if data is None:
            raise HTTPException(404, "there is no live picture; see 'vcsharp ctl status' for why")
        name = time.strftime(f"vcsharp-%Y%m%d-%H%M%S-{which}.png")
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type="image/png", headers=headers)

    @api.get("/pair", response_class=Response, responses=_PAIR | _INVALID)
    def pair(
        after: Annotated[int, Query(ge=0, description="Number of the last one.")] = 0,
    ) -> Response:
        """The newest picture before and after, as soon as its number is not `after`.

        Three little-endian 32-bit numbers (the picture's number, the bytes of either JPEG), then
        the JPEG before and the JPEG after. Empty when the run has ended.
        """
        body = pictures.next_pair(after)
        if body is None:
            return Response(status_code=204)
        return Response(body, media_type="application/octet-stream")

    return api


def _opening(open_page: Callable[[], tuple[str, str]]) -> APIRouter:
    api = APIRouter(prefix="/api")

    @api.post("/ui", responses=_REFUSED)
    def ui() -> Address:
        """Starts the control page's server, unless it runs, and tells its address."""
        url, once = open_page()
        return Address(url=url, once=once)

    return api


_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "A value that cannot be used"},
    409: {"model": Problem, "description": "Cannot be done as things are"},
}
_INVALID: dict[int | str, dict[str, Any]] = {
    422: {"model": Problem, "description": "A value out of its range, or a name that is unknown"}
}
_NO_PICTURE: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "There is no live picture"}
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PNG: dict[int | str, dict[str, Any]] = {
    200: {"description": "A picture", "content": {"image/png": _BINARY}}
}
_PAIR: dict[int | str, dict[str, Any]] = {
    200: {"description": "A pair, or nothing", "content": {"application/octet-stream": _BINARY}},
    204: {"description": "Nothing newer within a second"},
}


def _refusal(_: Request, error: Exception) -> Response:
    usage = isinstance(error, SettingsError | ModelNotFoundError)
    return problem(400 if usage else 409, str(error))


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(422, "; ".join(_fault(fault) for fault in error.errors()))


def _fault(fault: dict[str, Any]) -> str:
    """`strength: Input should be less than or equal to 2`; the value may be a secret."""
    if fault["type"] == "json_invalid":
        return "the body is not valid JSON"
    where = ".".join(str(part) for part in fault["loc"][1:])
    return f"{where or 'body'}: {fault['msg']}"


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    return problem(error.status_code, str(error.detail), dict(error.headers or {}))


def _bug(request: Request, error: Exception) -> Response:
    kind = type(error).__name__
    log.error("control: %s failed: %s: %s", request.url.path, kind, redact(str(error)))
    return problem(500, f"internal error: {kind}; see the log of the run")


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Response]] = {
    VcsharpError: _refusal,
    RequestValidationError: _invalid,
    StarletteHTTPException: _http,
    Exception: _bug,
}
