"""What a filter does where there is nothing to restore: a still scene, an edge, a flat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import cv2
import numpy as np

from vcsharp_training import metrics
from vcsharp_training.codec import x264_frames
from vcsharp_training.images import Plane, to_bytes

Filter = Callable[[Plane], Plane]

STILL_FRAMES, SKIPPED_FRAMES = 16, 4
"""Length of the still clip, and how many frames the coder has to settle."""
STILL_KBPS = 800.0
"""For 640 x 360."""
CAMERA_NOISE = 1.5
EDGE_LOW, EDGE_HIGH = 70, 170
EDGE_SIGMAS_PX = (0.6, 1.0, 1.6)
PROBE_PX = 128
FLATS = (40, 90, 140, 200)


@runtime_checkable
class Streaming(Protocol):
    """A filter that treats the frames of a stream otherwise than pictures by themselves."""

    def stream(self, clip: Sequence[Plane]) -> list[Plane]:
        """All frames of a clip, in their order."""


class Probe(NamedTuple):
    """What a filter adds of its own; see the functions of the same names in `metrics`."""

    flicker: float
    overshoot: float
    grain: float


def still_clip(scene: Plane, seed: int = 0) -> list[Plane]:
    """A camera on a tripod in a call: `scene` (sides even) with fresh noise, through a real coder.

    The first frames, where the picture builds up, are left out.
    """
    rng = np.random.default_rng(seed)
    clip = [_noisy(scene, rng) for _ in range(STILL_FRAMES)]
    return x264_frames(clip, STILL_KBPS)[SKIPPED_FRAMES:]


def _noisy(plane: Plane, rng: np.random.Generator) -> Plane:
    return to_bytes(plane + CAMERA_NOISE * rng.standard_normal(plane.shape, np.float32))


def edges() -> list[Plane]:
    """Soft steps between two greys, upright, level and diagonal, of several softnesses."""
    y, x = np.mgrid[:PROBE_PX, :PROBE_PX] - PROBE_PX // 2
    steps = [np.where(side > 0, EDGE_HIGH, EDGE_LOW).astype(np.float32) for side in (x, y, x + y)]
    return [
        to_bytes(cv2.GaussianBlur(step, (0, 0), sigma).astype(np.float32, copy=False))
        for step in steps
        for sigma in EDGE_SIGMAS_PX
    ]


def noisy_flats(seed: int = 0) -> list[Plane]:
    """Plain greys as a camera delivers them."""
    rng = np.random.default_rng(seed)
    return [_noisy(np.full((PROBE_PX, PROBE_PX), level, np.uint8), rng) for level in FLATS]


def through(sharpen: Filter, clip: Sequence[Plane]) -> list[Plane]:
    """A clip as its viewers see it."""
    any_filter: object = sharpen
    if isinstance(any_filter, Streaming):
        return any_filter.stream(clip)
    return [*map(sharpen, clip)]


def probe(sharpen: Filter, stills: Sequence[Sequence[Plane]]) -> Probe:
    """All three; of flicker and grain the mean, of overshoot the worst."""
    return Probe(
        float(np.mean([metrics.flicker(through(sharpen, clip), clip) for clip in stills])),
        max(metrics.overshoot(sharpen(edge), EDGE_LOW, EDGE_HIGH) for edge in edges()),
        float(np.mean([metrics.grain(sharpen(flat), flat) for flat in noisy_flats()])),
    )
