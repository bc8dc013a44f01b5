"""The promise that every source keeps."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from vcsharp.frame import Color, Frame


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """What a source delivers, as far as it is known before the first frame."""

    width: int
    height: int
    fps: Fraction
    """Nominal frame rate; the real one may vary."""
    color: Color
    description: str
    """For people, without credentials: `USB camera "C920" MJPG`."""
    frames: int | None = None
    """How many frames there are, where a file says so: for the progress bar."""


class Source(Protocol):
    """Delivers frames to one thread, which opens, reads and closes it. Not thread-safe."""

    @property
    def name(self) -> str:
        """What the user typed, with credentials replaced by `***`."""

    lossless: bool
    """Every frame can be had in its own time (files, the demo); not so cameras and streams."""

    def open(self) -> SourceFormat:
        """Opens the device, or opens it again after `close`. Nothing stays open on SourceError."""

    def read(self) -> Frame | None:
        """The next frame, of any size (it may change mid-run), or None at the end.

        Returns or raises within the source's read time-out (2 s for cameras, 5 s for streams).
        Raises SourceLost when a live source stopped delivering (open may help), SourceError when
        nothing more can be had.
        """

    def close(self) -> None:
        """Releases the device. Idempotent; never raises."""
