"""A live source that never dies: pictures while there are any, else a placeholder with the reason.

    connecting -> live -> stalled -> lost -> (back-off) -> connecting

and beside these `paused`, `idle` and `asleep`, in which the device is closed on purpose.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from vcsharp.errors import MailboxClosed, SourceError, SourceLost
from vcsharp.frame import Color, Frame
from vcsharp.sources.base import Source, SourceFormat
from vcsharp.sources.cameras import hot_plug_stamp
from vcsharp.sources.feed import Feed
from vcsharp.sources.placeholder import Placeholder
from vcsharp.sources.urls import redact, scheme_of
from vcsharp.states import SourceState
from vcsharp.telemetry import Telemetry

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0
"""Back-off between attempts; it doubles, with up to a quarter more or less by chance."""
SETTLED_S = 5.0
"""Live for so long, a source starts again with the shortest wait."""
STALL_S = 2.0
"""A picture is late after so long, or two frame times if that is longer."""
HUNG_S = 10.0
"""A stalled source is given up after so long, and opened anew."""
OPENING_S = 20.0
"""The same for one that is being opened; FFmpeg's and OpenCV's own time-outs are shorter."""
PLACEHOLDER_PERIOD_S = 0.1
QUIET_PERIOD_S = 1.0
"""Between pictures that do not change; the output repeats the last one by itself."""
POLL_S = 0.05
"""How late an order is noticed."""
CLOSE_S = 1.0
PROMPT_S = 1.0

_SETTLED = (SourceState.LIVE, SourceState.PAUSED, SourceState.IDLE, SourceState.ASLEEP)
_HELD = (SourceState.PAUSED, SourceState.IDLE, SourceState.ASLEEP)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """Where the source stands, for people and programs."""

    name: str = ""
    """What the user typed, without credentials."""
    description: str = ""
    """What was found there; empty before the first success."""
    state: SourceState = SourceState.CONNECTING
    words: str = ""
    """Why, with the cure; empty while live."""
    since_s: float = 0.0
    """`time.monotonic()` at the change to this state."""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    reconnects: int = 0
    stalls: int = 0


class LiveSource:
    """Wraps whatever `make` gives. `open`, `read` and `close` belong to one thread.

    Thread-safety: `use`, `hold`, `release` and `status` may be called from any thread.
    """

    lossless = False

    def __init__(
        self,
        make: Callable[[str], Source],
        spec: str,
        stop: threading.Event,
        *,
        telemetry: Telemetry,
        patient: bool,
        size: tuple[int, int],
        wanted: Callable[[], bool] = lambda: True,
        on_change: Callable[[SourceStatus], None] = lambda _: None,
    ) -> None:
        """`patient`: start with a placeholder where the source cannot be opened at once.

        `size` is that of placeholders before the first picture. `on_change` is told every change of
        state, on the reader's thread. `wanted` is asked often; False closes the device.
        """
        self._make, self._spec, self._stop = make, spec, stop
        self._telemetry, self._patient, self._size = telemetry, patient, size
        self._wanted, self._on_change = wanted, on_change
        self._lock, self._nudge = threading.Lock(), threading.Event()
        self._holds: set[SourceState] = set()
        self._next_spec: str | None = None
        self._status = SourceStatus(redact(spec), since_s=time.monotonic())
        self._source: Source | None = None
        self._feed: Feed | None = None
        self._last: Frame | None = None
        self._placeholder = self._new_placeholder(SourceState.CONNECTING, "")
        self._shown_s = 0.0
        self._sequence = 0
        self._frame_s = 0.0
        self._wait_s, self._attempt_s = FIRST_WAIT_S, 0.0
        self._stamp: object = None
        self._away = False
        """Lost since it was live."""
        self._first = True
        """The source that the run began with; its end is the run's."""

    @property
    def name(self) -> str:
        """What the user typed, without credentials."""
        return self._status.name

    @property
    def status(self) -> SourceStatus:
        """As it is now."""
        return self._status

    def use(self, spec: str) -> None:
        """Changes to another source with one of the next frames."""
        with self._lock:
            self._next_spec = spec
        self._nudge.set()

    def hold(self, reason: SourceState) -> None:
        """Closes the device until `release(reason)`; PAUSED or ASLEEP."""
        with self._lock:
            self._holds.add(reason)
        self._nudge.set()

    def release(self, reason: SourceState) -> None:
        """Takes a `hold` back."""
        with self._lock:
            self._holds.discard(reason)
        self._nudge.set()

    def open(self) -> SourceFormat:
        """Waits for the first source to open; a patient one does not.

        Raises:
            SourceError: it cannot be opened, and the run was not told to wait for it.
        """
        if self._patient or self._held() is not None:
            return SourceFormat(*self._size, Fraction(30), Color(), "")
        feed = self._connect()
        while feed.format is None and not self._stop.wait(POLL_S / 5):
            self._raise_if_failed(feed)
            if self._held() is not None:  # paused before there was a picture
                return SourceFormat(*self._size, Fraction(30), Color(), "")
        if feed.format is None:
            raise SourceLost("stopped while opening")
        self._opened(feed)
        return feed.format

    def read(self) -> Frame | None:
        """The next frame, or a placeholder about ten times a second; None at the end."""
        while not self._stop.is_set():
            self._obey()
            frame = self._next()
            if frame is not None:
                self._sequence += 1
                return frame.replaced(sequence=self._sequence - 1)
            if self._status.state is SourceState.ENDED and self._first and not self._patient:
                return None
        return None

    def close(self) -> None:
        """Lets the device go; one that hangs is left to its thread."""
        self._drop(CLOSE_S)

    def _held(self) -> SourceState | None:
        """The reason to keep the device closed, the weightiest first."""
        with self._lock:
            held = set(self._holds)
        reasons = [state for state in (SourceState.ASLEEP, SourceState.PAUSED) if state in held]
        return reasons[0] if reasons else (None if self._wanted() else SourceState.IDLE)

    def _obey(self) -> None:
        """Follows what other threads asked for since the last frame."""
        with self._lock:
            spec, self._next_spec = self._next_spec, None
        if spec is not None:
            self._change_to(spec)
        held = self._held()
        if held is not None and self._status.state is not held:
            self._drop()
            self._enter(held, _HELD_WORDS[held])
        elif held is None and self._status.state in _HELD:
            self._wait_s, self._attempt_s = FIRST_WAIT_S, 0.0
            self._enter(SourceState.CONNECTING)

    def _change_to(self, spec: str) -> None:
        self._drop()
        self._spec, self._source, self._last, self._first = spec, None, None, False
        self._wait_s, self._attempt_s = FIRST_WAIT_S, 0.0
        self._status = replace(self._status, name=redact(spec), description="")
        if self._status.state not in _HELD:
            self._enter(SourceState.CONNECTING)

    def _next(self) -> Frame | None:
        """A frame or a placeholder if one is due; None after a short wait without either."""
        state = self._status.state
        if state in _HELD or state is SourceState.ENDED:
            return self._waiting(QUIET_PERIOD_S)
        if self._feed is None:
            if time.monotonic() < self._attempt_s and not self._plugged():
                return self._waiting(PLACEHOLDER_PERIOD_S)
            self._connect()
        return self._from_feed()

    def _waiting(self, period_s: float) -> Frame | None:
        frame = self._stand_in(period_s)
        if frame is None:
            # Twenty looks a second while people see the placeholder, ten while nobody does.
            self._nudge.wait(POLL_S if period_s < QUIET_PERIOD_S else 2 * POLL_S)
            self._nudge.clear()
        return frame

    def _from_feed(self) -> Frame | None:
        feed = self._feed
        assert feed is not None
        try:
            frame = feed.take(POLL_S)
        except MailboxClosed as end:
            return self._after_end(end.__cause__)
        if feed.format is not None and self._status.state is SourceState.CONNECTING:
            self._opened(feed)
        if frame is not None:
            return self._live(frame)
        return self._without_frame(feed)

    def _live(self, frame: Frame) -> Frame:
        now_s = time.monotonic()
        self._frame_s = now_s
        if self._status.state is not SourceState.LIVE:
            self._enter(SourceState.LIVE)
        elif now_s - self._status.since_s > SETTLED_S:
            self._wait_s = FIRST_WAIT_S
        self._last = frame
        return frame

    def _without_frame(self, feed: Feed) -> Frame | None:
        now_s, status = time.monotonic(), self._status
        if status.state is SourceState.LIVE:
            late_s = max(STALL_S, 2 / status.fps if status.fps else 0.0)
            if now_s - self._frame_s < late_s:
                return None
            self._enter(
                SourceState.STALLED,
                f"'{self.name}' sends no picture for {late_s:.0f} s; check the camera and its cable"
                if self._kind == "camera"
                else f"'{self.name}' sends no picture for {late_s:.0f} s; check the network",
            )
        limit_s = OPENING_S if feed.format is None else HUNG_S
        if now_s - max(self._frame_s, feed.started_s) > limit_s:
            self._lose(SourceLost(f"'{self.name}' hangs; trying to open it anew"))
        return self._stand_in(PLACEHOLDER_PERIOD_S)

    def _after_end(self, cause: BaseException | None) -> Frame | None:
        """The feed has ended: by a fault of the source, of the program, or at a recording's end."""
        if cause is None:
            self._drop()
            self._enter(SourceState.ENDED, f"'{self.name}' is over; choose another source")
            return None
        if not isinstance(cause, SourceError):
            raise cause
        self._lose(cause)
        return self._stand_in(0)

    def _connect(self) -> Feed:
        """Starts to open the source on a thread of its own, and keeps it for the next time."""
        known, spec = self._source, self._spec
        self._stamp = hot_plug_stamp()
        self._feed = Feed(lambda: known or self._make(spec), self._telemetry)
        if self._status.state is not SourceState.CONNECTING:
            words = self._status.words if self._status.state is SourceState.LOST else ""
            self._enter(SourceState.CONNECTING, words)
        return self._feed

    def _opened(self, feed: Feed) -> None:
        found = feed.format
        assert found is not None
        self._source = feed.source
        name = redact(feed.source.name) if feed.source is not None else self.name
        self._size = found.width, found.height
        self._status = replace(
            self._status,
            name=name,
            description=found.description,
            width=found.width,
            height=found.height,
            fps=float(found.fps),
        )

    def _raise_if_failed(self, feed: Feed) -> None:
        try:
            feed.take(0) if feed.format is None else None
        except MailboxClosed as end:
            if end.__cause__ is not None:
                raise end.__cause__ from None

    def _lose(self, error: SourceError) -> None:
        """Lets go of the source: a camera that is held open returns under another number."""
        if not self._drop():
            self._source = None  # its thread hangs in it: the next attempt needs one of its own
        if str(error) != self._status.words:
            log.warning("%s", error)
        self._attempt_s = time.monotonic() + self._wait_s * random.uniform(0.75, 1.25)
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        self._enter(SourceState.LOST, str(error), error.title or f"{self._kind} lost")

    def _drop(self, wait_s: float = POLL_S) -> bool:
        """Dismisses the feed; True if it is gone, False if it hangs in its device."""
        feed, self._feed = self._feed, None
        return feed is None or feed.dismiss(wait_s)

    def _plugged(self) -> bool:
        """True once after a device came or went: then waiting any longer has no sense."""
        if self._kind != "camera" or hot_plug_stamp() == self._stamp:
            return False
        self._wait_s = FIRST_WAIT_S
        return True

    @property
    def _kind(self) -> str:
        return "stream" if scheme_of(self.name) else "camera"

    def _enter(self, state: SourceState, words: str = "", title: str = "") -> None:
        """Changes the state, tells it, and lays the fitting placeholder ready."""
        before = self._status
        back = state is SourceState.LIVE and self._away
        self._away = state is SourceState.LOST or (self._away and state not in _SETTLED)
        self._status = replace(
            before,
            state=state,
            words=words,
            since_s=time.monotonic(),
            reconnects=before.reconnects + back,
            stalls=before.stalls + (state is SourceState.STALLED),
        )
        self._shown_s = 0.0
        self._placeholder = self._new_placeholder(state, title)
        if back:
            log.warning("%s '%s' is back", self._kind, self.name)
        self._on_change(self._status)

    def _new_placeholder(self, state: SourceState, title: str) -> Placeholder | None:
        if state is SourceState.LIVE:
            return None
        if state is SourceState.CONNECTING and self._status.words:
            return self._placeholder  # an attempt in the course of a loss
        texts = {
            SourceState.CONNECTING: (f"starting the {self._kind}", "one moment"),
            SourceState.STALLED: (f"{self._kind} sends nothing", "waiting ({seconds} s)"),
            SourceState.LOST: (title, "trying again ({seconds} s)"),
            SourceState.PAUSED: ("paused", "the camera is off"),
            SourceState.IDLE: ("camera off", "it starts when a program looks"),
            SourceState.ASLEEP: ("asleep", "the camera is off"),
            SourceState.ENDED: ("the video is over", "choose another source"),
        }
        shows_last = state in (SourceState.STALLED, SourceState.LOST)
        return Placeholder(self._last if shows_last else None, self._size, *texts[state])

    def _stand_in(self, period_s: float) -> Frame | None:
        """The placeholder, if none was shown within the period."""
        now_s = time.monotonic()
        if self._placeholder is None or now_s - self._shown_s < period_s or self._is_prompt(now_s):
            return None
        self._shown_s = now_s
        return self._placeholder.frame(self._sequence)

    def _is_prompt(self, now_s: float) -> bool:
        """At the start of a run that has a source, a moment without any picture does no harm."""
        starting = self._status.state is SourceState.CONNECTING and self._sequence == 0
        return starting and not self._patient and now_s - self._status.since_s < PROMPT_S


_HELD_WORDS = {
    SourceState.PAUSED: "paused; go on with: vcsharp ctl resume",
    SourceState.IDLE: "no program looks at the virtual camera",
    SourceState.ASLEEP: "the machine goes to sleep",
}
