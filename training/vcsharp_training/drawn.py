"""Drawn pictures for a first try without any data: soft hills, shapes with hard edges, writing and
grain.

`data = "generated"` in a recipe asks for them. What is trained on them is of no use.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vcsharp_training.bank import Bank
from vcsharp_training.images import Picture, to_bytes

GENERATED = Path("generated")
"""Stands in a recipe in the place of a folder."""
CATEGORIES = ("shapes", "writing")
HEIGHT_PX, WIDTH_PX = 160, 208
WORDS = ("sharp", "video", "Camera", "1080p", "quick fox")


def _hills(height: int, width: int, rng: np.random.Generator) -> Picture:
    coarse = rng.uniform(0, 255, (5, 6, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return to_bytes(smooth.astype(np.float32, copy=False))


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(level) for level in rng.integers(0, 256, 3))
    return red, green, blue


def _shapes(picture: Picture, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    for _ in range(6):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(picture, centre, int(rng.integers(4, 30)), _colour(rng), -1, cv2.LINE_AA)
        start, end = (tuple(map(int, rng.integers(width, size=2))) for _ in range(2))
        cv2.line(picture, start, end, _colour(rng), int(rng.integers(1, 4)), cv2.LINE_AA)


def _writing(picture: Picture, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    for y in range(18, height, 22):
        text = " ".join(rng.choice(WORDS, 3))
        place, size = (int(rng.integers(width // 3)), y), float(rng.uniform(0.35, 0.7))
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, _colour(rng), 1)


def picture(category: str, height: int, width: int, rng: np.random.Generator) -> Picture:
    """RGB, uint8 height x width x 3; `category` is one of `CATEGORIES`."""
    drawn = _hills(height, width, rng)
    (_shapes if category == CATEGORIES[0] else _writing)(drawn, rng)
    grain = rng.normal(0, 6, drawn.shape) * (np.arange(height) > height // 2)[:, None, None]
    return to_bytes(drawn + grain)


def write(folder: Path, count: int, seed: int) -> Path:
    """Writes `count` PNGs, one folder per category, and returns `folder`. The same arguments give
    the same pixels.
    """
    for number in range(count):
        category = CATEGORIES[number % len(CATEGORIES)]
        path = folder / category / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rgb = picture(category, HEIGHT_PX, WIDTH_PX, np.random.default_rng([seed, number]))
        path.write_bytes(cv2.imencode(".png", rgb[..., ::-1])[1].tobytes())
    return folder


def bank(crops: int, crop_px: int, seed: int) -> Bank:
    """A bank of RGB crops in memory, softened by a Gaussian; every fifth is held out. The frame
    before is the same picture, a pixel to the left.
    """
    rng = np.random.default_rng([seed, crops, crop_px])
    kinds = [CATEGORIES[number % len(CATEGORIES)] for number in range(crops)]
    wide = np.stack([picture(kind, crop_px, crop_px + 1, rng) for kind in kinds])
    soft = np.stack([to_bytes(cv2.GaussianBlur(rgb, (0, 0), 1.0).astype(float)) for rgb in wide])
    return Bank(
        degraded=soft[:, :, 1:],
        sharp=wide[:, :, 1:],
        profile=np.full(crops, "soft"),
        held_out=np.arange(crops) % 5 == 4,
        before_degraded=soft[:, :, :-1],
        before_sharp=wide[:, :, :-1],
    )
