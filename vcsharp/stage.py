"""The threads of a run: started together, stopped together, the first error kept."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vcsharp.errors import MailboxClosed
from vcsharp.mailbox import Channel

log = logging.getLogger(__name__)

POLL_S = 0.05
WATCH_S = 0.2
"""Between two looks at whether all threads live; a stop is noticed at once."""
STOP_GRACE_S = 2.0
"""After a request to stop: for all to end by themselves, before the channels are closed."""
START_GRACE_S = 0.5
"""The same while devices are still being opened: there is nothing to finish."""
DRAIN_GRACE_S = 60.0
"""For the others to finish what was under way: an encoder may hold many large frames."""
LIVE_GRACE_S = 1.0
"""The same where nothing is kept: a driver that hangs in a write must not hold up the end."""
READ_GRACE_S = 3.0
"""For the source's last read to return; a silent stream's time-out is 5 s in all."""
FAULT_GRACE_S = 1.5
"""After an error: time for all threads to release their devices."""


class Crew:
    """The threads of one run and their common end.

    Thread-safety: `meet` and `fail` are called by the crew's threads, `stop.set` by anybody, `run`
    once by the owner.
    """

    def __init__(
        self,
        stop: threading.Event,
        channels: Sequence[Channel[Any]],
        drain_grace_s: float = DRAIN_GRACE_S,
    ) -> None:
        self.stop = stop
        self.up = False
        self.error: BaseException | None = None
        self._channels, self._drain_grace_s = channels, drain_grace_s
        self._meetings = 0
        self._barrier = threading.Barrier(1)
        self._lock = threading.Lock()

    def run(self, bodies: Mapping[str, Callable[[], None]], seconds: float | None = None) -> None:
        """Runs every body in a thread of its own until all have ended; raises the first error.

        Args:
            bodies: by name; the threads are called `vcsharp-NAME`. The first one is the source,
                which may hang in its device and is not waited for as long as the others.
            seconds: asks for a stop so long after everything was up.
        """
        self._barrier = threading.Barrier(len(bodies), action=self._met)
        threads = [
            # Daemons, so that a device that never answers cannot keep the process from ending.
            threading.Thread(
                target=self._guarded, args=(body,), name=f"vcsharp-{name}", daemon=True
            )
            for name, body in bodies.items()
        ]
        for thread in threads:
            thread.start()
        self._supervise(threads, seconds)
        if self.error is not None:
            raise self.error

    def meet(self) -> None:
        """Waits until every thread has come this far; the second meeting means that all devices are
        open.

        Raises MailboxClosed if the run ended before.
        """
        try:
            self._barrier.wait()
        except threading.BrokenBarrierError as error:
            raise MailboxClosed("the run ended while it was starting") from error

    def fail(self, error: BaseException) -> None:
        """Ends the run with this cause, unless an earlier one is known."""
        with self._lock:
            self.error = self.error or error
        self.stop.set()
        self._barrier.abort()
        for channel in self._channels:
            channel.close(error)

    def _met(self) -> None:
        self._meetings += 1
        self.up = self._meetings == 2

    def _guarded(self, body: Callable[[], None]) -> None:
        try:
            body()
        except MailboxClosed:
            pass  # another thread ended the run and has said why
        except BaseException as error:  # noqa: BLE001 - the one place where any fault becomes the run's cause
            self.fail(error)

    def _supervise(self, threads: Sequence[threading.Thread], seconds: float | None) -> None:
        deadline_s = None
        while _alive(threads) and not self.stop.wait(WATCH_S):
            if self.up and seconds is not None:
                deadline_s = deadline_s or time.monotonic() + seconds
                if time.monotonic() >= deadline_s:
                    self.stop.set()
        if not self.up:
            self._barrier.abort()
        self._dismiss(threads)

    def _dismiss(self, threads: Sequence[threading.Thread]) -> None:
        if self.error is None:
            _join(threads, STOP_GRACE_S if self.up else START_GRACE_S, until=self._failed)
            for channel in self._channels:
                channel.close()
            _join(threads[1:], self._drain_grace_s, until=self._failed)
        if self.up or self.error is not None:
            _join(threads, FAULT_GRACE_S if self.error else READ_GRACE_S)
        for thread in _alive(threads):
            level = logging.WARNING if self.up else logging.INFO  # nothing was begun yet
            log.log(level, "%s did not end in time and was left behind", thread.name)

    def _failed(self) -> bool:
        return self.error is not None


def _alive(threads: Sequence[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threads if thread.is_alive()]


def _join(
    threads: Sequence[threading.Thread], timeout_s: float, until: Callable[[], bool] = lambda: False
) -> None:
    deadline_s = time.monotonic() + timeout_s
    while (alive := _alive(threads)) and time.monotonic() < deadline_s and not until():
        alive[0].join(POLL_S)
