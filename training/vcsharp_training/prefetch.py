"""Makes the next batches on a second thread while the optimiser works on this one.

A batch depends on its step only, so what comes out is bit for bit what a plain loop would make:

    with Prefetched(lambda step: sampling.batch(bank, rows, phase, key(step)), steps) as batches:
        for batch in batches:
            ...
    log.info(batches.verdict())
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class Prefetched(Generic[Item]):
    """An iterator over `make(step)` for every step in order, made up to `ahead` of them early.

    What `make` raises is raised by the iterator, at the step that it belongs to. Thread-safety: one
    consumer; `make` runs on one thread of its own. Leaving the `with` block ends that thread.
    """

    def __init__(
        self, make: Callable[[int], Item], steps: Iterable[int], *, ahead: int = 4
    ) -> None:
        """Starts at once. `ahead` is how many batches may lie ready (at least 1)."""
        self.waited_s = 0.0
        """What the consumer spent waiting for batches."""
        self.worked_s = 0.0
        """What it spent between one batch and the next."""
        self._make, self._steps = make, iter(steps)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._ready = deque[Future[Item]]()
        self._taken_s: float | None = None
        for _ in range(max(ahead, 1)):
            self._order()

    def _order(self) -> None:
        """Has one more batch made, if there is a step left."""
        for step in self._steps:
            self._ready.append(self._pool.submit(self._make, step))
            return

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        asked_s = time.perf_counter()
        if self._taken_s is not None:
            self.worked_s += asked_s - self._taken_s
            self._taken_s = None
        if not self._ready:
            raise StopIteration
        item = self._ready.popleft().result()
        self._order()
        self._taken_s = time.perf_counter()
        self.waited_s += self._taken_s - asked_s
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread after the batch that it is making. Calling it again does nothing."""
        self._pool.shutdown(cancel_futures=True)
        self._ready.clear()

    @property
    def data_share(self) -> float:
        """Share of the time that was spent waiting for data, 0..1."""
        return self.waited_s / max(self.waited_s + self.worked_s, 1e-9)

    def verdict(self) -> str:
        """One line for people: what held the run up, by the measured waiting time."""
        what = "the data" if self.data_share > 0.5 else "the optimiser"
        return (
            f"the bottleneck was {what}: {self.waited_s:.1f} s waiting for batches, "
            f"{self.worked_s:.1f} s working on them"
        )
