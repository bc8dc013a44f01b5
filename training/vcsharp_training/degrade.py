"""What cameras, codecs and calls do to a sharp picture: named, composable, seeded.

A profile is an optional camera pan followed by steps. Each step takes a clip (a list of planes) and
returns one, so that blur, scaling and noise happen per frame and the codec sees real motion. The
degraded picture is the clip's last frame; its ground truth is the last frame of the pan, cut from
the sharp picture with the same shift.

`EVALUATION` holds the profiles that figures are reported on; `TRAINING` the wider ones, of the same
names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from vcsharp_training.codec import x264_last_frame
from vcsharp_training.images import Plane, to_bytes

Clip = list[Plane]
Size = tuple[int, int]
"""Height and width in pixels."""
Span = tuple[float, float]
"""A range that a value is drawn from uniformly; equal ends fix it."""
Step = Callable[[Clip, Size, np.random.Generator], Clip]
"""Takes the clip, the size that the profile has to end at, and the random numbers."""

_FILTERS = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


class Pair(NamedTuple):
    """A degraded plane and its ground truth; uint8 H x W, same shape."""

    degraded: Plane
    sharp: Plane


def _resize(plane: Plane, size: Size, name: str) -> Plane:
    resized = cv2.resize(plane, size[::-1], interpolation=_FILTERS[name])
    return resized.astype(np.uint8, copy=False)


def _even(pixels: float) -> int:
    return max(16, 2 * round(pixels / 2))


@dataclass(frozen=True)
class Shrink:
    """Down to 1/factor with an area filter, to even sizes as 4:2:0 codecs need."""

    factor: Span

    def __call__(self, clip: Clip, size: Size, rng: np.random.Generator) -> Clip:
        factor = rng.uniform(*self.factor)
        small = (_even(size[0] / factor), _even(size[1] / factor))
        return [_resize(plane, small, "area") for plane in clip]


@dataclass(frozen=True)
class Grow:
    """Back up to the size of the ground truth. Where several filters are named, one is drawn."""

    filters: tuple[str, ...]

    def __call__(self, clip: Clip, size: Size, rng: np.random.Generator) -> Clip:
        name = self.filters[int(rng.integers(len(self.filters)))]
        return [_resize(plane, size, name) for plane in clip]


@dataclass(frozen=True)
class Blur:
    """Gaussian blur: a cheap lens, or focus a little off."""

    sigma_px: Span

    def __call__(self, clip: Clip, size: Size, rng: np.random.Generator) -> Clip:  # noqa: ARG002
        sigma = rng.uniform(*self.sigma_px)
        return [
            cv2.GaussianBlur(plane, (0, 0), sigma).astype(np.uint8, copy=False) for plane in clip
        ]


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise, in levels of 255, fresh for every frame."""

    sigma: Span

    def __call__(self, clip: Clip, size: Size, rng: np.random.Generator) -> Clip:  # noqa: ARG002
        sigma = np.float32(rng.uniform(*self.sigma))
        return [self._one(plane, sigma, rng) for plane in clip]

    @staticmethod
    def _one(plane: Plane, sigma: np.float32, rng: np.random.Generator) -> Plane:
        noisy = plane + sigma * rng.standard_normal(plane.shape, np.float32)
        return to_bytes(noisy)


@dataclass(frozen=True)
class Jpeg:
    """One JPEG generation per frame, as a camera in MJPG mode sends it."""

    quality: Span

    def __call__(self, clip: Clip, size: Size, rng: np.random.Generator) -> Clip:  # noqa: ARG002
        setting = [cv2.IMWRITE_JPEG_QUALITY, round(rng.uniform(*self.quality))]
        coded = [cv2.imencode(".jpg", plane, setting)[1] for plane in clip]
        decoded = [cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) for data in coded]
        return [plane.astype(np.uint8, copy=False) for plane in decoded if plane is not None]


@dataclass(frozen=True)
class X264:
    """Low-delay H.264 at a starved rate; leaves the last frame only."""

    kbps: Span
    """For 640 x 360; scaled with the area."""

    def __call__(self, clip: Clip, size: Size, rng: np.random.Generator) -> Clip:  # noqa: ARG002
        return [x264_last_frame(clip, rng.uniform(*self.kbps))]


@dataclass(frozen=True)
class Pan:
    """A slow camera move over the picture, in whole pixels of it (so in fractions after scaling
    down).
    """

    frames: tuple[int, int]
    speed_px: Span
    """Per frame and axis."""

    def __call__(self, sharp: Plane, rng: np.random.Generator) -> Clip:
        count = int(rng.integers(self.frames[0], self.frames[1] + 1))
        move = rng.uniform(*self.speed_px, size=2) * rng.choice([-1, 1], size=2)
        travel = np.rint(np.outer(np.arange(count), move)).astype(int)
        travel -= travel.min(axis=0)
        height, width = np.array(sharp.shape) - travel.max(axis=0)
        return [np.ascontiguousarray(sharp[y : y + height, x : x + width]) for y, x in travel]


@dataclass(frozen=True)
class Profile:
    """A named chain of steps."""

    name: str
    steps: tuple[Step, ...] = ()
    pan: Pan | None = None

    def __call__(self, sharp: Plane, rng: np.random.Generator) -> Pair:
        """Degrades a plane (uint8, H x W, at least 64 px a side). A pan returns a slightly smaller
        pair.
        """
        clip = self.pan(sharp, rng) if self.pan else [sharp]
        truth = clip[-1]
        for step in self.steps:
            clip = step(clip, (truth.shape[0], truth.shape[1]), rng)
        return Pair(clip[-1], truth)


def _by_name(*profiles: Profile) -> dict[str, Profile]:
    return {profile.name: profile for profile in profiles}


EVALUATION = _by_name(
    Profile("half", (Shrink((2, 2)), Grow(("bicubic",)))),
    Profile("soft", (Blur((0.9, 2.0)), Noise((1.5, 1.5)))),
    Profile("mjpeg", (Shrink((1.5, 1.5)), Noise((3, 3)), Jpeg((55, 80)), Grow(("bilinear",)))),
    Profile(
        "call",
        (Shrink((3, 3)), X264((400, 400)), Grow(("bilinear",))),
        Pan((12, 12), (0.5, 2)),
    ),
    Profile("clean"),
)

TRAINING = _by_name(
    Profile("half", (Shrink((1.9, 2.1)), Grow(("bicubic",)))),
    Profile("soft", (Blur((0.8, 2.2)), Noise((0.5, 2.0)))),
    Profile("mjpeg", (Shrink((1.4, 1.6)), Noise((1.5, 3.5)), Jpeg((50, 85)), Grow(("bilinear",)))),
    # Rates above the evaluation's: a small window costs more bits per pixel than a whole picture.
    Profile(
        "call",
        (Shrink((2, 3)), Noise((0, 1)), X264((300, 1300)), Grow(("bilinear",))),
        Pan((6, 14), (0, 2.5)),
    ),
    Profile("clean"),
)
