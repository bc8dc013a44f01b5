"""The picture that stands in while there is none, with the reason, and seen to be alive."""

from __future__ import annotations

import time

import cv2

from vcsharp import slate
from vcsharp.frame import Bytes, ColorRange, Frame

_NEUTRAL_CHROMA = 128
_DIM, _DIM_CHROMA = 0.3, 0.4


class Placeholder:
    """Made when pictures stop; counts the seconds since then."""

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
        ground = dimmed(last) if last is not None else slate.plain(*size)
        self._titled = slate.with_title(ground, title)
        self._since_s = time.monotonic()
        self._drawn: tuple[str, Frame] | None = None

    def frame(self, sequence: int) -> Frame:
        """The placeholder of this moment, with the words in `notice`."""
        line = self._line.format(seconds=int(time.monotonic() - self._since_s))
        if self._drawn is None or self._drawn[0] != line:
            self._drawn = line, slate.with_line(self._titled, line)
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


def _move(plane: Bytes, target: Bytes, centre: int, share: float) -> None:
    target[:] = cv2.convertScaleAbs(plane, alpha=share, beta=(1 - share) * centre)
