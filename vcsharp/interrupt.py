"""Ctrl-C before there is anything to finish, and while there is.

Python raises KeyboardInterrupt wherever it happens to be. In the middle of an import that is a
traceback, or a library that is broken for the rest of the process. So the signal ends the process
as it would end any other program, until a command has work to finish.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def end_on_interrupt() -> None:
    """From now on Ctrl-C ends the process at once; a shell reports status 130. Main thread only."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def raising_on_interrupt() -> Iterator[None]:
    """Inside, Ctrl-C raises KeyboardInterrupt. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
