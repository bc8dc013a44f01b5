"""Whether two pictures lie on each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BORDER_PX = 8


def best_shift(moved: NDArray[np.uint8], still: NDArray[np.uint8]) -> tuple[int, int]:
    """Of all moves by up to one pixel (down, right), the one after which they differ least."""
    inner = np.s_[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    errors = [
        np.abs(np.roll(moved, shift, (0, 1))[inner] - still[inner].astype(float)).mean()
        for shift in shifts
    ]
    return shifts[int(np.argmin(errors))]
