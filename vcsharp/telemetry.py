"""Counters and timings of a run: every stage writes, the console and the preview read."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import psutil

import vcsharp
from vcsharp.mailbox import Channel

WINDOW_FRAMES = 600
"""Timings kept for the percentiles: 20 s at 30 fps."""
RATE_WINDOW_S = 2.0
"""Time over which the live frame rates are measured."""

TILE_WINDOW_FRAMES = 60
TILE_FATES = ("computed", "kept", "passed")
STAGES = ("capture", "engine", "sink")
BOUNDS_S = (0.001, 0.002, 0.004, 0.008, 0.016, 0.033, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the histograms' buckets: 16 and 33 ms are a frame at 60 and 30 fps."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """A snapshot; the keys of the statistics file."""

    frames_in: int
    frames_out: int
    frames_dropped: int
    frames_repeated: int
    seconds: float
    fps: float
    latency_ms: dict[str, float]
    """p50, p95, p99 from the capture's return to the end of the sink's write."""
    stage_ms: dict[str, float]
    """Median time spent in capture, engine and sink."""
    cpu_percent: float
    """Of one core, over the whole run."""
    rss_mib: float
    model: str
    expert: str
    """Of the model's experts, the one at work at the end; empty for the general student."""
    device: str
    backend: str
    size: str
    tile: str
    tiles: dict[str, int]
    """Tiles `computed`, `kept` (unchanged, so their last result was taken) and `passed` on as they
    came, because there was no time."""
    kept_percent: float
    """Of the last 60 frames' tiles: how many were kept."""
    steps: dict[str, int]
    """How often the governor went `down` to less sharpening, and `up` again."""
    version: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How long something took since the start of the program."""

    counts: tuple[int, ...]
    """Timings of at most each of `BOUNDS_S`, and at the end all of them: each holds those before
    it."""
    sum_s: float


class RateMeter:
    """Events per second over the last two seconds. Not thread-safe: the owner holds the lock."""

    def __init__(self) -> None:
        self._stamps_s: deque[float] = deque()

    def tick(self, now_s: float) -> None:
        """Records one event."""
        self._stamps_s.append(now_s)
        self._forget(now_s)

    def rate(self, now_s: float) -> float:
        """Events per second; n stamps span n - 1 intervals."""
        self._forget(now_s)
        if len(self._stamps_s) < 2:
            return 0.0
        span_s = self._stamps_s[-1] - self._stamps_s[0]
        return (len(self._stamps_s) - 1) / span_s if span_s > 0 else 0.0

    def _forget(self, now_s: float) -> None:
        while self._stamps_s and now_s - self._stamps_s[0] > RATE_WINDOW_S:
            self._stamps_s.popleft()


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What hardly changes during a run, for the panel, the page and the statistics."""

    source: str = ""
    sinks: tuple[str, ...] = ()
    model: str = "none"
    expert: str = ""
    """Of the model's experts; empty for the general student."""
    device: str = "none"
    backend: str = "none"
    size: str = ""
    tile: str = "none"

    @property
    def title(self) -> str:
        """Model and expert in one word: `nano`, `nano/call`."""
        return f"{self.model}/{self.expert}" if self.expert else self.model


class _Timings:
    """The last timings for percentiles, all of them in buckets. The owner holds the lock."""

    def __init__(self) -> None:
        self.last_ms: deque[float] = deque(maxlen=WINDOW_FRAMES)
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        self.last_ms.append(seconds * 1e3)
        self._buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self._sum_s += seconds

    def percentile_ms(self, q: int) -> float:
        return round(float(np.percentile(self.last_ms, q)), 3) if self.last_ms else 0.0

    def histogram(self) -> Histogram:
        return Histogram(tuple(accumulate(self._buckets)), self._sum_s)


class _Tiles:
    """What became of the tiles, in all and in the last frames. The owner holds the lock."""

    def __init__(self) -> None:
        self.total = dict.fromkeys(TILE_FATES, 0)
        self._last: deque[tuple[int, int]] = deque(maxlen=TILE_WINDOW_FRAMES)

    def add(self, *counts: int) -> None:
        for fate, count in zip(TILE_FATES, counts, strict=True):
            self.total[fate] += count
        self._last.append((counts[TILE_FATES.index("kept")], sum(counts)))

    def kept_percent(self) -> float:
        kept = sum(kept for kept, _ in self._last)
        return round(100 * kept / max(1, sum(count for _, count in self._last)), 1)


@dataclass(slots=True)
class _Counters:
    frames_in: int = 0
    frames_out: int = 0
    frames_repeated: int = 0
    tiles: _Tiles = field(default_factory=_Tiles)
    steps: dict[str, int] = field(default_factory=lambda: {"down": 0, "up": 0})
    timings: dict[str, _Timings] = field(
        default_factory=lambda: {name: _Timings() for name in (*STAGES, "latency")}
    )


class Telemetry:
    """The run's figures. Every method may be called from any thread."""

    def __init__(self, facts: RunFacts | None = None) -> None:
        self.facts = facts or RunFacts()
        self._lock = threading.Lock()
        self._counters = _Counters()
        self._rate_in, self._rate_out = RateMeter(), RateMeter()
        self._status, self._step = "starting", ""
        self._inboxes: list[Channel[Any]] = []
        self._outboxes: list[Channel[Any]] = []
        self._process = psutil.Process()
        self._started_s = time.monotonic()
        self._cpu_at_start_s = self._cpu_s()

    def begin(self, status: str) -> None:
        """Everything is open, the first frame is about to come: rates count from here."""
        self._started_s = time.monotonic()
        self._cpu_at_start_s = self._cpu_s()
        self._status = status

    def frame_in(self) -> None:
        """A source delivered a frame."""
        with self._lock:
            self._counters.frames_in += 1
            self._rate_in.tick(time.monotonic())

    def frame_out(self, captured_ns: int, *, new: bool = True) -> None:
        """The first sink took a frame that was captured at `captured_ns`; repeats do not count."""
        if not new:
            return
        now_ns = time.monotonic_ns()
        with self._lock:
            self._counters.frames_out += 1
            self._rate_out.tick(now_ns / 1e9)
            self._counters.timings["latency"].add((now_ns - captured_ns) / 1e9)

    def frame_repeated(self) -> None:
        """A paced sink sent the last frame again."""
        with self._lock:
            self._counters.frames_repeated += 1

    def tiles(self, computed: int, kept: int, passed: int) -> None:
        """What became of one frame's tiles; see `Statistics.tiles`."""
        with self._lock:
            self._counters.tiles.add(computed, kept, passed)

    def stepped(self, *, up: bool, words: str) -> None:
        """The governor changed how much is sharpened; `words` say what is left out, if anything."""
        with self._lock:
            self._counters.steps["up" if up else "down"] += 1
            self._step = words

    @property
    def step(self) -> str:
        """What the governor leaves out now, in words; empty where that is nothing."""
        return self._step

    def count_drops_of(
        self, inboxes: Sequence[Channel[Any]], outboxes: Sequence[Channel[Any]]
    ) -> None:
        """Names the channels whose drops are the run's; of several outboxes the worst counts."""
        self._inboxes, self._outboxes = list(inboxes), list(outboxes)

    @contextmanager
    def timed(self, stage: str, clock: Callable[[], float] = time.perf_counter) -> Iterator[None]:
        """Measures one frame's time in a stage, in wall-clock seconds unless told otherwise."""
        started_s = clock()
        yield
        elapsed_s = clock() - started_s
        with self._lock:
            self._counters.timings[stage].add(elapsed_s)

    @property
    def status(self) -> str:
        """What the source is doing, in words: `live`, `reconnecting: ...`."""
        return self._status

    @status.setter
    def status(self, words: str) -> None:
        self._status = words

    def rates(self) -> tuple[float, float]:
        """Frames per second in and out, over the last two seconds."""
        now_s = time.monotonic()
        with self._lock:
            return self._rate_in.rate(now_s), self._rate_out.rate(now_s)

    def latency_p95_ms(self) -> float:
        """From the capture's return to the end of the sink's write, over the last 600 frames."""
        with self._lock:
            return self._counters.timings["latency"].percentile_ms(95)

    def histograms(self) -> dict[str, Histogram]:
        """Durations of `capture`, `engine` and `sink`, and `latency`, since the start."""
        with self._lock:
            return {name: timings.histogram() for name, timings in self._counters.timings.items()}

    def snapshot(self) -> Statistics:
        """All figures so far."""
        seconds = time.monotonic() - self._started_s
        with self._lock:
            counters = self._counters
            medians_ms = {name: counters.timings[name].percentile_ms(50) for name in STAGES}
            latency = counters.timings["latency"]
            latency_ms = {f"p{q}": latency.percentile_ms(q) for q in (50, 95, 99)}
            return Statistics(
                frames_in=counters.frames_in,
                frames_out=counters.frames_out,
                frames_dropped=self._dropped(),
                frames_repeated=counters.frames_repeated,
                seconds=round(seconds, 3),
                fps=round(counters.frames_out / seconds, 2) if seconds > 0 else 0.0,
                latency_ms=latency_ms,
                stage_ms=medians_ms,
                cpu_percent=round(
                    100 * (self._cpu_s() - self._cpu_at_start_s) / max(seconds, 1e-9), 1
                ),
                rss_mib=round(self._process.memory_info().rss / 2**20, 1),
                model=self.facts.model,
                expert=self.facts.expert,
                device=self.facts.device,
                backend=self.facts.backend,
                size=self.facts.size,
                tile=self.facts.tile,
                tiles=dict(counters.tiles.total),
                kept_percent=counters.tiles.kept_percent(),
                steps=dict(counters.steps),
                version=vcsharp.__version__,
            )

    def _dropped(self) -> int:
        """Frames that a newer one replaced before they were used."""
        worst = max((box.dropped for box in self._outboxes), default=0)
        return sum(box.dropped for box in self._inboxes) + worst

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)
