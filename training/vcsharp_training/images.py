"""Pictures on disk as luma planes.

Luma is BT.601. Limited range (black 16, white 235) is what cameras and decoders deliver; full range
(0..255) is what JPEG files and some webcams in MJPG mode carry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vcsharp_training.errors import DataError

Plane = NDArray[np.uint8]
"""One luma plane: uint8, H x W."""

Range = Literal["limited", "full"]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

_BGR_WEIGHTS = np.array([0.114, 0.587, 0.299], np.float32)
"""BT.601 weights in OpenCV's channel order."""


def find_images(folder: Path) -> list[Path]:
    """All pictures below `folder`, sorted by path. Raises DataError if there is none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        why = "it holds no pictures" if folder.is_dir() else "it is not a folder"
        raise DataError(f"no pictures in '{folder}': {why}; give a folder of JPEG or PNG files")
    return found


def category(path: Path, root: Path) -> str:
    """What a picture shows, by its first folder below `root`, else by its name up to the first
    underscore.
    """
    parts = path.relative_to(root).parts
    return parts[0] if len(parts) > 1 and "_" not in parts[0] else path.name.split("_")[0]


def to_bytes(levels: NDArray[np.floating[Any]]) -> Plane:
    """Rounds half to even and clips, as the runtime does."""
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)


def to_luma(bgr: Plane, value_range: Range) -> Plane:
    """BT.601 luma, uint8 H x W, of an 8-bit colour picture, uint8 H x W x 3 in BGR order."""
    luma: NDArray[np.float32] = bgr.astype(np.float32) @ _BGR_WEIGHTS
    if value_range == "limited":
        luma = luma * (219 / 255) + 16
    return to_bytes(luma)


def read_luma(path: Path, value_range: Range = "limited") -> Plane:
    """The luma plane of a picture file. Raises DataError if it cannot be decoded."""
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from error
    bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if bgr is None:
        raise DataError(f"cannot decode '{path}': not a picture, or damaged; remove or replace it")
    return to_luma(bgr.astype(np.uint8, copy=False), value_range)
