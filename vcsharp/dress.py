"""Pictures changed on their way to an output: before and after compared, figures drawn on them."""

from __future__ import annotations

from collections.abc import Callable

from vcsharp.errors import SettingsError
from vcsharp.frame import Frame, Result
from vcsharp.overlay import side_by_side, split
from vcsharp.sinks.base import Sink, StreamFormat

_COMPOSERS: dict[str, Callable[[Result], Frame] | None] = {
    "off": None,
    "split": split,
    "side": side_by_side,
}


class Look:
    """What people want to see on top of the pictures.

    Thread-safety: `compare` and `overlay` may be set by any thread between frames.
    """

    def __init__(self, compare: str, overlay: str, line: Callable[[Frame], Frame]) -> None:
        """`compare` is `off`, `split` or `side`; `overlay` `off`, `preview` or `all`.

        `line` draws the figures into a copy of a frame.
        """
        if compare not in _COMPOSERS:
            raise SettingsError(f"compare: '{compare}' is none of {', '.join(_COMPOSERS)}")
        self.compare, self.overlay, self._line = compare, overlay, line

    def for_output(self, result: Result, *, compares: bool) -> Frame:
        """What others see; `compares` is False for a virtual camera."""
        frame = self._composed(result) if compares else result.frame
        return self._line(frame) if self.overlay == "all" else frame

    def for_page(self, result: Result) -> Result:
        """What the page shows. Composed, the picture is on both sides of the page's own slider."""
        frame = self._composed(result)
        drawn = self._line(frame) if self.overlay != "off" else frame
        return Result(drawn, result.source if frame is result.frame else drawn)

    def _composed(self, result: Result) -> Frame:
        compose = _COMPOSERS[self.compare]
        return compose(result) if compose else result.frame


class Dressed:
    """A sink that is given dressed pictures. Keeps the promises of the sink inside."""

    def __init__(self, sink: Sink, look: Look) -> None:
        self.inner, self._look = sink, look
        self.name, self.realtime, self.paced = sink.name, sink.realtime, sink.paced
        self.dresses = sink.dresses
        self.description = ""
        """What `open` told; empty before."""

    @property
    def wanted(self) -> bool | None:
        """See `Sink.wanted`."""
        return self.inner.wanted

    def open(self, stream: StreamFormat) -> str:
        """See `Sink.open`."""
        self.description = self.inner.open(stream)
        return self.description

    def write(self, result: Result) -> None:
        """See `Sink.write`."""
        picture = self._look.for_output(result, compares=self.dresses)
        self.inner.write(result if picture is result.frame else Result(picture, picture))

    def close(self) -> None:
        """See `Sink.close`."""
        self.inner.close()
