"""A hash per frame, for tests: what came out, in a few bytes."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from vcsharp.frame import Frame, Result
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.target import TargetFile


def digest(frame: Frame) -> str:
    """16 hexadecimal digits over the size and all samples of Y, Cb and Cr; times do not count."""
    hasher = hashlib.blake2b(f"{frame.width}x{frame.height}".encode(), digest_size=8)
    hasher.update(frame.data.data)
    return hasher.hexdigest()


class DigestSink:
    """Writes a line `sequence hash` per frame to a file, or to the standard output."""

    realtime = False
    paced = False
    dresses = False

    def __init__(
        self,
        path: Path | None = None,
        *,
        name: str = "digest",
        force: bool = False,
        forbidden: Path | None = None,
    ) -> None:
        """`path` None stands for the standard output; `force`, `forbidden`: as for TargetFile."""
        self.name = name
        self._path, self._force, self._forbidden = path, force, forbidden
        self._file: TargetFile | None = None

    @property
    def wanted(self) -> bool | None:
        """See `Sink.wanted`: a file wants every picture."""
        return True

    def open(self, stream: StreamFormat) -> str:
        """Creates the file. Raises SinkError where it cannot be written."""
        if self._path is None:
            return f"digests of {stream.width}x{stream.height} frames on the standard output"
        self._file = TargetFile(self._path, force=self._force, forbidden=self._forbidden)
        return f"digests of {stream.width}x{stream.height} frames in {self._path}"

    def write(self, result: Result) -> None:
        """One line. Raises SinkError on a full disk."""
        line = f"{result.frame.sequence} {digest(result.frame)}\n"
        if self._file is None:
            sys.stdout.write(line)
            sys.stdout.flush()
        else:
            self._file.write(line.encode())

    def close(self) -> None:
        """Closes the file. Idempotent."""
        if self._file is not None:
            self._file.close()
