"""What a worker process makes of one picture, clip or pair: crops, in a fixed order.

Crops start anywhere, so training sees every phase of the network's grid and of the codec's blocks.
What is drawn depends on the seed, the source's number and the profile only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from vcsharp_training import clips, images, synthetic
from vcsharp_training.bank_settings import PAIR, BankSettings
from vcsharp_training.errors import DataError
from vcsharp_training.images import Picture
from vcsharp_training.sources import Skipped, Source

FIELDS = ("degraded", "sharp")
FIELDS_BEFORE = ("before_degraded", "before_sharp")
"""Of the frame before; in temporal banks only."""

Crop = tuple[Picture, ...]
"""One row of every field."""


@dataclass(frozen=True)
class Job:
    """Everything that a worker process needs for one source."""

    source: Source
    number: int
    settings: BankSettings
    seed: int


@dataclass
class Cut:
    """What came of it."""

    profiles: list[str] = field(default_factory=list)
    """Of each crop."""
    crops: list[Crop] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def fields(settings: BankSettings) -> tuple[str, ...]:
    """Names of what a crop consists of."""
    return FIELDS + FIELDS_BEFORE if settings.temporal else FIELDS


def cut(job: Job) -> Cut:
    """All crops of one source; a source that cannot be used is skipped with its reason."""
    cv2.setNumThreads(1)
    found = Cut()
    try:
        if job.source.kind == "pair":
            _cut_pair(job, found)
        else:
            for key, picture in _pictures(job):
                _cut_picture(job, key, picture, found)
    except DataError as error:
        found.skipped.append(Skipped(job.source.path, str(error)))
    return found


def _range(job: Job) -> images.Range:
    """Full range for some sources: as a whole, so that a clip does not flicker."""
    rng = np.random.default_rng([job.seed, job.number])
    return "full" if rng.random() < job.settings.full_range_share else "limited"


def _channels(bgr: Picture, job: Job) -> Picture:
    """The picture as the bank wants it: luma, or RGB."""
    if job.settings.colour:
        return np.ascontiguousarray(bgr[..., ::-1])
    return images.to_luma(bgr, _range(job))


def _pictures(job: Job) -> Iterator[tuple[tuple[int, ...], Picture]]:
    """The picture, or the frames of a clip, each with what its random numbers hang on."""
    path, settings = job.source.path, job.settings
    if job.source.kind == "picture":
        yield (job.seed, job.number), _channels(images.read_bgr(path), job)
        return
    for index, bgr in enumerate(clips.frames(path, settings.clip_stride, settings.clip_frames)):
        yield (job.seed, job.number, index), _channels(bgr, job)


def _check_size(picture: Picture, needed_px: int) -> None:
    height, width = picture.shape[:2]
    if min(height, width) < needed_px:
        raise DataError(f"too small: {width}x{height}, and {needed_px} px a side are needed")


def _cut_picture(job: Job, key: tuple[int, ...], picture: Picture, found: Cut) -> None:
    _check_size(picture, job.settings.smallest_px)
    for profile, count in job.settings.crops_per_image.items():
        rng = np.random.default_rng([*key, *profile.encode()])
        found.crops += crops_of(picture, profile, count, job.settings, rng)
        found.profiles += [profile] * count


def _cut_pair(job: Job, found: Cut) -> None:
    blurred = job.source.blurred or job.source.path
    pair = [_channels(images.read_bgr(path), job) for path in (blurred, job.source.path)]
    sizes = ["{1}x{0}".format(*picture.shape) for picture in pair]
    if sizes[0] != sizes[1]:
        raise DataError(f"its twin '{blurred}' has another size: {sizes[0]}, and this {sizes[1]}")
    _check_size(pair[0], job.settings.crop_px)
    rng = np.random.default_rng([job.seed, job.number, *PAIR.encode()])
    count, crop_px = job.settings.crops_per_pair, job.settings.crop_px
    frames = tuple(pair) * (len(fields(job.settings)) // 2)  # the frame before: nothing moved
    found.crops += [cut_out(frames, corner(pair[0], crop_px, rng), crop_px) for _ in range(count)]
    found.profiles += [PAIR] * count


def window(picture: Picture, window_px: int, rng: np.random.Generator) -> Picture:
    """A random part of the picture: as real as the whole for a local degradation, and cheaper."""
    height, width = (min(side, window_px) for side in picture.shape[:2])
    y = int(rng.integers(picture.shape[0] - height + 1))
    x = int(rng.integers(picture.shape[1] - width + 1))
    return np.ascontiguousarray(picture[y : y + height, x : x + width])


def magnified(part: Picture, settings: BankSettings, rng: np.random.Generator) -> Picture:
    """Sometimes a piece of `part` scaled up to its size: sharp pictures of big sensors hold no
    detail of one pixel.

    Without these the student takes every soft area for a degraded one, and harms what is merely
    smooth.
    """
    factor = rng.uniform(1, settings.magnify_max)
    if rng.random() >= settings.magnify_share:
        return part
    height, width = (round(side / factor) for side in part.shape[:2])
    piece, size = part[:height, :width], part.shape[1::-1]
    return cv2.resize(piece, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


class Corner(NamedTuple):
    """Where a crop begins."""

    y: int
    x: int


def corner(picture: Picture, crop_px: int, rng: np.random.Generator) -> Corner:
    """A random one."""
    y = int(rng.integers(picture.shape[0] - crop_px + 1))
    x = int(rng.integers(picture.shape[1] - crop_px + 1))
    return Corner(y, x)


def cut_out(pictures: Crop, at: Corner, crop_px: int) -> Crop:
    """The same square of every picture."""
    area = np.s_[at.y : at.y + crop_px, at.x : at.x + crop_px]
    return tuple(picture[area] for picture in pictures)


def crops_of(
    picture: Picture, profile: str, count: int, settings: BankSettings, rng: np.random.Generator
) -> list[Crop]:
    """`count` crops of one profile; every window gives at most `crops_per_window` of them."""
    made = list[Crop]()
    frames = len(fields(settings)) // 2
    while len(made) < count:
        part = magnified(window(picture, settings.window_px, rng), settings, rng)
        pairs = settings.all_profiles[profile].run(part, rng, keep=frames).pairs
        newest_first: Crop = tuple(shown for pair in reversed(pairs) for shown in pair)
        for _ in range(min(settings.crops_per_window, count - len(made))):
            at = corner(newest_first[0], settings.crop_px, rng)
            made.append(cut_out(newest_first, at, settings.crop_px))
    return made


def drawn(settings: BankSettings, seed: int) -> Iterator[Crop]:
    """Patterns that stay as they are, in every field."""
    rng = np.random.default_rng([seed, *b"synthetic"])
    draw = synthetic.draw_colour if settings.colour else synthetic.draw
    for _ in range(settings.synthetic):
        yield (draw(settings.crop_px, rng),) * len(fields(settings))
