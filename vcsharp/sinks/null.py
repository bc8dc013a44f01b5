"""A sink that keeps nothing: for measuring, and for running a source without an output."""

from __future__ import annotations

from vcsharp.frame import Result
from vcsharp.sinks.base import StreamFormat


class NullSink:
    """Takes every frame and forgets it."""

    realtime = False
    paced = False
    dresses = False

    def __init__(self, name: str = "null") -> None:
        self.name = name

    @property
    def wanted(self) -> bool | None:
        """See `Sink.wanted`: it has no viewers that could go away."""
        return True

    def open(self, stream: StreamFormat) -> str:
        """Nothing to open."""
        return f"nowhere ({stream.width}x{stream.height})"

    def write(self, result: Result) -> None:
        """Forgets the frame."""

    def close(self) -> None:
        """Nothing to close."""
