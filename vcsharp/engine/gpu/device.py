"""What the GPU path asks of a device: streams, events, pinned memory, captured work.

`CudaDevice` is the real one. `CpuDevice` does the same things at once, in order, on plain memory,
so that everything above this file runs and is tested on machines without a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from vcsharp.errors import BackendError, BackendUnavailableError

WARM_UPS = 3
"""Runs before a capture: libraries choose their kernels and take their memory in these."""

Work = Callable[[], object]
Launch = Callable[[], Tensor]
"""Does work that was prepared, and gives the tensor that holds its result; always the same one
where the work was captured."""


class Event(Protocol):
    """A place in a stream."""

    def passed(self) -> bool:
        """Whether the stream has come that far. Raises RuntimeError if work before it failed."""

    def ms_since(self, earlier: Event) -> float:
        """Milliseconds between two places that were passed; needs a device that keeps time."""


class Stream(Protocol):
    """A queue of work that is done in order, beside other streams."""

    def do(self, work: Work) -> None:
        """Queues work. Raises RuntimeError where that fails already in queueing."""

    def record(self) -> Event:
        """Marks the end of what was queued so far."""

    def wait(self, event: Event) -> None:
        """What is queued from now on begins after `event` was passed. Does not hold up the host."""


class Device(Protocol):
    """Memory and streams. For one thread at a time."""

    name: str
    """`cpu`, `cuda:0`."""
    kind: torch.device

    def stream(self) -> Stream:
        """A new one."""

    def host(self, count: int) -> Tensor:
        """`count` bytes of the host's memory that the device copies from and to by itself."""

    def capture(self, stream: Stream, work: Launch) -> Launch:
        """Something that repeats `work` on the same tensors at the least cost for the host.

        `work` may not depend on anything but tensors of fixed places. Raises RuntimeError.
        """

    def synchronize(self) -> None:
        """Waits for all streams. Raises RuntimeError if work failed."""

    def release(self) -> None:
        """Gives memory back that is not in use."""


class CpuEvent:
    """Passed at once."""

    def __init__(self) -> None:
        self.at_s = time.perf_counter()

    def passed(self) -> bool:
        """Always."""
        return True

    def ms_since(self, earlier: Event) -> float:
        """By the host's clock."""
        assert isinstance(earlier, CpuEvent)
        return 1e3 * (self.at_s - earlier.at_s)


class CpuStream:
    """Does everything at once."""

    def do(self, work: Work) -> None:
        """Now."""
        work()

    def record(self) -> Event:
        """Now."""
        return CpuEvent()

    def wait(self, event: Event) -> None:
        """It was passed."""


class CpuDevice:
    """See `Device`."""

    name = "cpu"
    kind = torch.device("cpu")

    def stream(self) -> Stream:
        """See `Device.stream`."""
        return CpuStream()

    def host(self, count: int) -> Tensor:
        """See `Device.host`."""
        return torch.empty(count, dtype=torch.uint8)

    def capture(self, stream: Stream, work: Launch) -> Launch:  # noqa: ARG002 - the protocol's
        """The work itself; there is nothing to be saved."""
        return work

    def synchronize(self) -> None:
        """Nothing is under way."""

    def release(self) -> None:
        """Nothing is kept."""


class CudaEvent:
    """See `Event`."""

    def __init__(self, event: torch.cuda.Event) -> None:
        self.event = event

    def passed(self) -> bool:
        """See `Event.passed`."""
        return bool(self.event.query())  # type: ignore[no-untyped-call]

    def ms_since(self, earlier: Event) -> float:
        """By the device's own clock."""
        assert isinstance(earlier, CudaEvent)
        return float(earlier.event.elapsed_time(self.event))


class CudaStream:
    """See `Stream`."""

    def __init__(self, kind: torch.device, *, timed: bool) -> None:
        self.stream = torch.cuda.Stream(kind)  # type: ignore[no-untyped-call]
        self._timed = timed

    def do(self, work: Work) -> None:
        """See `Stream.do`."""
        with torch.cuda.stream(self.stream):
            work()

    def record(self) -> Event:
        """See `Stream.record`."""
        event = torch.cuda.Event(enable_timing=self._timed)  # type: ignore[no-untyped-call]
        return CudaEvent(self.stream.record_event(event))

    def wait(self, event: Event) -> None:
        """See `Stream.wait`."""
        assert isinstance(event, CudaEvent)
        self.stream.wait_event(event.event)


class CudaDevice:
    """See `Device`.

    Args:
        name: `cuda` or `cuda:N`.
        timed: events keep time, which costs a little.

    Raises:
        BackendUnavailableError: PyTorch has no such device.
    """

    def __init__(self, name: str, *, timed: bool = False) -> None:
        if not torch.cuda.is_available():
            raise BackendUnavailableError(
                f"PyTorch sees no GPU for device '{name}'; install the driver and a CUDA build, "
                "or use --device cpu"
            )
        self.name, self.kind, self._timed = name, torch.device(name), timed
        count = torch.cuda.device_count()
        if (self.kind.index or 0) >= count:
            raise BackendUnavailableError(
                f"PyTorch sees no device '{name}': this machine's GPUs are numbered from 0 to "
                f"{count - 1}; use --device auto"
            )

    def stream(self) -> Stream:
        """See `Device.stream`."""
        return CudaStream(self.kind, timed=self._timed)

    def host(self, count: int) -> Tensor:
        """Pinned: other memory is copied through the driver's own buffer, and holds the host up."""
        return torch.empty(count, dtype=torch.uint8, pin_memory=True)

    def capture(self, stream: Stream, work: Launch) -> Launch:
        """A CUDA graph: one call to the driver in the place of one for each kernel.

        Another thread may use the GPU meanwhile (a network that runs while the next one loads), so
        that only this thread's calls may spoil the capture.
        """
        assert isinstance(stream, CudaStream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(stream.stream):
            for _ in range(WARM_UPS):
                work()
            with torch.cuda.graph(graph, stream=stream.stream, capture_error_mode="thread_local"):
                result = work()

        def launch() -> Tensor:
            graph.replay()
            return result

        return launch

    def synchronize(self) -> None:
        """See `Device.synchronize`."""
        torch.cuda.synchronize(self.kind)

    def release(self) -> None:
        """See `Device.release`."""
        torch.cuda.empty_cache()


def open_device(name: str, *, timed: bool = False) -> Device:
    """The device of that name. Raises BackendUnavailableError."""
    return CudaDevice(name, timed=timed) if name.startswith("cuda") else CpuDevice()


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether that is what an error, or one before it, is about.

    A capture that is broken off tells of that only, with the reason behind it.
    """
    if error is None:
        return False
    words = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
    own = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return own or any(word in str(error) for word in words) or is_out_of_memory(error.__context__)


@contextmanager
def translated(device: str) -> Iterator[None]:
    """Turns PyTorch's own errors (memory, driver, a GPU that went away) into BackendError."""
    try:
        yield
    except BackendError:
        raise
    except (RuntimeError, MemoryError) as error:
        raise BackendError(f"PyTorch failed on '{device}': {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """What went wrong, without the advice and the stack that CUDA's errors carry."""
    first, *rest = (str(error).strip() or type(error).__name__).splitlines()
    return f"{first} {rest[0].strip()}" if first.endswith(":") and rest else first
