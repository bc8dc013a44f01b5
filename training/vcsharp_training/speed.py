"""What a model costs: its size from the card, its frame rate by the clock."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vcsharp import catalogue
from vcsharp.engine.experts import OFF
from vcsharp_training.filters import EngineFilter, engine
from vcsharp_training.images import Plane

SMALL_PX = 512
HEIGHT, WIDTH = 1080, 1920
TILE_PX = 512
WARM_UP_FRAMES = 3
LEAST_FRAMES, LEAST_S = 5, 1.0


class Cost(NamedTuple):
    """Frames a second of luma through the whole engine, memory to memory."""

    params: int
    mac_per_px: int
    fps_512: float
    """512 x 512, untiled."""
    fps_1080p_tiled: float
    """1920 x 1080 in tiles of at most 512 px."""
    device: str
    precision: str
    threads: int
    machine: str


def fps(run: Callable[[], object], least_s: float = LEAST_S) -> float:
    """Frames a second after a warm-up, over at least five frames and `least_s` seconds.

    Call it with something that returns when its result lies in main memory: the engine copies
    bytes back from a GPU, which waits for it.
    """
    for _ in range(WARM_UP_FRAMES):
        run()
    started, frames = time.perf_counter(), 0
    while frames < LEAST_FRAMES or time.perf_counter() - started < least_s:
        run()
        frames += 1
    return frames / (time.perf_counter() - started)


def cost(sharpen: EngineFilter, least_s: float = LEAST_S) -> Cost:
    """Times a model on noise that changes with every frame, so that no work can be saved.

    The gate's look is left out: a stream takes one in thirty frames, single pictures one each.
    """
    card = catalogue.load(sharpen.folder).card
    tiled = replace(sharpen, tile_px=TILE_PX, expert=OFF)
    small, large = cycle(_noise(SMALL_PX, SMALL_PX)), cycle(_noise(HEIGHT, WIDTH))
    return Cost(
        card.params,
        card.mac_per_px,
        fps(lambda: tiled(next(small)), least_s),
        fps(lambda: tiled(next(large)), least_s),
        engine(tiled).facts.device,
        sharpen.precision,
        sharpen.threads,
        machine(),
    )


def _noise(height: int, width: int) -> list[Plane]:
    """Two planes that differ everywhere."""
    first = np.random.default_rng(0).integers(16, 120, (height, width)).astype(np.uint8)
    return [first, 255 - first]


def machine() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
