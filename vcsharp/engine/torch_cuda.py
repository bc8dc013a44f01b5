"""Students on PyTorch: fp16 on CUDA, fp32 on the CPU, through the same lines of code.

    host plane -> pinned -> device         upload stream
    cut, network, stitch                   compute stream, a CUDA graph
    device -> pinned -> host plane         download stream

Only luma goes to the GPU: the network neither reads nor changes chroma, so sending it there and
back would cost two copies over the bus and save none on the host. docs/gpu.md has the whole way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vcsharp.catalogue import Model
from vcsharp.engine.backend import store
from vcsharp.engine.gpu.device import Device, Event, Stream, open_device, translated
from vcsharp.engine.gpu.network import DTYPES, ByteNetwork, load_student
from vcsharp.engine.gpu.program import Mode, Program
from vcsharp.engine.gpu.programs import Programs
from vcsharp.engine.gpu.ring import Ring, Slot
from vcsharp.engine.tiling import Plan
from vcsharp.errors import BackendError, BackendUnavailableError
from vcsharp.frame import Bytes

DEPTH = 3
"""Frames under way: one going up, one computed, one coming down."""
PATIENCE_S = 5.0
"""A device that has not answered by then never will: asleep, off the bus, or hung."""
POLL_S = 50e-6


@dataclass(frozen=True, slots=True)
class Stages:
    """What one submission took on the device."""

    upload_ms: float
    compute_ms: float
    download_ms: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """A submission under way."""

    slot: Slot
    plan: Plan
    whole: bool
    done: Event


class TorchBackend:
    """Runs `model.safetensors`. See `StreamingBackend` for the promise.

    Args:
        model: from the catalogue; its file is checked against the card.
        precision: `fp32`, `fp16` or `bf16`.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; 0 leaves PyTorch's own choice. The setting is global in the process.
        mode: how whole frames are launched, once they were prepared for.
        timed: whether `stages` is kept.
        on: the device itself, for tests; else it is opened by its name.

    Raises:
        BackendUnavailableError: PyTorch has no such device, or cannot work there.
        ModelError: the file is missing, damaged or of another network.
    """

    name = "torch"
    depth = DEPTH

    def __init__(
        self,
        model: Model,
        precision: str,
        device: str,
        threads: int,
        *,
        mode: Mode = "graph",
        timed: bool = False,
        on: Device | None = None,
    ) -> None:
        self._device = on or open_device(device, timed=timed)
        if threads:
            torch.set_num_threads(threads)
        self.precision, self.device = precision, device
        self.stages: Stages | None = None
        """Of the submission that was collected last."""
        self._timed, self._hung = timed, False
        student = load_student(model)
        try:
            with translated(device):
                if precision == "fp32":
                    _forgo_tf32()
                network = ByteNetwork(student, DTYPES[precision], self._device.kind)
                _try_out(network, self._device)
                self._upload, self._compute, self._download = _streams(self._device)
                self._ring = Ring(self._device, DEPTH)
                self._programs = Programs(self._device, self._compute, network, mode)
        except BackendError as error:
            raise BackendUnavailableError(str(error)) from error

    def prepare(self, plan: Plan, planes: int) -> None:
        """See `StreamingBackend.prepare`. Other plans go the plain way, cut by the host."""
        with translated(self.device), _tuned():
            self._programs.prepare(plan, planes)
            self._device.synchronize()

    def sharpen(self, plane: Bytes, plan: Plan, strength: float, out: Bytes) -> None:
        """See `Backend.sharpen`."""
        self.collect(self.submit([plane], plan, strength), [out])

    def submit(self, planes: Sequence[Bytes], plan: Plan, strength: float) -> Ticket:
        """See `StreamingBackend.submit`."""
        count, tiles = len(planes), len(planes) * len(plan.tiles)
        with translated(self.device):
            whole = self._programs.knows(plan, count)
            if whole:
                slot = self._ring.take((count, plan.height, plan.width))
                _fill_planes(slot, planes)
                wanted = partial(self._programs.whole, plan, count)
            else:
                shape = tiles, plan.tile_height, plan.tile_width
                slot = self._ring.take(shape)
                _fill_tiles(slot, planes, plan)
                wanted = partial(self._programs.loose, shape)
            return Ticket(slot, plan, whole, self._queued(slot, wanted, strength, tiles))

    def collect(self, ticket: Ticket, outs: Sequence[Bytes]) -> None:
        """See `StreamingBackend.collect`."""
        slot = ticket.slot
        with translated(self.device):
            self._await(ticket.done)
            self.stages = _stages(slot.marks) if self._timed else None
        pixels = slot.host(slot.host_out)
        if ticket.whole:
            _store_planes(pixels, outs)
        else:
            _store_tiles(pixels, ticket.plan, outs)
        self._ring.give(slot)

    def close(self) -> None:
        """See `Backend.close`. A device that hangs is not waited for."""
        if self._hung:
            return
        with suppress(RuntimeError):
            self._device.synchronize()
        self._ring.close()
        self._programs.close()

    def _queued(
        self, slot: Slot, wanted: Callable[[], Program], strength: float, tiles: int
    ) -> Event:
        """The end of the three stages of what is in the slot."""
        source, target = slot.device(slot.device_in), slot.device(slot.device_out)
        self._compute.wait(
            self._staged(slot, self._upload, partial(_copy, slot.host_in, slot.device_in, slot))
        )

        def attempt() -> Event:
            program = wanted()
            return self._staged(slot, self._compute, partial(program.run, source, target, strength))

        self._download.wait(self._programs.in_memory(attempt, tiles))
        down = partial(_copy, slot.device_out, slot.host_out, slot)
        return self._staged(slot, self._download, down)

    def _staged(self, slot: Slot, stream: Stream, work: Callable[[], None]) -> Event:
        """Queues a stage; its end."""
        begin = stream.record() if self._timed else None
        stream.do(work)
        end = stream.record()
        slot.marks += [begin, end] if begin else []
        return end

    def _await(self, event: Event) -> None:
        """Waits, but not for ever: a driver may never answer again. Raises BackendError."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not event.passed():
            if time.monotonic() > deadline_s:
                self._hung = True
                raise BackendError(
                    f"'{self.device}' did not answer within {PATIENCE_S:.0f} s; is it asleep?"
                )
            time.sleep(POLL_S)


@contextmanager
def _tuned() -> Iterator[None]:
    """Lets cuDNN try its kernels out, which takes a while for every new shape."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _forgo_tf32() -> None:
    """Else ten-bit products stand in for fp32's on a GPU. For the whole process.

    PyTorch 2.9 and newer warn of the older switch, and refuse a mixture of both.
    """
    conv = getattr(torch.backends.cudnn, "conv", None)
    if conv is None:
        torch.backends.cudnn.allow_tf32 = False
    else:
        conv.fp32_precision = "ieee"


def _try_out(network: ByteNetwork, device: Device) -> None:
    """One smallest tile: a GPU that this build of PyTorch has no kernels for fails here."""
    levels = torch.zeros((1, 1, 1, network.stride**2), dtype=torch.uint8, device=device.kind)
    network(levels, torch.ones((), device=device.kind))
    device.synchronize()


def _streams(device: Device) -> tuple[Stream, Stream, Stream]:
    return device.stream(), device.stream(), device.stream()


def _copy(source: Tensor, target: Tensor, slot: Slot) -> None:
    target[: slot.size].copy_(source[: slot.size], non_blocking=True)


def _stages(marks: Sequence[Event]) -> Stages:
    begins, ends = marks[::2], marks[1::2]
    took_ms = [end.ms_since(begin) for begin, end in zip(begins, ends, strict=True)]
    return Stages(*took_ms)


def _fill_planes(slot: Slot, planes: Sequence[Bytes]) -> None:
    for pixels, plane in zip(slot.host(slot.host_in), planes, strict=True):
        np.copyto(pixels, plane)


def _store_planes(pixels: Bytes, outs: Sequence[Bytes]) -> None:
    for plane, out in zip(pixels, outs, strict=True):
        np.copyto(out, plane[: out.shape[0], : out.shape[1]])


def _fill_tiles(slot: Slot, planes: Sequence[Bytes], plan: Plan) -> None:
    wanted = [(plane, tile) for plane in planes for tile in plan.tiles]
    for pixels, (plane, tile) in zip(slot.host(slot.host_in), wanted, strict=True):
        top, left = tile.rows.start, tile.columns.start
        np.copyto(pixels, plane[top : top + plan.tile_height, left : left + plan.tile_width])


def _store_tiles(pixels: Bytes, plan: Plan, outs: Sequence[Bytes]) -> None:
    wanted = [(out, tile) for out in outs for tile in plan.tiles]
    for result, (out, tile) in zip(pixels, wanted, strict=True):
        core = result[tile.rows.inner, tile.columns.inner]
        store(core, tile.rows.core, tile.columns.core, out)
