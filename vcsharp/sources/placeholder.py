"""The picture that stands in while there is none: a ground, and two lines that say why."""

from __future__ import annotations

import time

import cv2

from vcsharp.frame import Bytes, ColorRange, Frame, black

_NEUTRAL_CHROMA = 128
_DIM, _DIM_CHROMA = 0.3, 0.4
_GROUND_TOP, _GROUND_BOTTOM = 52, 26
"""Luma of the plain ground: a dark grey that falls off, so that nobody takes it for a dead one."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT_PX = 22
"""Of a capital letter at scale 1."""
_LINE_SHARE, _SECOND_LINE_SHARE, _WIDTH_SHARE = 0.08, 0.045, 0.8
"""Heights of the two lines as shares of the picture's height; the width that none exceeds."""


class Placeholder:
    """Made when pictures stop; counts the seconds since then, so that it is seen to be alive."""

    def __init__(
        self,
        last: Frame | None,
        size: tuple[int, int],
        title: str,
        line: str = "trying again ({seconds} s)",
    ) -> None:
        """`last` is the picture to dim; without one the ground is plain, of `size`.

        `line` is the second line, where `{seconds}` stands for the seconds since now.
        """
        self.title, self._line = title, line
        ground = dimmed(last) if last is not None else plain(*size)
        self._ground = _with_line(ground, title, 0.5, _LINE_SHARE)
        self._since_s = time.monotonic()
        self._drawn: tuple[str, Frame] | None = None

    def frame(self, sequence: int) -> Frame:
        """The placeholder of this moment, with the words in `notice`."""
        line = self._line.format(seconds=int(time.monotonic() - self._since_s))
        if self._drawn is None or self._drawn[0] != line:
            self._drawn = line, _with_line(self._ground, line, 0.62, _SECOND_LINE_SHARE)
        return self._drawn[1].replaced(
            sequence=sequence,
            captured_ns=time.monotonic_ns(),
            notice=f"{self.title}: {self._line.partition('(')[0].strip()}",
        )


def dimmed(frame: Frame) -> Frame:
    """The frame, darker and with less colour."""
    low = 16 if frame.color.range is ColorRange.LIMITED else 0
    result = frame.blank_copy()
    _move(frame.y, result.y, low, _DIM)
    _move(frame.u, result.u, _NEUTRAL_CHROMA, _DIM_CHROMA)
    _move(frame.v, result.v, _NEUTRAL_CHROMA, _DIM_CHROMA)
    return result


def plain(width: int, height: int) -> Frame:
    """A dark grey ground that shows nothing of what the camera saw."""
    frame = black(width, height)
    for row in range(height):
        frame.y[row] = _GROUND_TOP + (_GROUND_BOTTOM - _GROUND_TOP) * row // height
    return frame


def _move(plane: Bytes, target: Bytes, centre: int, share: float) -> None:
    target[:] = cv2.convertScaleAbs(plane, alpha=share, beta=(1 - share) * centre)


def _with_line(frame: Frame, words: str, bottom_share: float, height_share: float) -> Frame:
    """A copy with one centred line whose foot is at `bottom_share` of the height."""
    result = frame.replaced(data=frame.data.copy())
    white = 235 if frame.color.range is ColorRange.LIMITED else 255
    (natural_px, _), _ = cv2.getTextSize(words, _FONT, 1.0, 2)
    fitting = _WIDTH_SHARE * frame.width / max(natural_px, 1)
    scale = min(height_share * frame.height / _FONT_HEIGHT_PX, fitting)
    thickness = max(1, round(2 * scale))
    (width, _), _ = cv2.getTextSize(words, _FONT, scale, thickness)
    left = (frame.width - width) // 2, round(bottom_share * frame.height)
    cv2.putText(result.y, words, left, _FONT, scale, (white,), thickness, cv2.LINE_AA)
    return result
