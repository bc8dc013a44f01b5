"""The pictures that the test camera shows, and what is to be found in them again.

Every picture carries its number twice, as black and white blocks along the top and the bottom: in a
torn picture they differ. Below the top lie eight colour bars, and a soft pattern in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

COUNT = 128
"""So many pictures differ; then they begin again."""
_BITS = 7
BARS = (
    (191, 191, 191),
    (191, 191, 32),
    (32, 191, 191),
    (32, 191, 32),
    (191, 32, 191),
    (191, 32, 32),
    (32, 32, 191),
    (64, 64, 64),
)
"""Red, green and blue; not so strong that limited range or JPEG would cut them."""


def picture(number: int, width: int, height: int) -> Picture:
    """BGR, (height, width, 3)."""
    image = _still(width, height).copy()
    block = height // 12
    for index in range(_BITS + 1):
        # The last block is the parity: a grey or black picture has no number.
        bits = number % COUNT
        lit = bits >> index & 1 if index < _BITS else not bits.bit_count() % 2
        columns = slice(width * index // (_BITS + 1), width * (index + 1) // (_BITS + 1))
        image[:block, columns] = image[height - block :, columns] = 220 if lit else 30
    return image


@cache
def _still(width: int, height: int) -> Picture:
    """All that does not change."""
    image = np.full((height, width, 3), 128, np.uint8)
    for index, rgb in enumerate(BARS):
        columns = slice(width * index // len(BARS), width * (index + 1) // len(BARS))
        image[height // 12 : height // 3, columns] = rgb[::-1]
    soft = slice(height // 3, height - height // 12)
    image[soft] = _soft(soft.stop - soft.start, width)[:, :, None]
    return image


def _soft(height: int, width: int) -> Picture:
    """Letters and strokes out of focus: what the network is there for."""
    page = np.full((height, width), 200, np.uint8)
    text = "The quick brown fox 0123456789 jumps over the lazy dog "
    step = max(height // 14, 8)
    for row, y in enumerate(range(step, height, step)):
        line = text[row % 20 :] + text
        cv2.putText(page, line, (4, y), cv2.FONT_HERSHEY_SIMPLEX, step / 34, (40,), 2, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(page, (0, 0), width / 1500), np.uint8)


def numbers(image: Picture) -> tuple[int | None, int | None]:
    """The number at the top and at the bottom; None where there is none."""
    luma = image[..., 1] if image.ndim == 3 else image
    edge = luma.shape[0] // 48
    return _number(luma[edge : 3 * edge]), _number(luma[-3 * edge : -edge])


def _number(strip: Picture) -> int | None:
    blocks = np.array_split(strip, _BITS + 1, axis=1)
    quarter = blocks[0].shape[1] // 4
    return number_of([float(np.median(block[:, quarter:-quarter])) for block in blocks])


def number_of(levels: Sequence[float]) -> int | None:
    """What blocks of these brightnesses say; None where that is no number."""
    if len(levels) != _BITS + 1 or any(60 < level < 170 for level in levels):
        return None
    bits = [level >= 170 for level in levels]
    value = sum(bit << index for index, bit in enumerate(bits[:_BITS]))
    return value if bits[_BITS] == (not value.bit_count() % 2) else None


def bar_error(image: Picture) -> float:
    """How far the worst bar's middle is from the colour that was drawn, in levels of 255."""
    height, width = image.shape[:2]
    rows = slice(height // 12 + height // 24, height // 3 - height // 24)
    worst = 0.0
    for index, rgb in enumerate(BARS):
        left, right = width * index // len(BARS), width * (index + 1) // len(BARS)
        quarter = (right - left) // 4
        found = image[rows, left + quarter : right - quarter, ::-1].mean(axis=(0, 1))
        worst = max(worst, float(np.abs(found - rgb).max()))
    return worst


def sharpness(image: Picture) -> float:
    """Energy of the finest detail in the soft pattern."""
    height, width = image.shape[:2]
    part = image[height * 5 // 12 : height * 10 // 12, width // 8 : -width // 8]
    grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY) if part.ndim == 3 else part
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def is_green(image: Picture) -> bool:
    """The colour of memory that was only zeroed."""
    blue, green, red = image.reshape(-1, 3).mean(axis=0)
    return bool(green > 80 and blue < 40 and red < 40)


def from_planes(data: bytes, width: int, height: int) -> Picture:
    """A YU12 picture (limited range, BT.601) as BGR, computed without OpenCV's rounding."""
    raw: NDArray[Any] = np.frombuffer(data, np.uint8, width * height * 3 // 2).astype(np.float32)
    luma = (raw[: width * height].reshape(height, width) - 16) * (255 / 219)
    chroma = (raw[width * height :].reshape(2, height // 2, width // 2) - 128) * (255 / 224)
    blue, red = chroma.repeat(2, axis=1).repeat(2, axis=2)
    green = luma - 0.344136 * blue - 0.714136 * red
    planes = np.stack([luma + 1.772 * blue, green, luma + 1.402 * red], axis=2)
    return np.asarray(np.clip(np.rint(planes), 0, 255), np.uint8)
