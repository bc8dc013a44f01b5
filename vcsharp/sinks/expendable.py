"""An output beside a virtual camera: when it fails, the call goes on without it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vcsharp.errors import SinkError
from vcsharp.frame import Result
from vcsharp.sinks.base import Sink, StreamFormat

log = logging.getLogger(__name__)


class Expendable:
    """Wraps a sink whose loss must not end the run: a recording on a disk that is full.

    Not thread-safe, as the sink inside.
    """

    def __init__(self, sink: Sink, on_fault: Callable[[str], None]) -> None:
        """`on_fault` is told one line, on the writer's thread."""
        self.inner, self._on_fault = sink, on_fault
        self.name, self.realtime = sink.name, sink.realtime
        self.paced, self.dresses = sink.paced, sink.dresses
        self.words = ""
        """Why nothing is written any more; empty while it works."""

    @property
    def wanted(self) -> bool | None:
        """See `Sink.wanted`; a sink that failed wants nothing."""
        return False if self.words else self.inner.wanted

    def open(self, stream: StreamFormat) -> str:
        """See `Sink.open`: here a failure still ends the run."""
        return self.inner.open(stream)

    def write(self, result: Result) -> None:
        """Hands the picture over, until that fails for the first time. Never raises."""
        if self.words:
            return
        try:
            self.inner.write(result)
        except SinkError as error:
            self._give_up(error)

    def close(self) -> None:
        """See `Sink.close`."""
        if not self.words:
            self.inner.close()

    def _give_up(self, error: SinkError) -> None:
        self.words = str(error)
        log.warning("%s; going on without it", error)
        self._on_fault(self.words)
        try:
            self.inner.close()
        except SinkError:
            log.debug("'%s' could not be finished", self.name)
