"""What cameras, codecs and calls do to a sharp picture: named, composable, seeded.

A profile is an optional camera pan followed by steps (`steps.py`). Each step takes a clip and
returns one, so that blur, scaling and noise happen per frame and the codec sees real motion. The
degraded picture is the clip's last frame; its ground truth is the last frame of the pan, cut from
the sharp picture with the same shift.

`EVALUATION` holds the profiles that figures are reported on; `TRAINING` the wider ones, of the same
names, that crops are made with unless a recipe says otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field, model_validator

from vcsharp_training import images, steps
from vcsharp_training.images import Picture
from vcsharp_training.steps import (
    X264,
    AnyStep,
    Clip,
    Gaussian,
    Grow,
    Jpeg,
    Noise,
    Scene,
    Shrink,
    Span,
)
from vcsharp_training.strict import Strict

MEASURED_HEIGHT_PX, MEASURED_WIDTH_PX = 1080, 1920
MEASURED_MULTIPLE = 4


class Pair(NamedTuple):
    """A degraded picture and its ground truth: uint8 H x W luma or H x W x 3 RGB, same shape."""

    degraded: Picture
    sharp: Picture


class Degraded(NamedTuple):
    """The last frames of a degraded clip and how they came about."""

    pairs: list[Pair]
    notes: list[str]
    """What was drawn, step by step, for people."""


class Pan(Strict):
    """A slow camera move over the picture, in whole pixels of it (so in fractions after scaling
    down).
    """

    frames: tuple[int, int] = (6, 14)
    """Fewest and most frames."""
    speed_px: Span = (0.0, 2.5)
    """Per frame and axis."""

    @model_validator(mode="after")
    def _rising(self) -> Pan:
        if not 1 <= self.frames[0] <= self.frames[1] <= 120:
            raise ValueError(f"a pan has from 1 to 120 frames, not {list(self.frames)}")
        return self

    def __call__(self, sharp: Picture, rng: np.random.Generator) -> Clip:
        """The frames that the camera sees; each a little smaller than the picture."""
        count = int(rng.integers(self.frames[0], self.frames[1] + 1))
        move = rng.uniform(*self.speed_px, size=2) * rng.choice([-1, 1], size=2)
        travel = np.rint(np.outer(np.arange(count), move)).astype(int)
        travel -= travel.min(axis=0)
        height, width = np.array(sharp.shape[:2]) - travel.max(axis=0)
        return [np.ascontiguousarray(sharp[y : y + height, x : x + width]) for y, x in travel]

    @property
    def travel_px(self) -> int:
        """The farthest that it can move along one axis."""
        return round((self.frames[1] - 1) * self.speed_px[1])


class Profile(Strict):
    """A chain of steps, in a recipe `[bank.profiles.NAME]`."""

    pan: Pan | None = None
    """Moves the camera; without it there is one frame."""
    steps: tuple[AnyStep, ...] = Field(())
    """What happens to every frame, in this order."""

    @model_validator(mode="after")
    def _ends_at_its_size(self) -> Profile:
        steps.check(self.steps)
        return self

    def run(self, sharp: Picture, rng: np.random.Generator, keep: int = 1) -> Degraded:
        """Degrades a picture and returns the last `keep` frames.

        Without a pan these show a static scene, each with noise of its own.
        """
        clip = self.pan(sharp, rng) if self.pan else [sharp]
        clip = [clip[0]] * (keep - len(clip)) + clip
        truths = clip[-keep:]
        scene = Scene(steps.size_of(truths[-1]), keep)
        if self.pan:
            scene.notes.append(f"pan {len(clip)} frames")
        for step in self.steps:
            clip = step(clip, scene, rng)
        pairs = [Pair(*frames) for frames in zip(clip[-keep:], truths, strict=True)]
        return Degraded(pairs, scene.notes)

    def __call__(self, sharp: Picture, rng: np.random.Generator) -> Pair:
        """Degrades a picture (uint8, H x W or H x W x 3, at least 64 px a side).

        A pan returns a slightly smaller pair.
        """
        return self.run(sharp, rng).pairs[-1]


EVALUATION: Mapping[str, Profile] = {
    "half": Profile(steps=(Shrink(factor=(2, 2)), Grow(filters=("bicubic",)))),
    "soft": Profile(steps=(Gaussian(sigma_px=(0.9, 2.0)), Noise(sigma=(1.5, 1.5)))),
    "mjpeg": Profile(
        steps=(
            Shrink(factor=(1.5, 1.5)),
            Noise(sigma=(3, 3)),
            Jpeg(quality=(55, 80)),
            Grow(filters=("bilinear",)),
        )
    ),
    "call": Profile(
        pan=Pan(frames=(12, 12), speed_px=(0.5, 2)),
        steps=(Shrink(factor=(3, 3)), X264(kbps=(400, 400)), Grow(filters=("bilinear",))),
    ),
    "clean": Profile(),
}

TRAINING: Mapping[str, Profile] = {
    "half": Profile(steps=(Shrink(factor=(1.9, 2.1)), Grow(filters=("bicubic",)))),
    "soft": Profile(steps=(Gaussian(sigma_px=(0.8, 2.2)), Noise(sigma=(0.5, 2.0)))),
    "mjpeg": Profile(
        steps=(
            Shrink(factor=(1.4, 1.6)),
            Noise(sigma=(1.5, 3.5)),
            Jpeg(quality=(50, 85)),
            Grow(filters=("bilinear",)),
        )
    ),
    # Rates above the evaluation's: a small window costs more bits per pixel than a whole picture.
    "call": Profile(
        pan=Pan(frames=(6, 14), speed_px=(0, 2.5)),
        steps=(
            Shrink(factor=(2, 3)),
            Noise(sigma=(0, 1)),
            X264(kbps=(300, 1300)),
            Grow(filters=("bilinear",)),
        ),
    ),
    "clean": Profile(),
}


def seed_of(path: Path, profile: str) -> np.random.Generator:
    """Random numbers that depend on the picture's and the profile's name only."""
    digest = hashlib.sha256(f"{path.name}/{profile}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def colour_pair(path: Path, profile: str) -> Pair:
    """A whole picture in colour for measuring: degraded and sharp RGB, uint8 H x W x 3.

    Cut, seeded and degraded as the luma pairs of `evaluate`, with real chroma through the codecs.
    Sides are multiples of 4. Raises DataError if the file cannot be decoded.
    """
    rgb = images.centre_cut(images.read_rgb(path), MEASURED_HEIGHT_PX, MEASURED_WIDTH_PX)
    pair = EVALUATION[profile](rgb, seed_of(path, profile))
    height, width = (side // MEASURED_MULTIPLE * MEASURED_MULTIPLE for side in pair.sharp.shape[:2])
    return Pair(*(np.ascontiguousarray(picture[:height, :width]) for picture in pair))
