"""An exported ONNX file as a function from plane to plane, through onnxruntime on one thread."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

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
