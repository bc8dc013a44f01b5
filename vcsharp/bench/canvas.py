"""A white sheet with words, bars and lines, drawn by OpenCV; letters are ASCII."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vcsharp.errors import SettingsError
from vcsharp.frame import Bytes

Ink = tuple[int, int, int]
"""Blue, green, red."""

DARK: Ink = (52, 42, 35)
GREY: Ink = (140, 128, 118)
FAINT: Ink = (226, 221, 216)
BLUE: Ink = (196, 122, 46)
TEAL: Ink = (150, 158, 42)
ORANGE: Ink = (62, 136, 230)
SAND: Ink = (170, 162, 150)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITAL_PX = 22
"""Height of a capital letter at scale 1."""


class Canvas:
    """Pixels that grow downwards; nothing outside is drawn."""

    def __init__(self, width: int, height: int) -> None:
        self._pixels: Bytes = np.full((height, width, 3), 255, np.uint8)

    def text(
        self,
        words: str,
        left: int,
        foot: int,
        ink: Ink = DARK,
        *,
        capital_px: int = 13,
        bold: bool = False,
        right: bool = False,
    ) -> None:
        """Words on a line whose foot is given; with `right`, they end at `left`."""
        scale, weight = capital_px / _CAPITAL_PX, 2 if bold else 1
        plain = words.encode("ascii", "replace").decode()
        if right:
            (width, _), _ = cv2.getTextSize(plain, _FONT, scale, weight)
            left -= width
        cv2.putText(self._pixels, plain, (left, foot), _FONT, scale, ink, weight, cv2.LINE_AA)

    def box(self, left: int, top: int, width: int, height: int, ink: Ink) -> None:
        """A filled box of at least one pixel."""
        self._pixels[top : top + height, left : left + max(1, width)] = ink

    def png(self) -> bytes:
        """The sheet as a PNG file."""
        _, data = cv2.imencode(".png", self._pixels)
        return data.tobytes()


def save(picture: bytes, path: Path) -> None:
    """Writes a file. Raises SettingsError where that is not possible."""
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise SettingsError(f"plot: cannot write '{path}': {error.strerror}") from error
