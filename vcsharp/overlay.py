"""What may be drawn into a picture: the line of figures, and the comparison of before and after."""

from __future__ import annotations

import cv2
import numpy as np

from vcsharp.fit import scaled
from vcsharp.frame import Bytes, ColorRange, Frame, Result, black

FONT = cv2.FONT_HERSHEY_SIMPLEX


def with_line(frame: Frame, text: str) -> Frame:
    """A copy with one line of light text on a dark strip at the top right.

    On that side a page or file that compares shows the sharpened half.
    """
    result = frame.copied()
    scale = max(0.4, frame.height / 1080)
    thickness = max(1, round(2 * scale))
    (text_width, text_height), _ = cv2.getTextSize(text, FONT, scale, thickness)
    margin = int(12 * scale)
    bottom = min(frame.height, text_height + 2 * margin)
    left = max(0, frame.width - text_width - 2 * margin)
    _darken(result, bottom, left)
    origin = (left + margin, text_height + margin)
    cv2.putText(result.y, text, origin, FONT, scale, _white(frame), thickness, cv2.LINE_AA)
    return result


def _darken(frame: Frame, bottom: int, left: int) -> None:
    strip = frame.y[:bottom, left:]
    strip[:] = _black(frame) + (strip - np.minimum(strip, _black(frame))) // 4
    for plane in (frame.u, frame.v):
        patch = plane[: bottom // 2, left // 2 :]
        patch[:] = 96 + patch // 4  # three quarters of the way to neutral


def split(result: Result) -> Frame:
    """Before in the left half, after in the right, a white line between."""
    frame = result.frame.copied()
    for target, before in zip(frame.planes, result.source.planes, strict=True):
        half = target.shape[1] // 2
        target[:, :half] = before[:, :half]
    middle = frame.width // 2
    line = max(1, frame.width // 960)
    frame.y[:, middle - line : middle + line] = _white(frame)
    return frame


def side_by_side(result: Result) -> Frame:
    """Before and after next to each other at half size, on black."""
    frame = black(result.frame.width, result.frame.height, result.frame.color)
    for target, before, after in zip(
        frame.planes, result.source.planes, result.frame.planes, strict=True
    ):
        _place_halves(target, before, after)
    return result.frame.replaced(data=frame.data)


def _place_halves(target: Bytes, before: Bytes, after: Bytes) -> None:
    height, width = target.shape
    half_width, half_height = width // 2, height // 2
    top = (height - half_height) // 2
    for left, plane in ((0, before), (half_width, after)):
        small = scaled(plane, half_width, half_height)
        target[top : top + half_height, left : left + half_width] = small


def _white(frame: Frame) -> int:
    return 235 if frame.color.range is ColorRange.LIMITED else 255


def _black(frame: Frame) -> int:
    return 16 if frame.color.range is ColorRange.LIMITED else 0
