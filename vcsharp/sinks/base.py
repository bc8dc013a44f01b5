"""The promise that every sink keeps."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from vcsharp.frame import Color, Result


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What a sink will be given: every frame has this size and colour."""

    width: int
    height: int
    fps: Fraction
    color: Color


class Sink(Protocol):
    """Takes frames from one thread, which opens, writes and closes it.

    Not thread-safe unless a sink says more.
    """

    name: str
    """What the user typed: `out.mp4`, `/dev/video10`, `preview`."""
    realtime: bool
    """Somebody watches as it happens (virtual camera, preview): newest wins, late frames drop."""
    paced: bool
    """The rate must hold even without new frames (virtual camera): the last one is repeated."""
    dresses: bool
    """`--compare` may change the picture (files); never what a virtual camera shows."""

    @property
    def wanted(self) -> bool | None:
        """Whether a program looks at it; None where that cannot be told.

        What has no viewers (files, digest, null) always wants its pictures: True. Any thread may
        ask, many times a second: no answer costs a system call.
        """

    def open(self, stream: StreamFormat) -> str:
        """Opens the device or file.

        Returns a line for people (`preview at http://127.0.0.1:8321/`). Leaves nothing behind if
        it raises SinkError.
        """

    def write(self, result: Result) -> None:
        """Hands one picture over. Raises SinkError; never retries by itself."""

    def close(self) -> None:
        """Finishes and releases.

        Idempotent. Raises SinkError only where data would be lost unseen (disk full).
        """
