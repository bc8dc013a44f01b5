"""The promise behind every door: the socket, the page, the signals."""

from __future__ import annotations

from typing import Protocol

from vcsharp.control.model import Change, ModelChoice, Reloaded, SourceChoice, State
from vcsharp.frame import Result


class Runtime(Protocol):
    """A running vcsharp, as those see it who steer it.

    Thread-safety: every method may be called from any thread. None waits for a device; a change
    takes effect with one of the next frames.
    """

    def state(self) -> State:
        """Everything, as it is now."""

    def change(self, wish: Change) -> State:
        """Applies a wish as a whole, or not at all. Raises VcsharpError (one line, with a cure)."""

    def pause(self) -> State:
        """Closes the source; outputs show a picture that says so. Idempotent."""

    def resume(self) -> State:
        """Opens the source again. Idempotent."""

    def reload(self) -> Reloaded:
        """Reads the settings file and the variables again. Raises SettingsError; nothing changes
        then.
        """

    def sources(self) -> list[SourceChoice]:
        """What could be the source here; asks every device node, so it takes milliseconds."""

    def models(self) -> list[ModelChoice]:
        """The networks at hand, and `none`."""

    def newest(self, after: int, timeout_s: float) -> tuple[int, Result] | None:
        """The newest result and its number, as soon as that number is not `after`.

        None where nothing newer came in time. Asking counts as looking: it wakes an idle source.
        """

    def dressed(self, result: Result) -> Result:
        """The result as the page shows it: figures drawn, before and after composed, as wished."""
