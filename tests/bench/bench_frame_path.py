"""What a 1080p frame costs beside its network: from a decoder's planes to the virtual camera.

    python tests/bench/bench_frame_path.py            least and median CPU ms of one thread

The goal is 4 ms a frame in all, also for a picture that needs every step. `tests/unit/test_fit.py`,
`tests/engine/test_reuse.py` and `tests/pipeline/test_allocations.py` prove that these paths are
right and take no new memory.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from itertools import cycle

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from vcsharp.engine.backend import NullBackend
from vcsharp.engine.worker import Engine
from vcsharp.fit import fit
from vcsharp.frame import Color, ColorMatrix, ColorRange, Frame, frame_bytes, from_planes
from vcsharp.sources.raw import RawPicture, Unpack, unpack_nv12, unpack_yuyv

WIDTH, HEIGHT = 1920, 1080
REPEATS = 40


def noise(width: int, height: int, color: Color, seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, frame_bytes(width, height)).astype(np.uint8)
    return Frame(data, width, height, color=color)


def cpu_ms(step: Callable[[], object]) -> tuple[float, float]:
    """(least, median)."""
    took = []
    for _ in range(REPEATS):
        started_s = time.thread_time()
        step()
        took.append(1e3 * (time.thread_time() - started_s))
    return min(took), statistics.median(took)


def fitting(width: int, height: int, color: Color) -> Callable[[], object]:
    frame = noise(width, height, color, 0)
    return lambda: fit(frame, WIDTH, HEIGHT, Color())


def stitching(threshold: int | None, *, still: bool) -> Callable[[], object]:
    engine = Engine(NullBackend(), None, 512, threshold)
    frames = cycle([noise(WIDTH, HEIGHT, Color(), 0 if still else seed) for seed in range(3)])
    engine.process(next(frames))
    return lambda: engine.process(next(frames))


def capturing() -> Callable[[], object]:
    """The planes that a decoder gives, into a frame of our own."""
    planes = noise(WIDTH, HEIGHT, Color(), 0).planes
    return lambda: from_planes(*planes)


def unpacking(unpack: Unpack, bytes_per_px: float) -> Callable[[], object]:
    size = int(WIDTH * HEIGHT * bytes_per_px)
    buffer = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    return lambda: unpack(RawPicture(buffer, WIDTH, HEIGHT, 0, 0))


def writing() -> Callable[[], object]:
    """The kernel copies a picture, as a virtual camera's write does."""
    descriptor = os.memfd_create("camera")
    data = noise(WIDTH, HEIGHT, Color(), 0).data
    return lambda: os.pwrite(descriptor, data.data, 0)


def everything() -> Callable[[], object]:
    """From a decoder's 1280x960 planes, BT.709 in full range, to a virtual camera."""
    planes = noise(1280, 960, Color(), 0).planes
    color = Color(ColorRange.FULL, ColorMatrix.BT709)
    engine, write = Engine(NullBackend(), None, 512, 0), writing()

    def step() -> None:
        engine.process(fit(from_planes(*planes, color=color), WIDTH, HEIGHT, Color()))
        write()

    return step


def main() -> None:
    cv2.setNumThreads(1)
    hd = Color(ColorRange.LIMITED, ColorMatrix.BT709)
    steps = {
        "capture, planes into a frame": capturing(),
        "capture, NV12 unpacked": unpacking(unpack_nv12, 1.5),
        "capture, YUYV unpacked": unpacking(unpack_yuyv, 2),
        "range, full to limited": fitting(WIDTH, HEIGHT, Color(ColorRange.FULL)),
        "matrix, BT.709 to BT.601": fitting(WIDTH, HEIGHT, hd),
        "enlarging 1280x720": fitting(1280, 720, Color()),
        "letterbox from 1440x1080": fitting(1440, 1080, Color()),
        "cutting and stitching, all tiles": stitching(None, still=False),
        "the same, comparing, all new": stitching(0, still=False),
        "the same, comparing, nothing new": stitching(0, still=True),
        "the same, threshold 8, nothing new": stitching(8, still=True),
        "output, one write": writing(),
        "in all: 1280x960 BT.709 full range": everything(),
    }
    table = Table("1080p", "least ms", "median ms")
    for name, step in steps.items():
        least, median = cpu_ms(step)
        table.add_row(name, f"{least:.2f}", f"{median:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
