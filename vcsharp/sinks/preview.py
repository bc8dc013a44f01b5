"""A page in the browser that shows the live picture before and after, and the figures.

The page asks for the next pair of pictures when it has drawn the last one: a slow browser gets
fewer pictures, never older ones, and nothing is encoded while nobody looks.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from vcsharp.errors import SinkError
from vcsharp.frame import Frame, Result
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.preview_app import HOST, Stage, make_app

log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 5.0


class PreviewSink:
    """Serves the newest result to browsers on this machine.

    Thread-safety: `open`, `write` and `close` belong to one thread; the server runs in its own.
    """

    realtime = True
    paced = False
    dresses = False

    def __init__(
        self,
        port: int = 0,
        *,
        name: str = "preview",
        stats: Callable[[], dict[str, Any]] = dict,
        overlay: Callable[[Frame], Frame] | None = None,
    ) -> None:
        """`port` 0 takes a free one.

        `stats` gives the figures as plain data, from the server's threads; `overlay` draws upon the
        sharpened picture as the page shows it, never upon a snapshot.
        """
        self.name = name
        self._port, self._stats = port, stats
        self._stage = Stage(overlay)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def open(self, stream: StreamFormat) -> str:
        """Starts the server and returns the page's address. Raises SinkError for a taken port."""
        listener = _listener(self._port)
        self._stage.begin(stream)
        config = uvicorn.Config(
            make_app(self._stage, self._stats),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="vcsharp-preview", daemon=True
        )
        self._thread.start()
        return f"http://{HOST}:{listener.getsockname()[1]}/"

    def write(self, result: Result) -> None:
        """Puts the newest picture up; a page fetches it when it is ready for one."""
        self._stage.show(result)

    def close(self) -> None:
        """Tells the pages that the stream ended, and stops the server. Idempotent."""
        self._stage.end()
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOP_TIMEOUT_S)
        if self._thread.is_alive():
            log.warning("the preview's server did not stop within %.0f s", _STOP_TIMEOUT_S)
        self._server = self._thread = None


def _listener(port: int) -> socket.socket:
    """A listening socket, so that no page can come too early. Raises SinkError."""
    listener = socket.socket()
    try:
        if os.name == "posix":
            # A port whose last connections still linger can be taken again at once.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise SinkError(f"cannot show the preview on port '{port}': {_why(error)}") from error
    return listener


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program uses it; choose another --preview-port, or 0 for any free one"
    if error.errno == errno.EACCES:
        return "ports below 1024 need special rights; choose a higher one"
    return error.strerror or str(error)
