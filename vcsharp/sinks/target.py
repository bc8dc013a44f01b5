"""A file about to be written: what speaks against it is found before anything there is lost."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NoReturn

from vcsharp.errors import SinkError

_CURES = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file reached the largest size allowed here; choose another file system",
    errno.EACCES: "no permission to write there; choose a folder of your own",
    errno.EPERM: "no permission to write there; choose a folder of your own",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EISDIR: "that is a folder; name a file in it",
    errno.ENOTDIR: "a part of the path is not a folder; check its spelling",
    errno.EEXIST: "it exists already; add --force to replace it",
}


class TargetFile:
    """A binary file for one writer. Not thread-safe.

    An existing file is emptied by the first `write`, not by opening: a run that never gets a
    picture harms nothing. The methods are what PyAV wants of a file object.
    """

    def __init__(self, path: Path, *, force: bool, forbidden: Path | None) -> None:
        """Opens `path`. Raises SinkError where it cannot or must not be written.

        `force` allows replacing an existing file; `forbidden` is the file being read, which is
        never replaced.
        """
        self.path = path
        self._descriptor = -1
        _refuse_the_source(path, forbidden)
        self._existed = path.exists()
        self._emptied = False
        self._descriptor = self._opened(force=force)
        self._regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self.failure: SinkError | None = None
        """The first write that failed: PyAV may report it late, in other words, or not at all."""

    def write(self, data: bytes) -> int:
        """Writes all of `data`. Raises SinkError, naming the reason, where the disk takes less."""
        if not self._emptied:
            self._truncate()
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self.failure = self.failure or _sink_error("write", self.path, error)
            raise self.failure from error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to `offset` bytes; returns the new position."""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self.seek(0, os.SEEK_CUR)

    def seekable(self) -> bool:
        """False for pipes and other files that are not on a disk."""
        return self._regular

    def close(self) -> None:
        """Releases the file; one made here and never written goes away again. Idempotent."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        if not self._existed and not self._emptied:
            self.path.unlink(missing_ok=True)

    def _opened(self, *, force: bool) -> int:
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            return os.open(self.path, flags | (0 if force else os.O_EXCL), 0o666)
        except FileNotFoundError as error:
            raise SinkError(
                f"cannot write '{self.path}': there is no folder '{self.path.parent}'; "
                "create it first"
            ) from error
        except OSError as error:
            _raise("write", self.path, error)

    def _truncate(self) -> None:
        self._emptied = True
        if self._regular:
            os.ftruncate(self._descriptor, 0)


def _refuse_the_source(path: Path, forbidden: Path | None) -> None:
    if forbidden is None or not path.exists() or not forbidden.exists():
        return
    if path.samefile(forbidden):
        raise SinkError(f"'{path}' is the file being read; name another output")


def _raise(verb: str, path: Path, error: OSError) -> NoReturn:
    raise _sink_error(verb, path, error) from error


def _sink_error(verb: str, path: Path, error: OSError) -> SinkError:
    reason = _CURES.get(error.errno or 0, error.strerror or str(error))
    return SinkError(f"cannot {verb} '{path}': {reason}")
