"""The picture that says something instead of showing something: a plain ground and two lines."""

from __future__ import annotations

import cv2

from vcsharp.frame import Color, ColorRange, Frame, black

_GROUND_TOP, _GROUND_BOTTOM = 52, 26
"""Luma of the plain ground: a dark grey that falls off, so that nobody takes it for a dead one."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITAL_PX = 22
"""Height of a capital letter at scale 1."""
_TITLE = (0.5, 0.08)
_LINE = (0.62, 0.045)
"""Foot and height of the two lines, as shares of the picture's height."""
_WIDEST = 0.8
"""Share of the picture's width that no line exceeds."""


def plain(width: int, height: int, color: Color | None = None) -> Frame:
    """A dark grey ground that shows nothing of what a camera saw."""
    frame = black(width, height, color)
    for row in range(height):
        frame.y[row] = _GROUND_TOP + (_GROUND_BOTTOM - _GROUND_TOP) * row // height
    return frame


def with_title(ground: Frame, words: str) -> Frame:
    """A copy with the title in the middle."""
    return _lettered(ground, words, *_TITLE)


def with_line(titled: Frame, words: str) -> Frame:
    """A copy with the smaller line below the title."""
    return _lettered(titled, words, *_LINE)


def _lettered(frame: Frame, words: str, foot_share: float, height_share: float) -> Frame:
    """A copy with one centred line, smaller where it would be too wide."""
    result = frame.replaced(data=frame.data.copy())
    white = 235 if frame.color.range is ColorRange.LIMITED else 255
    (natural_px, _), _ = cv2.getTextSize(words, _FONT, 1.0, 2)
    fitting = _WIDEST * frame.width / max(natural_px, 1)
    scale = min(height_share * frame.height / _CAPITAL_PX, fitting)
    thickness = max(1, round(2 * scale))
    (width_px, _), _ = cv2.getTextSize(words, _FONT, scale, thickness)
    origin = (frame.width - width_px) // 2, round(foot_share * frame.height)
    cv2.putText(result.y, words, origin, _FONT, scale, (white,), thickness, cv2.LINE_AA)
    return result
