"""From turns to figures: medians, rates, shares of a ceiling, ratios. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from vcsharp.bench import roofline
from vcsharp.bench.contender import Sample, Subject
from vcsharp.bench.roofline import Stage
from vcsharp.bench.rounds import Course

LINEAR_WITHIN = 0.15
"""How far the time per pixel, or per frame of several cameras, may lie off."""
REFERENCE_HEIGHT = 1080


@dataclass(frozen=True, slots=True)
class Rate:
    """A ceiling: what the machine did at best, as measured in this run."""

    name: str
    unit: str
    """`GMAC/s`, `GB/s`."""
    median: float
    best: float
    cpu_median: float | None
    """The same by CPU time, a core: what others take from the machine does not lower it. None on a
    GPU."""
    device: str
    precision: str
    threads: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return _rounded(asdict(self))


@dataclass(frozen=True, slots=True)
class Row:
    """What one contender took for a frame."""

    group: str
    name: str
    size: tuple[int, int]
    model: str
    backend: str
    device: str
    precision: str
    cameras: int
    rounds: int
    frames: int
    """Timed ones, of all rounds."""
    ms: float | None
    """Median wall-clock time a frame; None where only the CPU time can be told."""
    ms_p95: float | None
    """None where frames overlap, so that single ones have no time."""
    ms_p99: float | None
    fps: float | None
    cpu_ms: float
    """Median over the rounds of the CPU time a frame, all threads together."""
    ceiling_percent: float | None
    """The network's multiplications a second, of the device's rate at this precision."""
    cpu_ceiling_percent: float | None
    """The same by CPU time: how good the kernels are, however busy the machine is."""
    rss_growth_mib: float | None
    stages: tuple[Stage, ...] = ()
    """Of a GPU."""
    roofline_percent: float | None = None
    """How near a GPU's frame comes to what its slowest stage would take at the measured limits."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        stages = [_rounded(asdict(stage) | {"percent": stage.percent}) for stage in self.stages]
        return _rounded(asdict(self) | {"size": list(self.size), "stages": stages})


def rates(courses: Sequence[Course]) -> list[Rate]:
    """The ceilings, of those that took a turn."""
    found = []
    for course in courses:
        subject = course.contender.subject
        if subject.unit != "frame" and course.samples:
            found.append(_rate(subject, course.samples))
    return found


def _rate(subject: Subject, samples: Sequence[Sample]) -> Rate:
    by_clock = [subject.work * sample.frames / sample.wall_s for sample in samples]
    by_cpu = [subject.work * sample.frames / sample.cpu_s for sample in samples if sample.cpu_s]
    return Rate(
        name=subject.name,
        unit=f"{subject.unit}/s",
        median=median(by_clock),
        best=max(by_clock),
        cpu_median=median(by_cpu) if by_cpu and subject.device == "cpu" else None,
        device=subject.device,
        precision=subject.precision,
        threads=subject.threads,
    )


def rows(courses: Sequence[Course], ceilings: Sequence[Rate]) -> list[Row]:
    """The figures of all others, of those that took a turn."""
    return [
        _row(course, ceilings)
        for course in courses
        if course.contender.subject.unit == "frame" and course.samples
    ]


def _row(course: Course, ceilings: Sequence[Rate]) -> Row:
    subject, samples = course.contender.subject, course.samples
    ms = _frame_ms(samples)
    cpu_ms = median(1e3 * sample.cpu_s / sample.frames for sample in samples)
    single_ms = [value for sample in samples for value in sample.frame_ms]
    fitting = [rate for rate in ceilings if _fits(rate, subject)]
    stages = _stages(course, ceilings, fitting)
    return Row(
        group=subject.group,
        name=subject.name,
        size=subject.size or (0, 0),
        model=subject.model,
        backend=subject.backend,
        device=subject.device,
        precision=subject.precision,
        cameras=subject.cameras,
        rounds=len(samples),
        frames=sum(sample.frames for sample in samples),
        ms=ms,
        ms_p95=_percentile(single_ms, 95),
        ms_p99=_percentile(single_ms, 99),
        fps=1e3 / ms if ms else None,
        cpu_ms=cpu_ms,
        ceiling_percent=_share(subject, ms, [rate.median for rate in fitting]),
        cpu_ceiling_percent=_share(subject, cpu_ms, [r.cpu_median for r in fitting]),
        rss_growth_mib=getattr(course.contender, "rss_growth_mib", None),
        stages=stages,
        roofline_percent=roofline.roofline_percent(ms, stages),
    )


def _stages(course: Course, ceilings: Sequence[Rate], fitting: Sequence[Rate]) -> tuple[Stage, ...]:
    """Of contenders that time their stages; none of the others."""
    took_ms: dict[str, float] = getattr(course.contender, "stage_ms", {})
    wanted: roofline.Need | None = getattr(course.contender, "need", None)
    if not took_ms or wanted is None:
        return ()
    gmac_s = max((rate.median for rate in fitting), default=0.0)
    found = roofline.limits({rate.name: rate.median for rate in ceilings}, gmac_s)
    return roofline.stages(took_ms, wanted, found)


def _percentile(values: Sequence[float], q: int) -> float | None:
    return float(np.percentile(values, q)) if values else None


def _frame_ms(samples: Sequence[Sample]) -> float | None:
    """The median frame where single ones were timed, else the median of the rounds' means."""
    single_ms = [value for sample in samples for value in sample.frame_ms]
    means_ms = [1e3 * sample.wall_s / sample.frames for sample in samples if sample.wall_s]
    values = single_ms or means_ms
    return median(values) if values else None


def _fits(rate: Rate, subject: Subject) -> bool:
    return (rate.device, rate.precision) == (subject.device, subject.precision)


def _share(subject: Subject, ms: float | None, limits: Sequence[float | None]) -> float | None:
    """In percent of the highest limit: all threads', not one's."""
    best = max((limit for limit in limits if limit is not None), default=0.0)
    if not subject.gmac or not ms or not best:
        return None
    return 100 * subject.gmac / (ms / 1e3) / best


@dataclass(frozen=True, slots=True)
class Linear:
    """Whether twice the work takes twice the time."""

    what: str
    """Whose work: the network's name."""
    over: str
    """`pixels` or `cameras`."""
    per_unit_ms: dict[str, float]
    """Time per megapixel by size, or per frame by the number of cameras."""
    off_percent: float
    """The largest distance from the reference: 1080p, or one camera."""

    @property
    def holds(self) -> bool:
        """Within `LINEAR_WITHIN`."""
        return self.off_percent <= 100 * LINEAR_WITHIN

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        per_unit = {key: round(value, 3) for key, value in self.per_unit_ms.items()}
        return _rounded(asdict(self)) | {"per_unit_ms": per_unit, "holds": self.holds}


def linear_in_pixels(measured: Sequence[Row]) -> list[Linear]:
    """Each network that was measured at 1080p and at other sizes."""
    networks = [row for row in measured if row.group == "networks" and row.ms]
    found = []
    for name in dict.fromkeys(row.name for row in networks):
        per_ms = {
            size_words(row.size): row.ms / (row.size[0] * row.size[1] / 1e6)
            for row in networks
            if row.name == name and row.ms
        }
        at = next((ms for size, ms in per_ms.items() if size.endswith(f"x{REFERENCE_HEIGHT}")), 0.0)
        if at and len(per_ms) > 1:
            found.append(Linear(name, "pixels", per_ms, _off_percent(per_ms, at)))
    return found


def linear_in_cameras(measured: Sequence[Row]) -> list[Linear]:
    """Each network that was measured with one camera and with more."""
    streams = [row for row in measured if row.group == "cameras" and row.ms]
    found = []
    for model in dict.fromkeys(row.model for row in streams):
        ours = [row for row in streams if row.model == model]
        per_ms = {str(row.cameras): row.ms for row in ours if row.ms}
        if len(per_ms) > 1 and "1" in per_ms:
            found.append(Linear(model, "cameras", per_ms, _off_percent(per_ms, per_ms["1"])))
    return found


def _off_percent(per_ms: dict[str, float], reference_ms: float) -> float:
    return 100 * max(abs(value / reference_ms - 1) for value in per_ms.values())


@dataclass(frozen=True, slots=True)
class Ratio:
    """CPU time of a network's frame against a peer's, both of the same rounds."""

    network: str
    peer: str
    cpu_ratio: float
    """Below 1 the network is cheaper."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return _rounded(asdict(self))


def ratios(measured: Sequence[Row]) -> list[Ratio]:
    """The pipeline with each network on the CPU, against each peer at the same size."""
    ours = [
        row for row in measured if row.group == "pipeline" and row.model and row.device == "cpu"
    ]
    peers = [row for row in measured if row.group == "peers" and row.cpu_ms > 0]
    return [
        Ratio(row.name, peer.name, row.cpu_ms / peer.cpu_ms)
        for row in ours
        for peer in peers
        if row.size == peer.size
    ]


def size_words(size: tuple[int, int]) -> str:
    """`1920x1080`."""
    return f"{size[0]}x{size[1]}"


def _rounded(data: dict[str, Any]) -> dict[str, Any]:
    """Four digits behind the point are more than any timing has."""
    return {
        key: round(value, 4) if isinstance(value, float) else value for key, value in data.items()
    }
