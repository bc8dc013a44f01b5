"""Processes that work on one job each, with results in the order of the jobs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from vcsharp_training.errors import DataError

Job = TypeVar("Job")
Result = TypeVar("Result")
AHEAD = 4
"""Jobs under way or finished per process; bounds the memory that finished ones take."""


def in_order(work: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """`map(work, jobs)` on `workers` processes; on this one if that is 1.

    Raises what `work` raises, and DataError if a process is killed.
    """
    if workers == 1:
        yield from map(work, jobs)
        return
    waiting, pending = iter(jobs), deque[Future[Result]]()
    pool = ProcessPoolExecutor(workers, initializer=_begin)
    try:
        for job in waiting:
            pending.append(pool.submit(work, job))
            if len(pending) >= AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process was killed, most likely because memory ran out; "
            "lower `workers` or `window_px`"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Leaves Ctrl-C to the parent, and ends with it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
