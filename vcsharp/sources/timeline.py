"""Times that rise, whatever a file's own times do."""

from __future__ import annotations

from fractions import Fraction


class Timeline:
    """Turns a file's presentation times into ones that rise strictly, also across rounds of a loop.

    All times are seconds. Not thread-safe.
    """

    def __init__(self, step: Fraction) -> None:
        self.step = step
        """Between pictures that have no usable time of their own."""
        self._offset = Fraction(0)
        self._first: Fraction | None = None
        self.last: Fraction | None = None
        """The last time given out."""

    def stamp(self, presentation: Fraction | None) -> Fraction:
        """The time for the next picture; None stands for a picture without a time."""
        earliest = Fraction(0) if self.last is None else self.last + self.step
        time = earliest if presentation is None else presentation + self._offset
        if self.last is not None and time <= self.last:
            time = earliest
        if self._first is None:
            self._first = time
        self.last = time
        return time

    def rewind(self) -> None:
        """The file begins again: its first picture follows the last one by one step."""
        if self.last is not None and self._first is not None:
            self._offset = self.last + self.step - self._first
