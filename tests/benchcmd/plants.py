"""Clocks and contenders whose figures are known beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vcsharp.bench.contender import Clocks, Sample, Subject
from vcsharp.bench.machine import Machine
from vcsharp.bench.outcome import Circumstances, Live, Outcome, outcome
from vcsharp.bench.rounds import Course


@dataclass
class PlantedTime:
    """A clock that goes only when it is told to."""

    wall_s: float = 100.0
    cpu_s: float = 10.0

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall_s, lambda: self.cpu_s)

    def work(self, wall_s: float, cpu_s: float) -> None:
        self.wall_s += wall_s
        self.cpu_s += cpu_s


@dataclass
class Planted:
    """A contender that takes what it is told to take."""

    subject: Subject
    time: PlantedTime = field(default_factory=PlantedTime)
    least_s: float = 0.0
    prepare_s: float = 0.0
    error: Exception | None = None
    fails_in_turn: int = -1
    diary: list[str] = field(default_factory=list)
    turns: int = 0
    closed: bool = False

    def prepare(self) -> None:
        self.time.work(self.prepare_s, self.prepare_s)
        self.diary.append(f"prepare {self.subject.name}")
        if self.error is not None and self.fails_in_turn < 0:
            raise self.error

    def turn(self, seconds: float) -> Sample:
        self.diary.append(self.subject.name)
        self.turns += 1
        if self.error is not None and self.turns == self.fails_in_turn:
            raise self.error
        spent_s = max(seconds, self.least_s)
        self.time.work(spent_s, spent_s)
        return Sample(1, spent_s, spent_s, (1e3 * spent_s,))

    def close(self) -> None:
        self.closed = True


def course(subject: Subject, *samples: Sample, absent: str = "", failed: str = "") -> Course:
    return Course(Planted(subject), list(samples), absent, failed)


MACHINE = Machine(
    cpu="Planted CPU",
    flags=("AVX2", "AVX512-VNNI"),
    cores=2,
    cores_total=8,
    cpu_quota=1.5,
    memory_mib=4096,
    gpu=None,
    system="Testix 1, Linux 6.1",
    python="3.11.9",
    packages={"onnxruntime": "1.2.3"},
    version="0.9",
    commit="abc123",
)
HD, VGA = (1920, 1080), (640, 480)
NETWORK: dict[str, Any] = {"model": "nano", "backend": "ort", "device": "cpu", "precision": "int8"}


def planted_courses() -> list[Course]:
    """One of each kind; figures that can be worked out by hand."""
    limit = Subject(
        "ceilings", "int8 products", unit="GMAC", work=2.0, device="cpu", precision="int8"
    )
    big = Subject("networks", "nano int8 ort cpu", HD, gmac=2.0, **NETWORK)
    small = Subject("networks", "nano int8 ort cpu", VGA, gmac=0.3, **NETWORK)
    piped = Subject("pipeline", "nano int8", HD, **NETWORK)
    one = Subject("cameras", "nano int8, 1 camera", HD, **NETWORK)
    two = Subject("cameras", "nano int8, 2 cameras", HD, cameras=2, **NETWORK)
    cas = Subject("peers", "ffmpeg cas", HD)
    gpu = Subject("networks", "nano fp16 torch cuda", HD, model="nano", device="cuda")
    broken = Subject("networks", "base int8 ort cpu", HD, model="base", device="cpu")
    return [
        course(limit, Sample(10, 0.1, 0.2), Sample(10, 0.2, 0.2), Sample(10, 0.4, 0.2)),
        course(big, Sample(2, 0.08, 0.08, (30.0, 50.0)), Sample(1, 0.04, 0.06, (40.0,))),
        course(small, Sample(1, 0.00592, 0.008, (5.92,))),
        course(piped, Sample(10, 0.5, 0.3)),
        course(one, Sample(10, 0.5, 0.3)),
        course(two, Sample(10, 0.7, 0.3)),
        course(cas, Sample(10, 0.4, 0.6)),
        course(gpu, absent="no NVIDIA GPU"),
        course(broken, failed="ONNX Runtime failed: planted"),
    ]


def planted_outcome(*, interrupted: bool = False, others_percent: float = 1.0) -> Outcome:
    facts = Circumstances("2026-01-02T03:04Z", 12.3, 3, interrupted, others_percent)
    live = Live("nano", 30.0, {"p50": 11.0, "p95": 16.0, "p99": 18.0}, 150, 2)
    return outcome(planted_courses(), MACHINE, facts, live)
