"""The programs of one network on one device: built when needed, kept, made smaller when memory does
not suffice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from vcsharp.engine.gpu.device import Device, Stream, first_line, is_out_of_memory
from vcsharp.engine.gpu.layout import is_whole
from vcsharp.engine.gpu.network import ByteNetwork
from vcsharp.engine.gpu.program import LooseTiles, Mode, Program, WholeFrames
from vcsharp.engine.tiling import Plan

log = logging.getLogger(__name__)

MOST_KEPT = 8
"""A run has one shape, and a few for parts of its frames."""

T = TypeVar("T")


class Programs:
    """See the module. For one thread at a time.

    Args:
        device: where.
        stream: that whole frames are computed on.
        network: on that device.
        mode: how whole frames are launched.
    """

    def __init__(self, device: Device, stream: Stream, network: ByteNetwork, mode: Mode) -> None:
        self._device, self._stream, self._network, self._mode = device, stream, network, mode
        self.parts = 1
        """Batches that a frame's tiles are shared out to."""
        self._kept: dict[object, Program] = {}

    def prepare(self, plan: Plan, planes: int) -> None:
        """Builds the program for whole planes of this plan. Raises RuntimeError."""
        if not self.knows(plan, planes) and is_whole(plan):
            self.in_memory(lambda: self.whole(plan, planes), planes * len(plan.tiles))

    def knows(self, plan: Plan, planes: int) -> bool:
        """Whether there is one for whole planes of this plan."""
        return (plan, planes) in self._kept

    def whole(self, plan: Plan, planes: int) -> Program:
        """The one for whole planes; built where it is not there. Raises RuntimeError."""
        return self._kept.get((plan, planes)) or self._keep(
            (plan, planes),
            WholeFrames(
                self._device, self._stream, self._network, plan, planes, self.parts, self._mode
            ),
        )

    def loose(self, shape: tuple[int, int, int]) -> Program:
        """The one for so many tiles of that size; built where it is not there."""
        return self._kept.get(shape) or self._keep(
            shape, LooseTiles(self._device, self._network, shape, self.parts)
        )

    def in_memory(self, make: Callable[[], T], tiles: int) -> T:
        """What `make` gives, at last with one tile in a batch. Raises RuntimeError.

        `make` is called again as often as there is no memory, and builds its program anew.
        """
        while True:
            try:
                return make()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.parts >= tiles:
                    raise
                reason = first_line(error)
            self.parts = min(2 * self.parts, tiles)
            log.warning("%s; going on with a frame's tiles in %d batches", reason, self.parts)
            self._clear()

    def close(self) -> None:
        """Frees all, the network too. Nothing may be under way. Idempotent."""
        self._kept.clear()
        self._network.free()
        with suppress(RuntimeError):
            self._device.release()

    def _clear(self) -> None:
        self._device.synchronize()  # frames before this one may be under way
        self._kept.clear()
        self._device.release()

    def _keep(self, key: object, program: Program) -> Program:
        if len(self._kept) >= MOST_KEPT:
            self._device.synchronize()
            del self._kept[next(iter(self._kept))]
        self._kept[key] = program
        return program
