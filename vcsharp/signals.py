"""What a run does on SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_Handler = Callable[[int, FrameType | None], None]


@contextmanager
def signals_obeyed(stop: threading.Event, reload: Callable[[], None]) -> Iterator[None]:
    """Inside, SIGINT and SIGTERM set `stop`; a second one ends the process at once.

    Its status is then 128 + the signal's number. SIGHUP calls `reload` on a thread of its own.
    Handlers can only be set in the main thread; elsewhere (tests, embedding) nothing is changed.
    """

    def end(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    def again(number: int, _: FrameType | None) -> None:  # noqa: ARG001 - as signals are told
        threading.Thread(target=reload, name="vcsharp-reload", daemon=True).start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, _Handler] = {signal.SIGINT: end, signal.SIGTERM: end}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = again
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
