"""A live source that comes back by itself: placeholders while it is away, attempts to reopen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from vcsharp.errors import SourceError, SourceLost
from vcsharp.frame import Frame
from vcsharp.sources.base import Source, SourceFormat
from vcsharp.sources.placeholder import Placeholder
from vcsharp.sources.urls import scheme_of

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
PLACEHOLDER_PERIOD_S = 0.1


class Reopening:
    """Wraps a live source: when it is lost, `read` returns placeholders until it is back.

    It is opened again on a thread of its own, because that may hang for seconds while placeholders
    have to go on. The source still has one user at a time: it is not read meanwhile. Sequence
    numbers rise across losses. Not thread-safe, apart from `stop`.
    """

    lossless = False

    def __init__(
        self, source: Source, stop: threading.Event, on_status: Callable[[str], None]
    ) -> None:
        """`on_status` is told `live` and `reconnecting: why`, on the reader's thread."""
        self.name = source.name
        self._source, self._stop, self._on_status = source, stop, on_status
        self._what = "stream" if scheme_of(self.name) else "camera"
        self._size = (0, 0)
        self._last: Frame | None = None
        self._placeholder: Placeholder | None = None
        self._attempt: _Attempt | None = None
        self._next_attempt_s = 0.0
        self._wait_s = FIRST_WAIT_S
        self._next_sequence = 0
        self._offset: int | None = 0

    def open(self) -> SourceFormat:
        """Opens the source once; its SourceError is passed on."""
        facts = self._source.open()
        self._size = (facts.width, facts.height)
        self._on_status("live")
        return facts

    def read(self) -> Frame | None:
        """The next frame, or about ten placeholders a second; None at the end and when stopped."""
        while not self._stop.is_set():
            if self._placeholder is None:
                try:
                    return self._numbered(self._source.read())
                except SourceLost as error:
                    self._lose(error)
                    return self._stand_in()
            if self._try_again():
                continue
            if not self._stop.wait(PLACEHOLDER_PERIOD_S):
                return self._stand_in()
        return None

    def close(self) -> None:
        """Closes the source, now or as soon as an attempt to open it returns."""
        attempt, self._attempt = self._attempt, None
        if attempt is None or not attempt.abandon():
            self._source.close()

    def _numbered(self, frame: Frame | None) -> Frame | None:
        if frame is None:
            return None
        if self._offset is None:  # the first one since the loss
            self._offset = self._next_sequence - frame.sequence
            log.warning("%s '%s' is back", self._what, self.name)
            self._on_status("live")
        frame = frame.replaced(sequence=frame.sequence + self._offset)
        self._next_sequence, self._last = frame.sequence + 1, frame
        self._wait_s = FIRST_WAIT_S
        return frame

    def _stand_in(self) -> Frame | None:
        assert self._placeholder is not None
        frame = self._placeholder.frame(self._next_sequence)
        self._next_sequence += 1
        return frame

    def _lose(self, error: SourceError) -> None:
        """Lets go of the source: a camera that is held open returns under another number."""
        self._source.close()
        log.warning("%s", error)
        self._offset = None
        self._placeholder = Placeholder(self._last, self._size, f"{self._what} lost")
        self._put_off(error)

    def _put_off(self, error: SourceError) -> None:
        log.debug("%s; next attempt in %.1f s", error, self._wait_s)
        self._on_status(f"reconnecting: {error}")
        self._next_attempt_s = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    def _try_again(self) -> bool:
        """Starts an attempt when it is time, looks after a running one; True once it is back."""
        if self._attempt is None:
            if time.monotonic() >= self._next_attempt_s:
                self._attempt = _Attempt(self._source)
            return False
        if not self._attempt.finished.is_set():
            return False
        attempt, self._attempt = self._attempt, None
        if attempt.error is not None:
            self._put_off(attempt.error)
            return False
        self._placeholder = None
        return True


class _Attempt:
    """One call of `open` on its own thread. A daemon thread: it may hang in a driver at exit."""

    def __init__(self, source: Source) -> None:
        self.finished = threading.Event()
        self.error: SourceError | None = None
        self._source = source
        self._lock = threading.Lock()
        self._abandoned = False
        threading.Thread(target=self._run, name="vcsharp-reopen", daemon=True).start()

    def abandon(self) -> bool:
        """Nobody waits any more: True if the thread will close the source, False if it is done."""
        with self._lock:
            self._abandoned = not self.finished.is_set()
            return self._abandoned

    def _run(self) -> None:
        try:
            self._source.open()
        except SourceError as error:
            self.error = error
        finally:
            with self._lock:
                self.finished.set()
                abandoned = self._abandoned
            if abandoned:
                self._source.close()
