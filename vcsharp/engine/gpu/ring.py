"""Buffers that frames take turns in, so that one is copied up while another is computed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor

from vcsharp.engine.gpu.device import Device, Event
from vcsharp.errors import BackendError
from vcsharp.frame import Bytes


@dataclass(slots=True)
class Slot:
    """One frame's place on the host and on the device, in and out. Grows, never shrinks."""

    host_in: Tensor
    device_in: Tensor
    device_out: Tensor
    host_out: Tensor
    shape: tuple[int, ...] = (0,)
    """Of what is in it now."""
    marks: list[Event] = field(default_factory=list)
    """Beginning and end of upload, compute and download, where time is kept."""

    @property
    def size(self) -> int:
        """Bytes that are in use."""
        return prod(self.shape)

    def host(self, tensor: Tensor) -> Bytes:
        """One of its host buffers as an array, in the slot's shape."""
        array: Bytes = tensor[: self.size].view(self.shape).numpy()
        return array

    def device(self, tensor: Tensor) -> Tensor:
        """One of its device buffers, in the slot's shape."""
        return tensor[: self.size].view(self.shape)


class Ring:
    """So many slots as frames may be under way. For one thread at a time."""

    def __init__(self, device: Device, depth: int) -> None:
        self._device, self._depth = device, depth
        self._free: deque[Slot] = deque(_slot(device, 0) for _ in range(depth))

    def take(self, shape: tuple[int, ...]) -> Slot:
        """A slot with room for that many bytes.

        Raises:
            BackendError: all are under way.
            RuntimeError: no memory.
        """
        if not self._free:
            raise BackendError(f"{self._depth} frames are under way; collect one of them first")
        if self._free[0].host_in.numel() < prod(shape):
            self._free[0] = _slot(self._device, prod(shape))
        slot = self._free.popleft()
        slot.shape = shape
        return slot

    def close(self) -> None:
        """Frees all buffers; none can be taken afterwards. Idempotent."""
        self._free.clear()

    def give(self, slot: Slot) -> None:
        """Nothing is under way in it any more."""
        slot.marks.clear()
        self._free.append(slot)


def _slot(device: Device, size: int) -> Slot:
    there = [torch.empty(size, dtype=torch.uint8, device=device.kind) for _ in range(2)]
    return Slot(device.host(size), there[0], there[1], device.host(size))
