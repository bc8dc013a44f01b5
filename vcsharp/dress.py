"""A sink's picture changed on its way: before and after compared, figures drawn on it."""

from __future__ import annotations

from collections.abc import Callable

from vcsharp.errors import SettingsError
from vcsharp.frame import Frame, Result
from vcsharp.overlay import side_by_side, split
from vcsharp.sinks.base import Sink, StreamFormat

Dresser = Callable[[Result], Frame]


def dresser(compare: str, line: Callable[[Frame], Frame] | None) -> Dresser | None:
    """What `--compare` and `--overlay` ask for; None if that is nothing.

    Args:
        compare: `off`, `split` or `side`.
        line: draws the figures into a frame.
    """
    composers: dict[str, Dresser | None] = {"off": None, "split": split, "side": side_by_side}
    if compare not in composers:
        raise SettingsError(f"compare: '{compare}' is none of {', '.join(composers)}")
    compose = composers[compare]
    if compose is None and line is None:
        return None

    def dress(result: Result) -> Frame:
        frame = compose(result) if compose else result.frame
        return line(frame) if line else frame

    return dress


class Dressed:
    """A sink that is given dressed pictures. Keeps the promises of the sink inside."""

    dresses = True

    def __init__(self, sink: Sink, dress: Dresser) -> None:
        self._sink, self._dress = sink, dress
        self.name, self.realtime, self.paced = sink.name, sink.realtime, sink.paced

    def open(self, stream: StreamFormat) -> str:
        """See `Sink.open`."""
        return self._sink.open(stream)

    def write(self, result: Result) -> None:
        """See `Sink.write`."""
        picture = self._dress(result)
        # On both sides of the preview page's own slider.
        self._sink.write(Result(picture, picture))

    def close(self) -> None:
        """See `Sink.close`."""
        self._sink.close()
