"""Rows written one after the other into `.npy` files that open as memory maps.

Appending, where a new memory map would do, because a full disk then is an error and not a signal
that kills the process; and because nobody knows beforehand how many rows there will be.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.lib import format as npy

from vcsharp_training.errors import DataError
from vcsharp_training.images import Picture


class Store:
    """One file for every field of a row. Leaving its block by an error removes what was written."""

    def __init__(self, folder: Path, names: Sequence[str], row_shape: tuple[int, ...]) -> None:
        """Creates `NAME.npy` in `folder` for rows of uint8. Raises OSError if it cannot."""
        self.folder, self.names, self.row_shape = folder, names, row_shape
        self.rows = 0
        self._files = list[BinaryIO]()

    def __enter__(self) -> Self:
        for name in self.names:
            self._files.append((self.folder / f"{name}.npy").open("wb"))
        self._write_headers()
        return self

    def _write_headers(self) -> None:
        """NumPy pads headers, so that the number of rows can change in place."""
        described = {
            "descr": "|u1",
            "fortran_order": False,
            "shape": (self.rows, *self.row_shape),
        }
        for file in self._files:
            file.seek(0)
            npy.write_array_header_1_0(file, described)

    def add(self, row: Sequence[Picture]) -> None:
        """Appends one row: a picture for every field. Raises OSError if the disk is full."""
        for file, picture in zip(self._files, row, strict=True):
            file.write(np.ascontiguousarray(picture).tobytes())
        self.rows += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._write_headers()
            self._close()
        except OSError:
            self._remove()
            raise
        if error is not None:
            self._remove()

    def _close(self) -> None:
        while self._files:
            self._files.pop().close()

    def _remove(self) -> None:
        """Gives the space back, whatever else fails."""
        while self._files:
            with suppress(OSError):
                self._files.pop().close()
        for name in self.names:
            (self.folder / f"{name}.npy").unlink(missing_ok=True)


def check_space(folder: Path, wanted_bytes: int) -> None:
    """Raises DataError where a bank of that size will not fit, in place of one that is there."""
    there = next(place for place in (folder, *folder.parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    free += sum(path.stat().st_size for path in folder.glob("*.npy"))
    if wanted_bytes > free:
        raise DataError(
            f"no room for the crop bank in '{folder}': it takes up to {_mb(wanted_bytes)} MB and "
            f"{_mb(free)} are free; free some, give another --work, or lower crops_per_image"
        )


def failed(folder: Path, rows: int, error: OSError) -> DataError:
    """What a write that failed means for people."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = "no space is left; free some, give another --work, or lower crops_per_image"
    else:
        why = f"{error.strerror}; check that the folder can be written, or give another --work"
    return DataError(f"cannot write the crop bank in '{folder}' after {rows} crops: {why}")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f}"
