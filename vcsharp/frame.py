"""The one type that crosses threads: a 4:2:0 picture with its time and its colour.

Cameras (MJPG, NV12, H.264) deliver 4:2:0 and virtual cameras take it, so a frame need never become
RGB on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcsharp.buffers import PICTURES

Bytes = NDArray[np.uint8]
"""An array of unsigned bytes; shapes are stated where it is used."""


class ColorRange(Enum):
    """Which byte values stand for black and white in luma."""

    LIMITED = "limited"
    """16..235, chroma 16..240."""
    FULL = "full"
    """0..255."""


class ColorMatrix(Enum):
    """The weights between RGB and luma/chroma (ITU-R BT.601 or BT.709)."""

    BT601 = "bt601"
    BT709 = "bt709"


@dataclass(frozen=True, slots=True)
class Color:
    """How the bytes of a frame are to be read."""

    range: ColorRange = ColorRange.LIMITED
    matrix: ColorMatrix = ColorMatrix.BT601


def chroma_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the Cb and Cr planes: half, rounded up."""
    return (width + 1) // 2, (height + 1) // 2


def frame_bytes(width: int, height: int) -> int:
    """Length in bytes of a whole YU12 picture."""
    chroma_width, chroma_height = chroma_size(width, height)
    return width * height + 2 * chroma_width * chroma_height


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture as YU12: the planes Y, Cb and Cr one after the other in one buffer.

    Thread-safety: a frame is never written to once it was handed on; whoever needs other pixels
    makes a new frame. The buffer stays valid for as long as anybody holds the frame.
    """

    data: Bytes
    """All samples, uint8, one dimension, C-contiguous, `frame_bytes(width, height)` long."""
    width: int
    """Luma samples per row; may be odd."""
    height: int
    """Luma rows; may be odd."""
    sequence: int = 0
    """Number of the frame at its source, from 0; a gap means that frames were lost before."""
    captured_ns: int = 0
    """`time.monotonic_ns()` when the source returned the frame."""
    color: Color = field(default_factory=Color)
    timestamp: Fraction | None = None
    """Presentation time in seconds as the file gives it; None for live sources."""
    notice: str = ""
    """Words that the picture shows instead of a live image; such a placeholder is not sharpened."""

    def __post_init__(self) -> None:
        expected = frame_bytes(self.width, self.height)
        if self.data.shape != (expected,) or self.data.dtype != np.uint8:
            raise ValueError(
                f"a {self.width}x{self.height} frame needs {expected} bytes, "
                f"got '{self.data.dtype}{self.data.shape}'"
            )

    @property
    def y(self) -> Bytes:
        """Luma, uint8, (height, width), a view."""
        return self.data[: self.width * self.height].reshape(self.height, self.width)

    @property
    def u(self) -> Bytes:
        """Cb, uint8, half size rounded up, a view."""
        return self._chroma(0)

    @property
    def v(self) -> Bytes:
        """Cr, uint8, half size rounded up, a view."""
        return self._chroma(1)

    @property
    def planes(self) -> tuple[Bytes, Bytes, Bytes]:
        """Views of Y, Cb and Cr."""
        return self.y, self.u, self.v

    def _chroma(self, index: int) -> Bytes:
        chroma_width, chroma_height = chroma_size(self.width, self.height)
        start = self.width * self.height + index * chroma_width * chroma_height
        return self.data[start : start + chroma_width * chroma_height].reshape(
            chroma_height, chroma_width
        )

    def blank_copy(self) -> Frame:
        """A frame with the same facts and an uninitialised buffer, for whoever fills it next."""
        return self.replaced(data=PICTURES.take(self.data.size))

    def copied(self) -> Frame:
        """A frame with the same facts and pixels, that may be written to until it is handed on."""
        result = self.blank_copy()
        np.copyto(result.data, self.data)
        return result

    def replaced(self, **changes: Any) -> Frame:
        """The same frame with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Result:
    """What the engine hands to the sinks: the picture after, and the one it was made from."""

    frame: Frame
    """Sharpened."""
    source: Frame
    """As it came from the source, in the same size."""


def black(width: int, height: int, color: Color | None = None) -> Frame:
    """A black frame."""
    spec = color or Color()
    frame = Frame(PICTURES.take(frame_bytes(width, height)), width, height, color=spec)
    frame.data.fill(128)
    frame.y[:] = 16 if spec.range is ColorRange.LIMITED else 0
    return frame


def from_planes(y: Bytes, u: Bytes, v: Bytes, **facts: Any) -> Frame:
    """Copies three planes (rows may be padded, chroma half size rounded up) into one new frame."""
    height, width = y.shape
    frame = Frame(PICTURES.take(frame_bytes(width, height)), width, height, **facts)
    for target, plane in zip(frame.planes, (y, u, v), strict=True):
        target[:] = plane
    return frame
