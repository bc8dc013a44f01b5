"""What is done on the device for one frame: tables and operations of a fixed shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor

from vcsharp.engine.gpu.device import Device, Launch, Stream
from vcsharp.engine.gpu.layout import gather_index, stitch_index
from vcsharp.engine.gpu.network import ByteNetwork
from vcsharp.engine.tiling import Plan

Mode = Literal["eager", "compiled", "graph", "compiled-graph"]
MODES: tuple[Mode, ...] = ("eager", "compiled", "graph", "compiled-graph")
"""`eager`: one call to the driver for each operation. `compiled`: `torch.compile` fuses what is not
a convolution. `graph`: a CUDA graph, captured once. `compiled-graph`: both."""

MOST_TILES = 64
"""Of a batch of loose tiles: a picture of a hundred megapixels has hundreds."""


class Program(Protocol):
    """From bytes on the device to bytes on the device, of one shape."""

    shape: tuple[int, ...]
    """Of the input and of the output, uint8."""

    def run(self, source: Tensor, target: Tensor, strength: float) -> None:
        """Queues the work on the current stream. Raises RuntimeError."""


class WholeFrames(Program):
    """Whole planes in, whole planes out: tiles are cut and stitched on the device, as one batch.

    Args:
        device: where.
        stream: that the work is captured for and will run on.
        network: on that device.
        plan: whole; see `layout.is_whole`.
        planes: how many of them go through as one batch.
        parts: batches that the tiles are shared out to; more need less memory.
        mode: see `MODES`.

    Raises:
        RuntimeError: no memory, or the device failed.
    """

    def __init__(
        self,
        device: Device,
        stream: Stream,
        network: ByteNetwork,
        plan: Plan,
        planes: int,
        parts: int,
        mode: Mode,
    ) -> None:
        self.shape = (planes, plan.height, plan.width)
        self._network = network
        table = torch.from_numpy(gather_index(plan, planes, network.stride)).to(device.kind)
        self._parts = table.tensor_split(parts)
        stitch = stitch_index(plan, planes, network.stride)
        self._stitch = torch.from_numpy(stitch.reshape(-1)).to(device.kind)
        self._scale = torch.zeros((), device=device.kind)
        self._source = torch.zeros(stitch.size, dtype=torch.uint8, device=device.kind)
        self._sharpen: Callable[[Tensor, Tensor], Tensor] = self._sharpened
        if mode.startswith("compiled"):
            self._sharpen = torch.compile(self._sharpened, dynamic=False, fullgraph=True)
        self._launch: Launch | None = None
        device.synchronize()  # the tables were copied on another stream
        if mode.endswith("graph"):
            self._launch = device.capture(stream, self._from_fixed)
        else:
            stream.do(self._tried)

    def run(self, source: Tensor, target: Tensor, strength: float) -> None:
        """See `Program.run`. A graph reads from a fixed place, so the planes are copied there."""
        self._scale.fill_(255 * strength)
        if self._launch is None:
            result = self._sharpen(source.view(-1), self._scale)
        else:
            self._source.copy_(source.view(-1))
            result = self._launch()
        target.view(-1).copy_(result)

    def _tried(self) -> None:
        """Once, so that the compiler and the choice of kernels do not wait for the first frame."""
        self._from_fixed()

    def _from_fixed(self) -> Tensor:
        return self._sharpen(self._source, self._scale)

    def _sharpened(self, flat: Tensor, scale: Tensor) -> Tensor:
        tiles = [
            self._network(flat.index_select(0, part.reshape(-1)).view(part.shape), scale)
            for part in self._parts
        ]
        batch = tiles[0] if len(tiles) == 1 else torch.cat(tiles)
        return batch.reshape(-1).index_select(0, self._stitch)


class LooseTiles(Program):
    """Tiles that the host has cut: for a part of a plan, and for pictures of which there is one."""

    def __init__(
        self, device: Device, network: ByteNetwork, shape: tuple[int, int, int], parts: int
    ) -> None:
        """`shape` is tiles, rows, columns."""
        self.shape = shape
        self._network = network
        self._most = max(1, min(MOST_TILES, shape[0] // parts))
        self._scale = torch.empty((), device=device.kind)

    def run(self, source: Tensor, target: Tensor, strength: float) -> None:
        """See `Program.run`."""
        self._scale.fill_(255 * strength)
        stride, (_, rows, columns) = self._network.stride, self.shape
        for tiles, result in zip(
            torch.split(source, self._most), torch.split(target, self._most), strict=True
        ):
            blocks = tiles.view(-1, rows // stride, stride, columns // stride, stride)
            levels = blocks.permute(0, 1, 3, 2, 4).flatten(3)
            sharp = self._network(levels, self._scale)
            sharp = sharp.reshape(*levels.shape[:3], stride, stride).permute(0, 1, 3, 2, 4)
            result.view(blocks.shape).copy_(sharp)
