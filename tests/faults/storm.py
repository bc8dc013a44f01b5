"""A live run under thousands of faults from a seeded list: `python tests/faults/storm.py 10000 7`.

Source, engine and virtual camera fail in every way they know, people pause and change things
meanwhile, the wall clock jumps. What must hold: the output is written all the time, what it shows
is never old without saying so, memory and threads do not grow, and at the end all is well again.
Waits are shortened so that ten thousand faults take minutes instead of a day.
"""

from __future__ import annotations

import gc
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import psutil

from vcsharp.clock import NS_PER_S
from vcsharp.control.model import Change
from vcsharp.demand import Demand
from vcsharp.dress import Dressed, Look
from vcsharp.engine import live as live_engine
from vcsharp.engine.backend import NullBackend
from vcsharp.engine.live import LiveEngine
from vcsharp.engine.worker import Engine
from vcsharp.errors import (
    BackendError,
    SinkFormatError,
    SinkGone,
    SinkIOError,
    SourceError,
    SourceLost,
)
from vcsharp.faults import FaultLog
from vcsharp.frame import Color, Frame, Result, black
from vcsharp.pipeline import Pipeline, Plan
from vcsharp.settings import RunSettings
from vcsharp.sinks import persistent
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.persistent import Persistent
from vcsharp.sources import live as live_source
from vcsharp.sources.base import SourceFormat
from vcsharp.sources.live import LiveSource
from vcsharp.states import SourceState
from vcsharp.steering import Parts, Steering
from vcsharp.telemetry import Telemetry

SIZE = (160, 120)
STREAM = StreamFormat(*SIZE, Fraction(120), Color())
REFUSALS = {"device gone": SinkGone, "refused": SinkIOError, "format changed": SinkFormatError}
OLDEST_S = 3.0
"""How old a picture without words may be."""


class Planter:
    """Hands out the faults, one after another, from a seeded list."""

    def __init__(self, count: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.left, self.planted = count, Counter[str]()
        self._lock = threading.Lock()

    def pick(self, place: str, kinds: list[str], chance: float) -> str:
        """The name of a fault, or nothing."""
        with self._lock:
            if not self.left or self.random.random() > chance:
                return ""
            kind = self.random.choice(kinds)
            self.left -= 1
            self.planted[f"{place}: {kind}"] += 1
            return kind


class Camera:
    """Delivers a frame each 2 ms, and fails as planted."""

    lossless = False

    def __init__(self, name: str, planter: Planter) -> None:
        self.name, self._planter = name, planter
        self._size = SIZE

    def open(self) -> SourceFormat:
        kind = self._planter.pick("source", ["refuses to open", "hangs in opening"], 0.3)
        if kind == "refuses to open":
            raise SourceError("camera in use by another; close that", title="camera in use")
        if kind:
            time.sleep(0.08)
        return SourceFormat(*self._size, Fraction(30), Color(), "camera")

    def read(self) -> Frame:
        time.sleep(0.002)
        kinds = ["unplugged", "hangs for a moment", "hangs for long", "comes back in another size"]
        kind = self._planter.pick("source", kinds, 0.08)
        if kind == "unplugged":
            raise SourceLost("camera gone; plug it in", title="camera unplugged")
        if kind.startswith("hangs"):
            time.sleep(0.03 if kind == "hangs for a moment" else 0.2)
        if kind == "comes back in another size":
            self._size = self._planter.random.choice([SIZE, (64, 48), (321, 243)])
        return black(*self._size).replaced(captured_ns=time.monotonic_ns())

    def close(self) -> None:
        """Nothing to free."""


class Runtime(NullBackend):
    """Copies, and fails as planted."""

    def __init__(self, planter: Planter, device: str) -> None:
        self._planter, self.device = planter, device

    def sharpen(self, plane, plan, strength, out) -> None:
        kind = self._planter.pick("engine", ["exception", "out of memory"], 0.04)
        if kind == "exception":
            raise BackendError("the driver is lost")
        if kind:
            raise MemoryError
        super().sharpen(plane, plan, strength, out)


@dataclass
class Loopback:
    """A virtual camera that notes what its readers would see."""

    planter: Planter
    name: str = "virtual"
    realtime: bool = True
    paced: bool = True
    dresses: bool = False
    wanted: bool | None = True
    writes: int = 0
    oldest_s: float = 0.0
    longest_gap_s: float = 0.0
    live: bool = False
    states: Counter[str] = field(default_factory=Counter)
    _wrote_s: float = 0.0

    def open(self, stream: StreamFormat) -> str:
        if self.writes and self.planter.pick("sink", ["not back yet"], 0.4):
            raise SinkGone("the device is gone")
        return "virtual"

    def write(self, result: Result) -> None:
        kind = self.planter.pick("sink", ["device gone", "refused", "format changed", "slow"], 0.05)
        errors = {
            "device gone": SinkGone,
            "refused": SinkIOError,
            "format changed": SinkFormatError,
        }
        if kind in errors:
            raise errors[kind](kind)
        if kind:
            time.sleep(0.025)
        self._note(result.frame)

    def close(self) -> None:
        self._wrote_s = 0.0

    def _note(self, frame: Frame) -> None:
        now_s = time.monotonic()
        self.writes += 1
        self.live = not frame.notice
        self.states[frame.notice.partition(":")[0] or "live"] += 1
        if self.live:
            self.oldest_s = max(self.oldest_s, now_s - frame.captured_ns / NS_PER_S)
        if self._wrote_s:
            self.longest_gap_s = max(self.longest_gap_s, now_s - self._wrote_s)
        self._wrote_s = now_s


@dataclass(frozen=True)
class Report:
    """What a storm did, and what was seen."""

    planted: Counter[str]
    seconds: float
    writes: int
    oldest_s: float
    longest_gap_s: float
    rss_growth_mib: float
    threads_left: int
    recovered: bool
    shown: Counter[str]


def storm(count: int, seed: int) -> Report:
    """Runs until every fault was planted and the picture is back, and reports."""
    planter, stop = Planter(count, seed), threading.Event()
    others = set(threading.enumerate())
    sink, steering, pipeline = _run_of(planter, stop)
    runner = threading.Thread(target=pipeline.run)
    started_s = time.monotonic()
    runner.start()
    rss_mib = 0.0
    while planter.left and runner.is_alive():
        if not rss_mib and planter.left < count * 0.8:  # everything was used once by then
            rss_mib = _rss_mib()
        _meddle(planter, steering)
        time.sleep(0.01)
    recovered = _recovers(sink, steering, runner)
    growth_mib = _rss_mib() - rss_mib
    stop.set()
    runner.join(20)
    return Report(
        planter.planted,
        time.monotonic() - started_s,
        sink.writes,
        sink.oldest_s,
        sink.longest_gap_s,
        growth_mib,
        _threads_left(others),
        recovered,
        sink.states,
    )


def _run_of(planter: Planter, stop: threading.Event) -> tuple[Loopback, Steering, Pipeline]:
    telemetry, faults, sink = Telemetry(), FaultLog(), Loopback(planter)
    look = Look("off", "off", lambda frame: frame)
    robust = Dressed(Persistent(sink, lambda why: faults.add("sink", why)), look)
    source = LiveSource(
        lambda spec: Camera(spec, planter),
        "0",
        stop,
        telemetry=telemetry,
        patient=True,
        size=SIZE,
    )
    engine = LiveEngine(lambda model, device: Engine(Runtime(planter, device), None), "none", "cpu")
    demand = Demand([], grace_s=1, active=False)
    parts = Parts(source, engine, [robust], look, demand, telemetry, faults)
    parts.stream = STREAM
    settings = RunSettings(source="0")
    steering = Steering(parts, settings, lambda spec: None, lambda: settings)
    plan = Plan(lambda _: STREAM, tap=parts.tap)
    return sink, steering, Pipeline(source, engine, [robust], plan, telemetry, stop)


def _meddle(planter: Planter, steering: Steering) -> None:
    """What people do meanwhile."""
    deeds: dict[str, Callable[[], object]] = {
        "pause": steering.pause,
        "resume": steering.resume,
        "another source": lambda: steering.change(Change(source=str(planter.random.randrange(3)))),
        "another network": lambda: steering.change(Change(model="none")),
        "strength": lambda: steering.change(Change(strength=planter.random.random())),
        "the page": lambda: steering.newest(0, 0.0),
    }
    if steering.state().paused and planter.random.random() < 0.2:
        steering.resume()  # else there would be more peace than storm
    kind = planter.pick("people", list(deeds), 0.1)
    if kind:
        deeds[kind]()


def _recovers(sink: Loopback, steering: Steering, runner: threading.Thread) -> bool:
    steering.resume()
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s and runner.is_alive():
        if sink.live and steering.state().source.state is SourceState.LIVE:
            return True
        time.sleep(0.05)
    return False


def _rss_mib() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


def _threads_left(others: set[threading.Thread]) -> int:
    """After the run; feeds that still sleep in a planted hang are given their time."""
    deadline_s = time.monotonic() + 5
    while (left := len(set(threading.enumerate()) - others)) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return left


def hurry() -> None:
    """Shortens the waits of a real run about forty times."""
    live_source.STALL_S, live_source.HUNG_S = 0.05, 0.15
    live_source.FIRST_WAIT_S, live_source.LONGEST_WAIT_S = 0.005, 0.1
    live_engine.FIRST_WAIT_S, live_engine.LONGEST_WAIT_S = 0.005, 0.1
    persistent.FIRST_PAUSE_S, persistent.LONGEST_PAUSE_S = 0.005, 0.05


def faultless(report: Report) -> list[str]:
    """What does not hold, in words; nothing where all is well."""
    checks = {
        f"a picture of {report.oldest_s:.1f} s without words": report.oldest_s < OLDEST_S,
        f"nothing written for {report.longest_gap_s:.1f} s": report.longest_gap_s < OLDEST_S,
        f"memory grew by {report.rss_growth_mib:.1f} MiB": report.rss_growth_mib < 10,
        f"{report.threads_left} threads left behind": report.threads_left == 0,
        "the picture did not come back": report.recovered,
    }
    return [words for words, holds in checks.items() if not holds]


def main() -> int:
    """Prints what was planted and seen; 1 if something did not hold."""
    count, seed = (int(word) for word in (*sys.argv[1:], "1000", "7")[:2])
    hurry()
    report = storm(count, seed)
    for name, times in sorted(report.planted.items()):
        print(f"{times:6} {name}")
    total = sum(report.planted.values())
    print(f"{total} faults in {report.seconds:.0f} s, {report.writes} pictures written")
    print(f"oldest picture without words {report.oldest_s:.2f} s")
    print(f"longest time without a write {report.longest_gap_s:.2f} s")
    print(f"memory {report.rss_growth_mib:+.1f} MiB, threads left {report.threads_left}")
    print(f"shown: {dict(report.shown)}")
    faults = faultless(report)
    print("\n".join(faults) or "all held")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
