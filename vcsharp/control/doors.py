"""All doors of one run: the socket, the page, the metrics."""

from __future__ import annotations

import threading
from pathlib import Path

from starlette.types import ASGIApp

from vcsharp.control.api import make_app
from vcsharp.control.guards import page_guard, socket_guard
from vcsharp.control.paths import socket_path
from vcsharp.control.pictures import Pictures
from vcsharp.control.runtime import Runtime
from vcsharp.control.servers import ControlServer, MetricsServer, PageServer, Server
from vcsharp.control.tickets import Tickets
from vcsharp.errors import VcsharpError

WEB = Path(__file__).parent.parent / "web"
"""The page's files."""


class Doors:
    """Opens what is asked for, and closes it all.

    Thread-safety: every method may be called from any thread.
    """

    def __init__(self, runtime: Runtime, instance: str, *, metrics: ASGIApp | None = None) -> None:
        """`instance` names the run and so its socket; `metrics` answers at `/metrics`."""
        self._runtime, self._instance, self._metrics = runtime, instance, metrics
        self._pictures, self._tickets = Pictures(runtime), Tickets()
        self._lock = threading.Lock()
        self._servers: list[Server] = []
        self._page_url = ""
        self._closed = False

    @property
    def watched(self) -> bool:
        """Whether a page showed the picture within the last seconds."""
        return self._pictures.watched

    def open(self) -> None:
        """Opens the socket. Raises VcsharpError, with a cure, where that cannot be."""
        app = make_app(
            self._runtime, socket_guard, pictures=self._pictures, open_page=self._addresses
        )
        with self._lock:
            server = ControlServer(app)
            server.start(socket_path(self._instance))
            self._servers.append(server)

    def page_url(self, port: int = 0) -> str:
        """Serves the page on `port`, 0 for a free one, unless it is served already.

        Returns its address, which holds the key. Raises SinkError for a port that cannot be had.
        """
        with self._lock:
            if self._closed:
                raise VcsharpError("control: this run is about to end")
            if not self._page_url:
                server = PageServer(self._page_app)
                self._page_url = server.start(port)
                self._servers.append(server)
            return self._page_url

    def once_url(self) -> str:
        """As `page_url`, but good for one visit within a minute: for a browser's command line."""
        return f"{self.page_url().partition('?')[0]}?ticket={self._tickets.issue()}"

    def metrics_url(self, port: int) -> str:
        """Serves the metrics on `port` and returns their address. Raises SinkError."""
        assert self._metrics is not None
        with self._lock:
            server = MetricsServer(self._metrics)
            url = server.start(port)
            self._servers.append(server)
        return url

    def close(self) -> None:
        """Tells the pages that the run is over, and closes everything. Idempotent."""
        with self._lock:
            self._closed, self._page_url = True, ""
            servers, self._servers = self._servers, []
        if servers:
            self._pictures.end()
        for server in servers:
            server.ask_to_stop()
        for server in servers:
            server.close()

    def _addresses(self) -> tuple[str, str]:
        return self.page_url(), self.once_url()

    def _page_app(self, port: int, token: str) -> ASGIApp:
        return make_app(
            self._runtime,
            lambda app: page_guard(app, port, token, self._tickets),
            pictures=self._pictures,
            open_page=self._addresses,
            page=WEB,
        )
