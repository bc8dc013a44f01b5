"""A drawn colour picture to try a teacher on: a soft ramp, round shapes, thin lines and letters."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 128


def sharp() -> NDArray[np.uint8]:
    """RGB, uint8 128 x 128 x 3; always the same."""
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    ramp = np.stack([60 + x, 90 + y // 2, 200 - (x + y) // 2], axis=-1)
    picture = ramp.clip(0, 255).astype(np.uint8)
    cv2.circle(picture, (40, 44), 26, (230, 190, 160), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (92, 40), (22, 12), 30, 0, 360, (40, 60, 120), 2, cv2.LINE_AA)
    for offset in range(0, 40, 6):
        cv2.line(picture, (70 + offset, 64), (78 + offset, 90), (20, 30, 20), 1, cv2.LINE_AA)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(picture, "vcsharp", (6, 90), font, 0.5, (250, 250, 240), 1, cv2.LINE_AA)
    cv2.putText(picture, "half the size", (6, 114), font, 0.45, (10, 10, 30), 1, cv2.LINE_AA)
    return picture


def halved(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Down to half the size and back, as a scaled call does."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return large.astype(np.uint8, copy=False)
