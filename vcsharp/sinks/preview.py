"""A page in the browser that shows the live picture before and after, and the figures.

The page is one of the doors to a run and fetches its pictures there; see `vcsharp.control`. As an
output it only has it opened, and tells whether anybody looks.
"""

from __future__ import annotations

from collections.abc import Callable

from vcsharp.frame import Result
from vcsharp.sinks.base import StreamFormat


class PreviewSink:
    """Has the page served for as long as the run goes."""

    realtime = True
    paced = False
    dresses = False

    def __init__(
        self,
        port: int = 0,
        *,
        name: str = "preview",
        serve: Callable[[int], str],
        watched: Callable[[], bool],
    ) -> None:
        """`port` 0 takes a free one.

        `serve` begins to serve the page on a port and returns its address; it raises SinkError for
        a port that cannot be had. `watched` tells whether a page has asked for a picture lately.
        """
        self.name = name
        self._port, self._serve, self._watched = port, serve, watched

    @property
    def wanted(self) -> bool | None:
        """Whether a page shows the picture at this moment."""
        return self._watched()

    def open(self, stream: StreamFormat) -> str:
        """Returns the page's address. Raises SinkError for a taken port."""
        del stream  # each picture tells the page its size
        return self._serve(self._port)

    def write(self, result: Result) -> None:
        """Does nothing: a page fetches the newest picture when it is ready for one."""

    def close(self) -> None:
        """Does nothing: the page hears of the end from the run itself."""
