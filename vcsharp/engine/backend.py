"""The promise that every inference runtime keeps, and the one that does nothing."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from vcsharp.engine.tiling import Plan
from vcsharp.frame import Bytes


class Backend(Protocol):
    """Runs a student on the tiles of one luma plane. Used by one thread at a time."""

    name: str
    """`onnxruntime`, `torch`, `tensorrt`."""
    device: str
    """`cpu`, `cuda:0`."""
    precision: str
    """`int8`, `fp32`, `fp16`, `bf16`."""

    def sharpen(self, plane: Bytes, plan: Plan, strength: float, out: Bytes) -> None:
        """Writes the sharpened plane into `out`.

        Args:
            plane: uint8, (plan.height, plan.width); only read.
            plan: tiles that cover the plane.
            strength: factor on the residual, 0..2.
            out: uint8, at most as large as `plane`; what lies beyond its edges is left out.

        Raises:
            BackendError: the runtime failed; the backend is then of no further use.
        """

    def close(self) -> None:
        """Frees memory and threads. Idempotent."""


class NullBackend:
    """Copies the plane: what the pipeline costs without a network, and `--model none`."""

    name = "none"
    device = "cpu"
    precision = "none"

    def sharpen(self, plane: Bytes, plan: Plan, strength: float, out: Bytes) -> None:  # noqa: ARG002 - the protocol's
        """Copies tile by tile, as the real ones do."""
        for tile in plan.tiles:
            store(plane[tile.rows.core, tile.columns.core], tile.rows.core, tile.columns.core, out)

    def close(self) -> None:
        """Nothing to free."""


def store(core: Bytes, rows: slice, columns: slice, out: Bytes) -> None:
    """Copies a tile's core to its place in `out`, less what hangs over the edge (the padding)."""
    target = out[rows, columns]
    np.copyto(target, core[: target.shape[0], : target.shape[1]])
