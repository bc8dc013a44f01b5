"""Still parts that stay still: a sample moves only if it moves by more than a level or two.

Whatever sharpens makes more of what noise and coding do from frame to frame. Most of that is one
level up and one level down again, which the eye takes for a shimmer, and which says nothing of the
scene. So a sample that the network would move by at most `levels` keeps its place. What is shown is
never farther than that from what the network gave for this very frame: nothing smears, nothing
lags, and a slow change comes through in small steps.
"""

from __future__ import annotations

import cv2
import numpy as np

from vcsharp.frame import Bytes

DEFAULT_LEVELS = 1
"""Calms a still scene to below what came in, at a cost of about a tenth of a decibel."""


class Steady:
    """The last shown luma of one stream. For one thread.

    Args:
        levels: the farthest that a shown sample may be from the network's, 0..8; 0 does nothing.
    """

    def __init__(self, levels: int) -> None:
        self._levels = levels
        self._shown: Bytes | None = None

    def hold(self, out: Bytes) -> None:
        """Puts back, in place, what would hardly move.

        Args:
            out: uint8, (height, width), contiguous: the network's for the stream's next frame.
        """
        if not self._levels:
            return
        shown = self._shown
        if shown is None or shown.shape != out.shape:
            self._shown = out.copy()
            return
        apart = cv2.absdiff(out, shown)
        still = cv2.compare(apart, np.array([float(self._levels)]), cv2.CMP_LE)
        cv2.copyTo(shown, still, out)
        np.copyto(shown, out)

    def forget(self) -> None:
        """What comes next has nothing to do with what was shown."""
        self._shown = None
