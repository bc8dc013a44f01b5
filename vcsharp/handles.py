"""The handles of a run: its tap, its steering, and the doors that lead to them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Self

from vcsharp.control.doors import Doors
from vcsharp.control.metrics import make_metrics_app
from vcsharp.errors import VcsharpError
from vcsharp.settings import RunSettings
from vcsharp.sinks.base import StreamFormat
from vcsharp.steering import Parts, Steering

log = logging.getLogger(__name__)


class Handles:
    """Made before the run starts, entered around it.

    Thread-safety: `reload`, `page_url` and `watched` may be called from any thread.
    """

    def __init__(
        self,
        parts: Parts,
        settings: RunSettings,
        *,
        announce: Callable[[str], None],
        reread: Callable[[], RunSettings],
        check_source: Callable[[str], None],
    ) -> None:
        """See `Steering` for `reread` and `check_source`; `announce` takes lines for people."""
        self.parts, self.tap = parts, parts.tap
        self._settings, self._announce = settings, announce
        self._steering = Steering(parts, settings, check_source, reread)
        self._doors = Doors(
            self._steering,
            settings.instance,
            metrics=make_metrics_app(self._steering, parts.telemetry.histograms),
        )

    def __enter__(self) -> Self:
        if self._settings.control:
            self._open_socket()
        if self._settings.metrics_port is not None:
            self._announce(f"metrics: {self._doors.metrics_url(self._settings.metrics_port)}")
        return self

    def __exit__(self, *_: object) -> None:
        self._doors.close()

    def page_url(self, port: int) -> str:
        """Starts the page's server, or names the one that runs. Raises SinkError for the port."""
        return self._doors.page_url(port)

    def once_url(self) -> str:
        """As `page_url`, but good for one visit: for a browser's command line."""
        return self._doors.once_url()

    @property
    def watched(self) -> bool:
        """Whether a browser shows the page at this moment."""
        return self._doors.watched

    def started(self, stream: StreamFormat, description: str) -> None:
        """The run's format is known; `description` is what the source told of itself, if open."""
        del description
        self.parts.stream = stream

    def reload(self) -> None:
        """Reads the settings file again; a fault leaves everything as it is."""
        try:
            changes = self._steering.reload()
        except VcsharpError as error:
            log.warning("settings not read again: %s", error)
            self.parts.faults.add("program", str(error))
            return
        self._announce(f"settings read again; changed: {', '.join(changes.applied) or 'nothing'}")
        if changes.needs_restart:
            log.warning("takes effect after a restart: %s", ", ".join(changes.needs_restart))

    def _open_socket(self) -> None:
        """A run that cannot be steered still does its job."""
        try:
            self._doors.open()
        except VcsharpError as error:
            log.warning("%s; this run goes on without 'vcsharp ctl'", error)
