"""Pictures on disk as luma planes or RGB.

Luma is BT.601. Limited range (black 16, white 235) is what cameras and decoders deliver; full range
(0..255) is what JPEG files and some webcams in MJPG mode carry. RGB is always full range.
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
Picture = NDArray[np.uint8]
"""A luma plane, uint8 H x W, or a colour picture, uint8 H x W x 3."""

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


def to_bytes(levels: NDArray[np.floating[Any]]) -> Picture:
    """Rounds half to even and clips, as the runtime does."""
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)


def to_luma(bgr: Picture, value_range: Range) -> Plane:
    """BT.601 luma, uint8 H x W, of an 8-bit colour picture, uint8 H x W x 3 in BGR order."""
    luma: NDArray[np.float32] = bgr.astype(np.float32) @ _BGR_WEIGHTS
    if value_range == "limited":
        luma = luma * (219 / 255) + 16
    return to_bytes(luma)


def damage(encoded: NDArray[np.uint8]) -> str | None:
    """What is missing from a JPEG, PNG or WebP file that was cut short, else None.

    Decoders fill the rest with grey and say nothing, and a student would learn it.
    """
    data = encoded.tobytes()
    if data[:2] == b"\xff\xd8":  # an embedded thumbnail has ends of its own, before the last scan
        whole = data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        whole = b"IEND" in data[-4096:]
    elif data[:4] == b"RIFF":
        whole = len(data) >= int.from_bytes(data[4:8], "little") + 8
    else:
        whole = True
    return None if whole else "it ends too early"


def read_bgr(path: Path) -> Picture:
    """A picture file as uint8 H x W x 3 in BGR order. Raises DataError if it cannot be decoded."""
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from error
    cure = "remove or replace it"
    if fault := damage(encoded):
        raise DataError(f"cannot decode '{path}': {fault}; {cure}")
    try:
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error as error:
        raise DataError(f"cannot decode '{path}': {error.err}; {cure}") from error
    if bgr is None:
        raise DataError(f"cannot decode '{path}': not a picture, or damaged; {cure}")
    return bgr.astype(np.uint8, copy=False)


def read_luma(path: Path, value_range: Range = "limited") -> Plane:
    """The luma plane of a picture file. Raises DataError if it cannot be decoded."""
    return to_luma(read_bgr(path), value_range)


def read_rgb(path: Path) -> Picture:
    """A picture file as RGB, uint8 H x W x 3. Raises DataError if it cannot be decoded."""
    return np.ascontiguousarray(read_bgr(path)[..., ::-1])


def centre_cut(picture: Picture, height_px: int, width_px: int) -> Picture:
    """The middle of a picture, at most that large."""
    height, width = min(picture.shape[0], height_px), min(picture.shape[1], width_px)
    y, x = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return np.ascontiguousarray(picture[y : y + height, x : x + width])


def through_jpeg(picture: Picture, quality: int) -> Picture:
    """One JPEG generation of a plane, or of RGB in 4:2:0."""
    setting = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if picture.ndim == 2:
        coded = cv2.imencode(".jpg", picture, setting)[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    else:
        setting += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
        coded = cv2.imencode(".jpg", picture[..., ::-1], setting)[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)
    if decoded is None:
        raise DataError(f"cannot code a picture of shape {picture.shape} as JPEG")
    return decoded.astype(np.uint8, copy=False)
