"""What the first bytes of a picture tell: its format and size, without decoding it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from vcsharp.errors import ImageError

Kind = Literal["png", "jpg", "webp", "bmp", "tiff"]

SUFFIXES: dict[str, Kind] = {
    ".png": "png",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".webp": "webp",
    ".bmp": "bmp",
    ".tif": "tiff",
    ".tiff": "tiff",
}
"""Endings by which the pictures of a folder are known."""

_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112
_LONG = 4
"""The type of a 32-bit number in a TIFF; others are taken for 16 bits."""


@dataclass(frozen=True, slots=True)
class Header:
    """The facts at the head of a picture."""

    kind: Kind
    width: int = 0
    """Pixels as stored, before EXIF orientation; 0 if only decoding can tell (BigTIFF)."""
    height: int = 0
    lossless: bool = True
    animated: bool = False


def read_header(data: bytes) -> Header:
    """The header of a picture file. Raises ImageError, a reason without the file's name."""
    if not data:
        raise ImageError("the file is empty")
    try:
        header = _dispatch(data)
    except (struct.error, IndexError) as error:
        raise ImageError("the file is cut off") from error
    if header is None:
        raise ImageError("not a PNG, JPEG, WebP, BMP or TIFF picture")
    return header


def orientation(exif: bytes) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) if there is none that can be read."""
    with suppress(struct.error):
        for tag, value in _first_directory(exif):
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    return 1


def _first_directory(data: bytes) -> Iterator[tuple[int, int]]:
    """Tags and whole numbers of a TIFF's first page, and of EXIF data, which is written alike.

    Nothing for BigTIFF. Raises struct.error where it breaks off.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return
    (offset,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    for at in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, at)
        (value,) = struct.unpack_from(f"{order}{'I' if kind == _LONG else 'H'}", data, at + 8)
        yield tag, value


def _dispatch(data: bytes) -> Header | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack_from(">II", data, 16)
        return Header("png", width, height, animated=b"acTL" in data[: data.find(b"IDAT")])
    if data.startswith(b"\xff\xd8\xff"):
        return Header("jpg", *_jpeg_size(data), lossless=False)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"BM"):
        width, height = struct.unpack_from("<ii", data, 18)
        return Header("bmp", width, abs(height))
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        tags = dict(_first_directory(data))
        return Header("tiff", tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0))
    return None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walks the segments up to the frame header (SOF)."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ImageError("the JPEG's segments are damaged")
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        alone = marker == 0xFF  # a fill byte
        at += 1 if alone else 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _webp(data: bytes) -> Header:
    form = data[12:16]
    if form == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if form == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        return Header("webp", width, height, _webp_lossless(data), bool(data[20] & 0x02))
    width, height = struct.unpack_from("<HH", data, 26)
    return Header("webp", width & 0x3FFF, height & 0x3FFF, lossless=False)


def _webp_lossless(data: bytes) -> bool:
    """Walks the chunks of an extended file up to the picture."""
    at = 12
    while data[at : at + 4] not in (b"VP8L", b"VP8 ", b"ANMF", b""):
        (length,) = struct.unpack_from("<I", data, at + 4)
        at += 8 + length + length % 2
    return data[at : at + 4] == b"VP8L"
