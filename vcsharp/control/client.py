"""Speaks to a run through its socket: what `vcsharp ctl` and `vcsharp ui` are made of."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

import vcsharp
from vcsharp.control.model import Change, ModelChoice, Reloaded, SourceChoice, State
from vcsharp.control.paths import find_socket, instances
from vcsharp.errors import SettingsError, VcsharpError

NOT_THERE = 3
"""What the process ends with where no run answers."""
ANSWER_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 2.0

_USAGE = (400, 415, 422)
"""Answers that find fault with what was asked, not with the run."""

T = TypeVar("T")


class Client:
    """A connection to the run of one name. Belongs to one thread.

    Every method raises VcsharpError, with `exit_code` 3 where no run answers.
    """

    def __init__(self, instance: str, timeout_s: float | None = None) -> None:
        self._instance = instance
        self._path = find_socket(instance)
        self._timeout_s = ANSWER_TIMEOUT_S if timeout_s is None else timeout_s
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self._path)),
            base_url="http://vcsharp",
            timeout=httpx.Timeout(self._timeout_s, connect=CONNECT_TIMEOUT_S),
            trust_env=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def state(self) -> State:
        """Everything, as it is now."""
        return self._read(State, self._ask("GET", "/api/state"))

    def change(self, wish: Change) -> State:
        """Changes what the wish names. Raises SettingsError for what cannot be used."""
        body = wish.model_dump(exclude_none=True)
        return self._read(State, self._ask("PATCH", "/api/options", json=body))

    def pause(self) -> State:
        """Closes the source."""
        return self._read(State, self._ask("POST", "/api/pause"))

    def resume(self) -> State:
        """Opens the source again."""
        return self._read(State, self._ask("POST", "/api/resume"))

    def reload(self) -> Reloaded:
        """Has the settings file read again. Raises SettingsError for a fault in it."""
        return self._read(Reloaded, self._ask("POST", "/api/reload"))

    def sources(self) -> list[SourceChoice]:
        """What could be the source there."""
        return self._read(list[SourceChoice], self._ask("GET", "/api/sources"))

    def models(self) -> list[ModelChoice]:
        """The networks that can be chosen."""
        return self._read(list[ModelChoice], self._ask("GET", "/api/models"))

    def snapshot(self, which: Literal["after", "before", "both"] = "after") -> bytes:
        """A PNG file of the newest live picture."""
        return self._ask("GET", "/api/snapshot.png", params={"which": which}).content

    def page_url(self) -> str:
        """The address of the control page, whose server is started if need be; holds its key."""
        return self._read(dict[str, str], self._ask("POST", "/api/ui"))["url"]

    def once_url(self) -> str:
        """As `page_url`, but good for one visit within a minute."""
        return self._read(dict[str, str], self._ask("POST", "/api/ui"))["once"]

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        if not _lives(self._path):
            raise self._not_there()
        try:
            reply = self._http.request(method, path, **content)
        except httpx.TimeoutException as error:
            raise self._failed(f"does not answer within {self._timeout_s:.0f} s") from error
        except httpx.HTTPError as error:
            raise self._failed("broke the connection off; it may have ended") from error
        if reply.is_success:
            return reply
        raise (SettingsError if reply.status_code in _USAGE else VcsharpError)(_detail(reply))

    def _read(self, kind: type[T], reply: httpx.Response) -> T:
        try:
            return TypeAdapter(kind).validate_json(reply.content)
        except ValidationError as error:
            what = f"is not of version {vcsharp.__version__} as this command is; restart it"
            raise self._failed(what) from error

    def _failed(self, what: str) -> VcsharpError:
        return _exiting(f"the run '{self._instance}' {what}", NOT_THERE)

    def _not_there(self) -> VcsharpError:
        if self._path.exists() and not os.access(self._path, os.R_OK | os.W_OK):
            return _exiting(
                f"the run '{self._instance}' belongs to another user; only that one and root may "
                f"steer it: sudo vcsharp ctl --instance {self._instance} ...",
                NOT_THERE,
            )
        others = [
            name for name in instances() if name != self._instance and _lives(find_socket(name))
        ]
        cure = f"there is '{others[0]}': --instance {others[0]}" if others else _start(self._path)
        return _exiting(f"no vcsharp runs here as '{self._instance}'; {cure}", NOT_THERE)


def _start(path: Path) -> str:
    name = "" if path.stem == "default" else f" --instance {path.stem}"
    return f"start one with: vcsharp run{name}"


def _lives(path: Path) -> bool:
    """Whether anybody listens; a run that was killed leaves its socket behind."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _exiting(text: str, exit_code: int) -> VcsharpError:
    error = VcsharpError(text)
    error.exit_code = exit_code
    return error


def _detail(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the run answered with status {reply.status_code}"
