"""A GPU's own limits, by PyTorch: half-precision matrix products, and copies to, from and on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from vcsharp.bench.contender import CLOCKS, Clocks, NotHereError, Sample, Subject, timed
from vcsharp.engine.worker import has_nvidia
from vcsharp.errors import BackendError

EDGE = 4096
COPY_BYTES = 64 * 2**20
BATCH = 8
"""Pieces of work that are queued before the GPU is waited for."""

Way = Literal["to the GPU", "from the GPU", "on the GPU"]
WAYS: tuple[Way, ...] = ("to the GPU", "from the GPU", "on the GPU")


def require_cuda(device: str) -> Any:
    """PyTorch, where it sees that device. Raises NotHereError; loads nothing without a driver."""
    if device.startswith("cuda") and not has_nvidia():
        raise NotHereError("no NVIDIA GPU")
    try:
        import torch
    except ImportError as error:
        raise NotHereError("PyTorch is not installed") from error
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise NotHereError("PyTorch sees no GPU")
    return torch


@contextmanager
def _translated() -> Iterator[None]:
    """Turns PyTorch's own errors (memory, driver) into ours."""
    try:
        yield
    except RuntimeError as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BackendError(f"PyTorch failed: {reason}") from error


class _OnGpu:
    """Queues work and waits for its end; see `Contender`. Tests run it on `cpu`."""

    def __init__(self, subject: Subject, device: str, clocks: Clocks) -> None:
        self.subject = subject
        self._device, self._clocks = device, clocks
        self._torch: Any = None
        self._tensors: list[Any] = []

    def prepare(self) -> None:
        """Makes the tensors and works once. Raises NotHereError without such a device."""
        self._torch = require_cuda(self._device)
        with _translated():
            self._tensors = self._made()
        self._queue()

    def turn(self, seconds: float) -> Sample:
        """`BATCH` pieces of work between two waits."""
        sample = timed(lambda _: self._queue(), seconds, self._clocks)
        return Sample(sample.frames * BATCH, sample.wall_s, sample.cpu_s)

    def close(self) -> None:
        """Frees the tensors."""
        self._tensors = []

    def _queue(self) -> None:
        with _translated():
            for _ in range(BATCH):
                self._work(*self._tensors)
            if self._device.startswith("cuda"):
                self._torch.cuda.synchronize()

    def _made(self) -> list[Any]:
        raise NotImplementedError

    def _work(self, *tensors: Any) -> None:
        raise NotImplementedError


class GpuProducts(_OnGpu):
    """Square products in fp16, with whatever units the GPU has for them."""

    def __init__(self, device: str = "cuda", edge: int = EDGE, clocks: Clocks = CLOCKS) -> None:
        self._edge = edge
        subject = Subject(
            group="ceilings",
            name="fp16 matrix products, GPU",
            unit="GMAC",
            work=edge**3 / 1e9,
            backend="torch",
            device="cuda",
            precision="fp16",
        )
        super().__init__(subject, device, clocks)

    def _made(self) -> list[Any]:
        shape = (self._edge, self._edge)
        facts = {"dtype": self._torch.float16, "device": self._device}
        return [self._torch.rand(shape, **facts), self._torch.rand(shape, **facts)]

    def _work(self, *tensors: Any) -> None:
        self._torch.matmul(*tensors)


class GpuCopies(_OnGpu):
    """Copies from pinned memory, to it, or from one place of the GPU's memory to another."""

    def __init__(
        self, way: Way, device: str = "cuda", size: int = COPY_BYTES, clocks: Clocks = CLOCKS
    ) -> None:
        self._way, self._size = way, size
        subject = Subject(
            group="ceilings",
            name=f"memory copies {way}",
            unit="GB",
            work=size / 1e9,
            backend="torch",
            device="cuda",
        )
        super().__init__(subject, device, clocks)

    def _made(self) -> list[Any]:
        """The target, then what is copied into it."""
        here, there = (
            self._host(),
            self._torch.zeros(self._size, dtype=self._torch.uint8, device=self._device),
        )
        pairs = {"to the GPU": [there, here], "from the GPU": [here, there]}
        return pairs.get(self._way) or [there, there.clone()]

    def _host(self) -> Any:
        pinned = self._device.startswith("cuda")
        return self._torch.zeros(self._size, dtype=self._torch.uint8, pin_memory=pinned)

    def _work(self, *tensors: Any) -> None:
        target, source = tensors
        target.copy_(source, non_blocking=True)
