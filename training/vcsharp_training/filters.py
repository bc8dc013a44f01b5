"""Exported models as functions from plane to plane: the bare ONNX file, and the whole engine of the
runtime.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from vcsharp.engine.experts import AUTO
from vcsharp.engine.steady import DEFAULT_LEVELS
from vcsharp.engine.worker import Engine, choose
from vcsharp.frame import Frame, frame_bytes
from vcsharp_training.images import Plane


@functools.cache
def session(path: Path) -> onnxruntime.InferenceSession:
    """A session per file and process; one thread, so that results and costs repeat."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )


@dataclass(frozen=True)
class OnnxFilter:
    """Runs `path` on a luma plane (uint8, H x W, multiples of the stride) at a strength."""

    path: Path
    strength: float = 1.0

    def __call__(self, luma: Plane) -> Plane:
        feeds = {"y": luma[None, None], "strength": np.array(self.strength, np.float32)}
        (output,) = session(self.path).run(["out"], feeds)
        plane: Plane = np.asarray(output, np.uint8)[0, 0]
        return plane


@dataclass(frozen=True)
class EngineFilter:
    """What `vcsharp` does with a luma plane (uint8, H x W, any size), tiles included."""

    folder: Path
    """A model with its card."""
    precision: str = "int8"
    """`int8`, `fp32` or `fp16`."""
    device: str = "cpu"
    """`cpu`, `cuda` or `cuda:N`."""
    tile_px: int = 512
    threads: int = 1
    strength: float = 1.0
    expert: str = AUTO
    """As the daemon's setting: `auto` looks at every picture."""

    def __call__(self, luma: Plane) -> Plane:
        return engine(self).sharpen_luma(luma, self.strength)

    def stream(self, clip: Sequence[Plane]) -> list[Plane]:
        """The frames of a clip one after the other, steadied as `vcsharp run` does."""
        with _engine(self, steady=DEFAULT_LEVELS) as fresh:
            fresh.strength = self.strength
            return [fresh.process(_frame(plane)).y for plane in clip]


@functools.cache
def engine(filter_: EngineFilter) -> Engine:
    """An engine per filter and process. Raises ModelError, BackendUnavailableError."""
    return _engine(filter_)


def _engine(filter_: EngineFilter, steady: int = 0) -> Engine:
    backend = "ort" if filter_.device == "cpu" else "auto"
    return choose(
        str(filter_.folder.absolute()),
        filter_.device,
        backend,
        filter_.precision,
        filter_.threads,
        filter_.tile_px,
        expert=filter_.expert,
        steady=steady,
    )


def _frame(luma: Plane) -> Frame:
    """Without colour."""
    height, width = luma.shape
    grey = np.full(frame_bytes(width, height) - luma.size, 128, np.uint8)
    return Frame(np.concatenate([luma.ravel(), grey]), width, height)
