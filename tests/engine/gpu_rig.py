"""Devices for the tests of the GPU path: the CPU's, one whose streams really run side by side, one
that fails where it is told to, and a real GPU where there is one."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch

from vcsharp.engine.gpu.device import CpuDevice, CpuEvent, CpuStream, Event, Launch, Stream, Work
from vcsharp.frame import Frame, frame_bytes

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
"""For parametrising: the same test on the CPU's tensors and on a GPU."""

LONGEST_PAUSE_S = 0.004


class SideEvent:
    """Set by a stream's thread."""

    def __init__(self, stream: SideStream) -> None:
        self.flag = threading.Event()
        self._stream = stream

    def passed(self) -> bool:
        if self._stream.error is not None:
            raise self._stream.error
        return self.flag.is_set()

    def ms_since(self, earlier: Event) -> float:
        raise NotImplementedError


class SideStream:
    """A thread that does its queue's work in order, with pauses of random length."""

    def __init__(self, seed: int) -> None:
        self.error: RuntimeError | None = None
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._random = random.Random(seed)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def do(self, work: Work) -> None:
        self._queue.put(work)

    def record(self) -> Event:
        event = SideEvent(self)
        self._queue.put(event.flag.set)
        return event

    def wait(self, event: Event) -> None:
        assert isinstance(event, SideEvent)
        self._queue.put(partial(_wait, event.flag))

    def end(self) -> None:
        self._queue.put(None)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            time.sleep(self._random.uniform(0, LONGEST_PAUSE_S))
            try:
                work()
            except RuntimeError as error:
                self.error = error


def _wait(flag: threading.Event) -> None:
    assert flag.wait(20)


class SideBySide(CpuDevice):
    """Streams that run beside each other and beside the caller, as a GPU's do."""

    def __init__(self, seed: int) -> None:
        self.streams: list[SideStream] = []
        self._seed = seed

    def stream(self) -> Stream:
        self.streams.append(SideStream(self._seed + len(self.streams)))
        return self.streams[-1]

    def synchronize(self) -> None:
        for stream in self.streams:
            event = stream.record()
            while not event.passed():
                time.sleep(1e-4)

    def end(self) -> None:
        for stream in self.streams:
            stream.end()


class FailingStream(CpuStream):
    """Fails in the piece of work of a given number."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        """Raised by the next pieces of work, one each."""

    def do(self, work: Work) -> None:
        if self.errors:
            raise self.errors.pop(0)
        work()


class LateEvent(CpuEvent):
    """One that is never passed, or that tells of an error."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self._error = error

    def passed(self) -> bool:
        if self._error is not None:
            raise self._error
        return False


class Failing(CpuDevice):
    """A device whose three streams, captures and events fail as told."""

    def __init__(self) -> None:
        self.streams: list[FailingStream] = []
        self.capture_errors: list[Exception] = []
        self.captures = self.released = 0

    def stream(self) -> Stream:
        self.streams.append(FailingStream())
        return self.streams[-1]

    def capture(self, stream: Stream, work: Launch) -> Launch:
        self.captures += 1
        if self.capture_errors:
            raise self.capture_errors.pop(0)
        return super().capture(stream, work)

    def release(self) -> None:
        self.released += 1

    def plant(self, where: str, *errors: Exception) -> None:
        """`upload`, `compute`, `download` or `capture`."""
        if where == "capture":
            self.capture_errors += errors
        else:
            index = ("upload", "compute", "download").index(where)
            self.streams[index].errors += errors

    def answer_late(self, error: Exception | None = None) -> None:
        """The last stage's end is never reached, or tells of an error."""
        download = self.streams[2]
        download.record = lambda: LateEvent(error)  # type: ignore[method-assign]


@contextmanager
def side_by_side(seed: int) -> Iterator[SideBySide]:
    """The device, whose threads are ended."""
    device = SideBySide(seed)
    try:
        yield device
    finally:
        device.end()


def out_of_memory() -> Exception:
    """As PyTorch raises it."""
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nadvice")


def noise_frames(count: int, width: int, height: int) -> list[Frame]:
    """Frames of which no two are alike."""
    rng = np.random.default_rng(count)
    size = frame_bytes(width, height)
    return [
        Frame(rng.integers(0, 256, size).astype(np.uint8), width, height, sequence=number)
        for number in range(count)
    ]


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread does."""
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
