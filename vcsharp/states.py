"""Where the parts of a live run stand, in one word each."""

from __future__ import annotations

from enum import StrEnum


class SourceState(StrEnum):
    """Where a source stands."""

    CONNECTING = "connecting"
    """Being opened, or opened and yet without a picture."""
    LIVE = "live"
    """Pictures come and advance."""
    STALLED = "stalled"
    """Open, but no new picture for two frame times and at least 2 s."""
    LOST = "lost"
    """Went away or refused to open; the next attempt is put off for a while."""
    PAUSED = "paused"
    """Closed because somebody asked for it."""
    IDLE = "idle"
    """Closed because no program looks at the virtual camera."""
    ASLEEP = "asleep"
    """Closed because the machine goes to sleep."""
    ENDED = "ended"
    """A recording that is over."""


class EngineState(StrEnum):
    """Where the engine stands."""

    LOADING = "loading"
    """A network is being loaded; pictures pass unchanged, or through the one before."""
    READY = "ready"
    FALLBACK = "fallback"
    """Runs, but not where it was asked to: the GPU failed."""
    FAILED = "failed"
    """Pictures pass unchanged; another attempt follows."""
    RELEASED = "released"
    """Freed while nobody needs it."""


class SinkState(StrEnum):
    """Where an output stands."""

    OPENING = "opening"
    WRITING = "writing"
    REOPENING = "reopening"
    """The device is gone or refuses; tried again until it is back."""
