"""A video node as the checks see it: its names, its directions, its picture sizes and rates."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

LOOPBACK_DRIVER = "v4l2 loopback"


@dataclass(frozen=True, slots=True)
class Mode:
    """A size in a pixel format, and the highest rate that the camera offers for it."""

    pixel_format: str
    width: int
    height: int
    fps: float


@dataclass(frozen=True, slots=True)
class VideoNode:
    """A /dev/videoN."""

    name: str
    """`video0`"""
    card: str = ""
    driver: str = ""
    captures: bool = False
    outputs: bool = False
    modes: tuple[Mode, ...] = ()
    busy: bool = False
    """Another program takes pictures from it. Never asked of a loopback device."""
    keep_format: bool | None = None
    """Of a loopback device: whether it stays a camera, in its format, when its writer has gone."""
    error: int = 0
    """errno, where it could not be opened."""

    @property
    def path(self) -> str:
        """`/dev/video0`"""
        return f"/dev/{self.name}"


def probe(path: Path) -> VideoNode:
    """Asks a node; what cannot be opened is told in `error`. Changes nothing."""
    from vcsharp.doctor.v4l2 import described  # Linux only

    try:
        return described(path)
    except OSError as error:
        return VideoNode(path.name, error=error.errno or errno.EIO, busy=error.errno == errno.EBUSY)
