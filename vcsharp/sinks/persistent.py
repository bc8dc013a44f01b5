"""A virtual camera that outlives its device: it is opened again until it is back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from vcsharp.errors import SinkError
from vcsharp.frame import Result
from vcsharp.sinks.base import Sink, StreamFormat
from vcsharp.states import SinkState

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
"""Between a loss and the first attempt to open again; doubled with every attempt."""
LONGEST_PAUSE_S = 5.0


class Persistent:
    """Wraps a sink whose device may vanish and return: a module loaded anew, another writer.

    The pictures that come meanwhile are dropped. Attempts are made while pictures come, so a device
    is only waited for as long as the run lasts.

    Thread-safety: `open`, `write` and `close` belong to one thread; everything else may be asked by
    any.
    """

    def __init__(
        self,
        sink: Sink,
        on_fault: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_fault` is told one line, once for each loss, on the writer's thread."""
        self.inner, self._on_fault, self._clock = sink, on_fault, clock
        self.name, self.realtime = sink.name, sink.realtime
        self.paced, self.dresses = sink.paced, sink.dresses
        self.state = SinkState.OPENING
        self.words = ""
        """Why nothing is written, with the cure; empty while it works."""
        self.description = ""
        """What the last successful opening told."""
        self._stream: StreamFormat | None = None
        self._is_open = False
        self._opened_s = self._retry_s = 0.0
        self._pause_s = FIRST_PAUSE_S

    @property
    def wanted(self) -> bool | None:
        """See `Sink.wanted`. Nobody looks at a device that is not there."""
        return False if self.state is SinkState.REOPENING else self.inner.wanted

    def open(self, stream: StreamFormat) -> str:
        """See `Sink.open`: the first time a failure still ends the run."""
        self._stream = stream
        self._open()
        self.state = SinkState.WRITING
        return self.description

    def write(self, result: Result) -> None:
        """Hands the picture over, or drops it while the device is away. Never raises SinkError."""
        if not (self._is_open or self._reopened()):
            return
        try:
            self.inner.write(result)
        except SinkError as error:
            self._lose(error)
        else:
            self._settle()

    def close(self) -> None:
        """See `Sink.close`."""
        self._is_open = False
        self.inner.close()

    def _open(self) -> None:
        assert self._stream is not None  # `open` comes before `write`
        self.description = self.inner.open(self._stream)
        self._is_open, self._opened_s = True, self._clock()

    def _reopened(self) -> bool:
        """Tries the device again where that is due."""
        if self._clock() < self._retry_s:
            return False
        try:
            self._open()
        except SinkError as error:
            self.words = str(error)
            self._put_off()
        return self._is_open

    def _settle(self) -> None:
        """A picture was taken, so the device is back."""
        if self.state is SinkState.REOPENING:
            self.state, self.words = SinkState.WRITING, ""
            log.info("writing again: %s", self.description)

    def _lose(self, error: SinkError) -> None:
        self._is_open = False
        if self.state is SinkState.WRITING:
            if self._clock() - self._opened_s >= LONGEST_PAUSE_S:
                self._pause_s = FIRST_PAUSE_S  # it had worked for a while: a new loss, not the old
            log.warning("%s; trying again until it is back", error)
            self._on_fault(str(error))
        self.state, self.words = SinkState.REOPENING, str(error)
        self._put_off()
        try:
            self.inner.close()
        except SinkError as second:
            log.debug("'%s' could not be closed: %s", self.name, second)

    def _put_off(self) -> None:
        self._retry_s = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
