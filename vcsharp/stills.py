"""Still pictures: read, sharpen, write.

Only luma is sharpened. Its change is added to red, green and blue alike, which is the same as
replacing Y and holding Cb and Cr (BT.601, full range): colours stay, grey stays grey. Pictures keep
their size, bit depth, alpha and colour profile. EXIF orientation is applied and the other EXIF data
(camera, place, date) is left out.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vcsharp.errors import ImageError
from vcsharp.frame import Bytes
from vcsharp.imagefile import Header, Kind, orientation, read_header

log = logging.getLogger(__name__)

MAX_PIXELS = 200_000_000
JPEG_QUALITY = WEBP_QUALITY = 95
BAND_ROWS = 256
"""Rows whose sums are held in 32 bits at a time."""

Pixels = NDArray[Any]
"""uint8 or uint16; (height, width) grey, (height, width, 3) BGR, (height, width, 4) BGRA."""


class LumaSharpener(Protocol):
    """The part of the engine that stills need."""

    def sharpen_luma(self, luma: Bytes, strength: float) -> Bytes:
        """A sharpened copy of one plane, uint8, (height, width)."""


@dataclass(frozen=True, slots=True)
class Still:
    """A decoded picture, upright."""

    pixels: Pixels
    kind: Kind
    """Format of the file that it came from."""
    lossless: bool
    profile: bytes = b""
    """ICC colour profile, if there is one."""


def read(path: Path) -> Still:
    """Reads one picture. Raises ImageError: missing, empty, damaged, too large, of another kind."""
    try:
        if not path.is_file():
            raise ImageError("no such file" if not path.exists() else "not a file")
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error
    header = read_header(data)
    _refuse_unfit(header)
    pixels, exif, profile = _decode(data)
    if header.kind == "tiff" and _pages(path) > 1:
        log.warning("'%s': only its first page is taken", path)
    if profile and profile[16:20] != (b"GRAY" if pixels.ndim == 2 else b"RGB "):
        log.warning("'%s': converted to RGB without its colour profile; colours may differ", path)
        profile = b""
    return Still(_upright(pixels, orientation(exif)), header.kind, header.lossless, profile)


def sharpen(still: Still, sharpener: LumaSharpener, strength: float) -> Still:
    """The same picture, sharpened; with strength 0 every sample stays as it is."""
    pixels = still.pixels
    colour = pixels if pixels.ndim == 2 else pixels[..., :3]
    luma = colour if colour.ndim == 2 else cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    luma8 = _in_8_bits(luma)
    change = sharpener.sharpen_luma(luma8, strength).astype(np.int16) - luma8
    result = pixels.copy()
    _add(result if pixels.ndim == 2 else result[..., :3], change)
    return replace(still, pixels=result)


def encode(still: Still, kind: Kind) -> bytes:
    """The picture as a file; JPEG and WebP get 8 bits. Raises ImageError where it does not fit."""
    pixels = still.pixels
    if kind == "jpg" and pixels.ndim == 3 and pixels.shape[2] == 4:
        raise ImageError("JPEG cannot hold its transparency; choose --format png or webp")
    if kind in ("jpg", "webp", "bmp"):
        pixels = _in_8_bits(pixels)
    options = _options(kind, lossless=still.lossless)
    if still.profile and kind in ("jpg", "png", "webp"):
        data = _encoded(kind, pixels, options, still.profile)
        if data:
            return data
        log.warning("the colour profile could not be written; colours may differ")
    data = _encoded(kind, pixels, options)
    if not data:
        height, width = pixels.shape[:2]
        raise ImageError(f"{kind} cannot hold a picture of {width}x{height}; choose --format png")
    return data


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that is whole or not there. Raises ImageError: disk full, no permission."""
    part = path.with_name(f".vcsharp-{os.getpid()}.part")
    try:
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ImageError(f"cannot write '{path}': {error.strerror or error}") from error


def _refuse_unfit(header: Header) -> None:
    if header.animated:
        raise ImageError("is an animation; vcsharp run --source takes videos, this command stills")
    _refuse_huge(header.width, header.height)


def _refuse_huge(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        megapixels = MAX_PIXELS // 1_000_000
        raise ImageError(f"has {width}x{height} pixels; at most {megapixels} megapixels are taken")


def _decode(data: bytes) -> tuple[Pixels, bytes, bytes]:
    """The samples as stored, the EXIF block and the ICC profile."""
    try:
        with _quiet():
            pixels, kinds, blocks = cv2.imdecodeWithMetadata(
                np.frombuffer(data, np.uint8), flags=cv2.IMREAD_UNCHANGED
            )
    except (cv2.error, MemoryError) as error:
        raise ImageError(f"cannot be decoded: {str(error).splitlines()[0]}") from error
    if pixels is None:
        raise ImageError("is damaged or cut off")
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2:] not in ((), (3,), (4,)):
        layout = f"{pixels.dtype} samples in {pixels.shape[2] if pixels.ndim == 3 else 1} channels"
        raise ImageError(f"has {layout}; 8 or 16 bits, grey or colour, can be sharpened")
    _refuse_huge(pixels.shape[1], pixels.shape[0])
    found = {kind: np.asarray(block).tobytes() for kind, block in zip(kinds, blocks, strict=True)}
    exif = found.get(cv2.IMAGE_METADATA_EXIF, b"")
    return pixels, exif, found.get(cv2.IMAGE_METADATA_ICCP, b"")


def _pages(path: Path) -> int:
    with _quiet():
        return cv2.imcount(str(path))


def _upright(pixels: Pixels, turned: int) -> Pixels:
    """Undoes the EXIF orientation (1 to 8): a mirror image is flipped, then turned."""
    if turned in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    quarter_turns = {3: 2, 4: 2, 5: 3, 6: 1, 7: 1, 8: 3}.get(turned, 0)
    return np.ascontiguousarray(np.rot90(pixels, -quarter_turns))


def _in_8_bits(pixels: Pixels) -> Bytes:
    """16-bit samples rounded to 8 bits; 8-bit samples as they are."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _add(pixels: Pixels, change: NDArray[np.int16]) -> None:
    """Adds the change of luma, in 8-bit steps, to every channel in place."""
    top = int(np.iinfo(pixels.dtype).max)
    for row in range(0, len(pixels), BAND_ROWS):
        band = pixels[row : row + BAND_ROWS]
        step = change[row : row + BAND_ROWS].astype(np.int32) * (top // 255)
        band[:] = np.clip(band + (step if band.ndim == 2 else step[..., None]), 0, top)


def _options(kind: Kind, *, lossless: bool) -> list[int]:
    if kind == "jpg":
        full = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        return [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, *full]
    if kind == "webp" and lossless:
        exact = getattr(cv2, "IMWRITE_WEBP_LOSSLESS_MODE", None)  # OpenCV 5: keeps hidden colours
        return [exact, 2] if exact else [cv2.IMWRITE_WEBP_QUALITY, 101]
    return [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY] if kind == "webp" else []


def _encoded(kind: Kind, pixels: Pixels, options: list[int], profile: bytes = b"") -> bytes:
    """The file's bytes; empty if OpenCV refused."""
    kinds: list[int] = [cv2.IMAGE_METADATA_ICCP] if profile else []
    blocks: list[Any] = [np.frombuffer(profile, np.uint8)] if profile else []
    try:
        with _quiet():
            done, data = cv2.imencodeWithMetadata(f".{kind}", pixels, kinds, blocks, options)
    except cv2.error:
        return b""
    return data.tobytes() if done else b""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the chatter of libpng, libjpeg and OpenCV off stderr: people get one line of ours."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
