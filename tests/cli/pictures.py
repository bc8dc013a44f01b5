"""Pictures made for tests, and a sharpener whose work can be foretold."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]


class FakeSharpener:
    """Stands for the engine: `change` is added to luma, times the strength."""

    def __init__(self, change: Callable[[NDArray[np.uint8]], Any] = lambda luma: 10) -> None:
        self._change = change

    def sharpen_luma(self, luma: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
        assert luma.dtype == np.uint8
        assert luma.ndim == 2
        changed = luma + strength * np.asarray(self._change(luma), np.float64)
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def scene(height: int, width: int, channels: int = 3, dtype: type = np.uint8) -> Pixels:
    """Smooth colours with some noise; the same for every call."""
    random = np.random.default_rng(7)
    top = np.iinfo(dtype).max
    coarse = random.random((3, 4, channels)) if channels > 1 else random.random((3, 4))
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    picture = picture * 0.7 + 0.15 + random.normal(0, 0.01, picture.shape)
    return np.asarray(np.clip(picture, 0, 1) * top, dtype)


def file_of(kind: str, pixels: Pixels, *options: int) -> bytes:
    done, data = cv2.imencode(f".{kind}", pixels, list(options))
    assert done
    return data.tobytes()


def with_metadata(kind: str, pixels: Pixels, metadata_type: int, block: bytes) -> bytes:
    """A file that carries EXIF data or a colour profile."""
    blocks: list[Any] = [np.frombuffer(block, np.uint8)]
    done, data = cv2.imencodeWithMetadata(f".{kind}", pixels, [metadata_type], blocks)
    assert done
    return data.tobytes()


def exif(orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def icc(space: bytes = b"RGB ") -> bytes:
    """A colour profile that libpng takes: a head and one tag, which says nothing."""
    text = bytes(range(256))
    head = bytearray(128)
    head[0:4] = struct.pack(">I", 144 + len(text))
    head[8:12] = b"\x02\x10\0\0"
    head[12:24] = b"mntr" + space + b"XYZ "
    head[36:40] = b"acsp"
    head[68:80] = struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return bytes(head) + struct.pack(">I4sII", 1, b"desc", 144, len(text)) + text


def cmyk_jpeg(cyan: int, magenta: int, yellow: int, black: int) -> bytes:
    """One 8x8 block of one colour, as Adobe writes it: 255 is no ink. Baseline, DC only."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    inks = (cyan, magenta, yellow, black)
    components = b"".join(bytes([n, 0x11, 0]) for n in range(1, 5))
    scan = b"".join(bytes([n, 0]) for n in range(1, 5))
    dc_lengths = bytes([0, 0, 0, 12] + [0] * 12)  # sizes 0..11 have the 4-bit codes 0..11
    ac_lengths = bytes([1] + [0] * 15)  # "end of block" is the one bit 0
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0)),
            segment(0xDB, b"\0" + bytes([8] * 64)),
            segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 4) + components),
            segment(0xC4, b"\0" + dc_lengths + bytes(range(12))),
            segment(0xC4, b"\x10" + ac_lengths + b"\0"),
            segment(0xDA, bytes([4]) + scan + b"\0\x3f\0"),
            _entropy_coded(ink - 128 for ink in inks),
            b"\xff\xd9",
        ]
    )


def _entropy_coded(levels: Any) -> bytes:
    bits = ""
    for level in levels:
        size = abs(level).bit_length()
        value = level if level > 0 else level + (1 << size) - 1
        bits += f"{size:04b}" + (f"{value:0{size}b}" if size else "") + "0"
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return data.replace(b"\xff", b"\xff\0")
