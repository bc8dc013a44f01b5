"""The listeners behind the doors: uvicorn in a thread of its own for each."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import socket
import struct
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from vcsharp.control.guards import HOST, metrics_guard
from vcsharp.control.paths import make_folder
from vcsharp.errors import SettingsError, SinkError, VcsharpError

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 32
"""At one door. A browser opens six at most; one more than this is cut."""
EXCHANGE_TIMEOUT_S = 20.0
"""From the first byte of a request to the last of its answer; what takes longer is cut."""

_STOP_TIMEOUT_S = 5.0
_ROOT = 0
_PEER = struct.Struct("3i")
"""Linux's `struct ucred`: process, user and group at the other end of a UNIX socket."""


class _Protocol(H11Protocol):
    """One connection, which may neither be one too many, nor another user's, nor take for ever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS or not _is_ours(transport):
            transport.abort()
        self._begin()

    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            self._begin()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._end()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._deadline = self.loop.call_later(EXCHANGE_TIMEOUT_S, self.transport.abort)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None


def _is_ours(transport: asyncio.Transport) -> bool:
    """Whether this user or root is at the other end; true where only the file's mode can tell."""
    peer = transport.get_extra_info("socket")
    if peer.family == socket.AF_INET or not hasattr(socket, "SO_PEERCRED"):
        return True
    _, user, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return user in (_ROOT, _user())


def _user() -> int:
    return os.geteuid()


class Server:
    """A listener that is served by a thread until it is closed.

    Thread-safety: `start` of the classes below and `close` are for one thread at a time.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def _serve(self, app: ASGIApp, listener: socket.socket) -> None:
        """Begins to answer; the listener belongs to the server from now on."""
        config = uvicorn.Config(
            app,
            http=_Protocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",  # what strangers send is not worth a line; we log our own faults
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name=self._name, daemon=True
        )
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Begins to close; `close` waits for it."""
        if self._server is not None:
            self._server.should_exit = True

    def close(self) -> None:
        """Cuts all connections and ends the thread. Idempotent."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT_S)
            if self._thread.is_alive():
                log.warning("%s did not end within %.0f s", self._thread.name, _STOP_TIMEOUT_S)
        self._server = self._thread = None


class ControlServer(Server):
    """Serves the API on a UNIX socket that only its owner can open."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__("vcsharp-control")
        self._app = app
        self._path: Path | None = None
        self._lock: int | None = None

    def start(self, path: Path) -> None:
        """Opens the socket; that of a run that died is replaced.

        Raises SettingsError where another run has it, or its folder is not safe.
        """
        if not hasattr(socket, "AF_UNIX"):
            raise VcsharpError("control: this system has no UNIX sockets")
        make_folder(path.parent)
        try:
            self._lock = _locked(path)
            listener = _private_listener(path)
        except OSError as error:
            self.close()
            raise VcsharpError(f"control: cannot open the socket '{path}': {error}") from error
        self._path = path
        self._serve(self._app, listener)

    def close(self) -> None:
        """Takes the socket away. Idempotent."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None
        super().close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(path: Path) -> int:
    """A file descriptor whose lock says that the socket's owner lives. Raises SettingsError.

    The lock ends with the process, however that ends; so a socket without it is a dead one's.
    """
    import fcntl  # not on Windows

    lock = os.open(
        path.with_name(f".{path.stem}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise SettingsError(
            f"instance: a vcsharp called '{path.stem}' runs already ('{path}'); "
            "give this one another name: --instance NAME"
        ) from None
    return lock


def _private_listener(path: Path) -> socket.socket:
    """A listening socket that nobody else could open at any moment. Raises OSError.

    It is made in a folder that is closed to others, and put in its place when all is set.
    """
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        listener = socket.socket(socket.AF_UNIX)
        try:
            made = Path(folder) / "s"
            listener.bind(str(made))
            made.chmod(0o600)
            listener.listen()
            made.replace(path)
        except OSError:
            listener.close()
            raise
    return listener


class PageServer(Server):
    """Serves the page and the API on 127.0.0.1 to whoever has the key."""

    def __init__(self, app_for: Callable[[int, str], ASGIApp]) -> None:
        """`app_for` makes the application, guarded, for a port and a key."""
        super().__init__("vcsharp-page")
        self._app_for = app_for

    def start(self, port: int) -> str:
        """Begins to serve on `port`, 0 for a free one; returns the address with the key in it.

        Raises SinkError for a port that cannot be had.
        """
        listener = _listener(port, "the page", "--preview-port")
        taken, token = listener.getsockname()[1], secrets.token_urlsafe(32)
        self._serve(self._app_for(taken, token), listener)
        return f"http://{HOST}:{taken}/?token={token}"


class MetricsServer(Server):
    """Serves figures on 127.0.0.1, without a key, for a collector such as Prometheus."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__("vcsharp-metrics")
        self._app = app

    def start(self, port: int) -> str:
        """Begins to serve; returns the address. Raises SinkError for a port that cannot be had."""
        listener = _listener(port, "metrics", "--metrics-port")
        taken = listener.getsockname()[1]
        self._serve(metrics_guard(self._app, taken), listener)
        return f"http://{HOST}:{taken}/metrics"


def _listener(port: int, what: str, flag: str) -> socket.socket:
    """A listening socket, so that nobody can come too early. Raises SinkError."""
    # asyncio switches Nagle's delay off only where the protocol is named: 40 ms for each answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # A port whose last connections still linger can be taken again at once.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        why = _why(error, flag)
        raise SinkError(f"cannot serve {what} on port '{port}': {why}") from error
    return listener


def _why(error: OSError, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"another program uses it; choose another {flag}, or 0 for any free one"
    if error.errno == errno.EACCES:
        return "ports below 1024 need special rights; choose a higher one"
    return error.strerror or str(error)
