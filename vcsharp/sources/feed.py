"""One source on a thread of its own: whatever hangs in its device hangs there, not in the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from vcsharp.clock import Timeline
from vcsharp.errors import MailboxClosed, SourceError
from vcsharp.frame import Frame
from vcsharp.mailbox import BoundedQueue
from vcsharp.sources.base import Source, SourceFormat
from vcsharp.telemetry import Telemetry

WAITING_FRAMES = 2
"""More would only be older; the run drops and counts what it has no time for."""


class Feed:
    """Opens, reads and closes one source until it ends, fails or is dismissed.

    Thread-safety: the methods may be called from any thread; the source is used by its own only.
    """

    def __init__(self, make: Callable[[], Source], telemetry: Telemetry) -> None:
        """`make` gives the source; it may open devices to choose one, and raise SourceError."""
        self.source: Source | None = None
        self.format: SourceFormat | None = None
        """What was found; None until the source is open."""
        self.started_s = time.monotonic()
        self._make, self._telemetry = make, telemetry
        self._frames: BoundedQueue[Frame] = BoundedQueue(WAITING_FRAMES)
        self._quit = threading.Event()
        # A daemon, so that a device that never answers cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="vcsharp-feed", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Frame | None:
        """The next frame, or None after the time-out.

        Raises:
            MailboxClosed: the source ended; its cause is the SourceError, if it was one.
        """
        return self._frames.take(timeout_s)

    def dismiss(self, wait_s: float = 0.0) -> bool:
        """Asks the thread to close the source and end; True if it did within `wait_s`."""
        self._quit.set()
        self._frames.close()
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        cause: BaseException | None = None
        try:
            self.source = self._make()
            self._deliver(self.source)
        except MailboxClosed:
            pass  # dismissed
        except SourceError as error:
            cause = error
        except BaseException as error:  # noqa: BLE001 - handed over: the reader raises it as the run's cause
            cause = error
        finally:
            self._frames.close(cause)

    def _deliver(self, source: Source) -> None:
        try:
            self.format = source.open()
            timeline = Timeline()
            while (frame := self._read(source)) is not None and not self._quit.is_set():
                self._frames.put(self._in_time(frame, timeline) if source.lossless else frame)
        finally:
            source.close()

    def _read(self, source: Source) -> Frame | None:
        with self._telemetry.timed("capture", time.thread_time):
            return source.read()

    def _in_time(self, frame: Frame, timeline: Timeline) -> Frame:
        """Plays what was recorded at its own pace, as if it came from a camera."""
        if frame.timestamp is not None:
            timeline.wait_for(frame.timestamp, self._quit)
        return frame.replaced(captured_ns=time.monotonic_ns(), timestamp=None)
