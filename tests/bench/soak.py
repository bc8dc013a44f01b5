"""A run of an hour, looked at once a second: memory, delay, and whether every picture came.

    python tests/bench/soak.py 3600 --plot soak.png --json soak.json

The demo scene at 30 pictures a second goes through the network into the preview page, as people run
it; a reader stands in for the page and fetches one pair of pictures a second. Ends with 0 where all
of `verdicts` hold, else with 1. `test_soak.py` plants what must be found, and runs a short one.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

FPS = 30
PERIOD_S = 1.0
RSS_SPREAD_MIB = 5.0
LATENCY_DRIFT_MS = 2.0
FRAMES_OFF = 1.0
START_S = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the run."""

    at_s: float
    """Since the first look."""
    rss_mib: float
    cpu_percent: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    frames_in: int
    frames_out: int
    frames_repeated: int
    frames_dropped: int

    @classmethod
    def of(cls, at_s: float, figures: dict) -> Sample:
        latency = figures["latency_ms"]
        counts = {name: figures[name] for name in cls.__slots__ if name.startswith("frames_")}
        memory, cpu = figures["rss_mib"], figures["cpu_percent"]
        return cls(at_s, memory, cpu, latency["p50"], latency["p95"], latency["p99"], **counts)


@dataclass(frozen=True, slots=True)
class Verdict:
    what: str
    figure: float
    limit: float
    may_fall: bool = False
    """Less is no fault: other programs may have gone."""

    @property
    def holds(self) -> bool:
        return (self.figure if self.may_fall else abs(self.figure)) <= self.limit

    def __str__(self) -> str:
        return f"{'ok  ' if self.holds else 'FAIL'} {self.what}: {self.figure:.2f} ({self.limit})"


def verdicts(samples: Sequence[Sample]) -> list[Verdict]:
    """What has to hold once the run is warm; the first and the last sixth are compared."""
    warm = settled(samples)
    sixth = max(1, len(warm) // 6)
    first, last = warm[:sixth], warm[-sixth:]
    rss_mib = [sample.rss_mib for sample in warm]
    return [
        Verdict("memory, most less least, MiB", max(rss_mib) - min(rss_mib), RSS_SPREAD_MIB),
        *(
            Verdict(
                f"latency {q}, last less first, ms", grown(first, last, q), LATENCY_DRIFT_MS, True
            )
            for q in ("p50_ms", "p95_ms")
        ),
        Verdict("frames_out less rate x time", frames_ahead(first, last), FRAMES_OFF),
        Verdict("frames in, neither out nor dropped", unaccounted(warm), FRAMES_OFF + 2),
    ]


def settled(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Without the first tenth, at most five minutes, in which pools fill and percentiles settle."""
    return samples[min(300, len(samples) // 10) :]


def grown(first: Sequence[Sample], last: Sequence[Sample], field: str) -> float:
    return median(last, field) - median(first, field)


def median(samples: Sequence[Sample], field: str) -> float:
    return float(statistics.median(getattr(sample, field) for sample in samples))


def frames_ahead(first: Sequence[Sample], last: Sequence[Sample]) -> float:
    """By how many frames the output got ahead of the clock.

    Medians, since a single look comes at any moment between two frames.
    """
    before, after = (
        statistics.median(sample.frames_out - FPS * sample.at_s for sample in part)
        for part in (first, last)
    )
    return float(after - before)


def unaccounted(samples: Sequence[Sample]) -> int:
    """Of the frames between the first look and the last; two may be under way."""
    first, last = samples[0], samples[-1]
    came, went, dropped = (
        getattr(last, name) - getattr(first, name)
        for name in ("frames_in", "frames_out", "frames_dropped")
    )
    return int(came - went - dropped)


class Reader:
    """Asks a run by its socket, as its page does."""

    def __init__(self, socket: Path) -> None:
        transport = httpx.HTTPTransport(uds=str(socket))
        self._http = httpx.Client(transport=transport, base_url="http://vcsharp", timeout=20)
        self.close = self._http.close
        self._seen = 0
        self.pairs = 0

    def figures(self) -> tuple[float, dict]:
        """The figures, and the moment they were asked for."""
        asked_s = time.monotonic()
        answer = self._http.get("/api/state").raise_for_status().json()
        return (asked_s + time.monotonic()) / 2, answer["figures"]

    def look(self) -> None:
        """Fetches the newest pair of pictures."""
        answer = self._http.get("/api/pair", params={"after": self._seen}).raise_for_status()
        if answer.content:
            self._seen = int.from_bytes(answer.content[:4], "little")
            self.pairs += 1


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], Reader]]:
    """A run in a process of its own that has sent its first frames."""
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("VCSHARP_")}
        clean |= {"XDG_RUNTIME_DIR": folder, "XDG_CONFIG_HOME": folder}
        command = [sys.executable, "-m", "vcsharp", "run", *arguments]
        process = subprocess.Popen(command, env=clean)
        try:
            socket = Path(folder) / "vcsharp" / "default.sock"
            wait_until(process, socket.exists)  # it listens by then
            with closing(Reader(socket)) as reader:
                wait_until(process, lambda: reader.figures()[1]["frames_out"] > FPS)
                yield process, reader
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def wait_until(process: subprocess.Popen[bytes], holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if holds():
            return
        time.sleep(0.1)
    raise SystemExit(f"soak: no picture within {START_S:.0f} s; run 'vcsharp run' by itself to see")


def watch(seconds: float, reader: Reader, tell: Callable[[Sample], None]) -> list[Sample]:
    """A sample a second, on a grid that a slow answer does not shift."""
    started_s = time.monotonic()
    samples: list[Sample] = []
    for number in range(round(seconds / PERIOD_S) + 1):
        time.sleep(max(0.0, started_s + number * PERIOD_S - time.monotonic()))
        at_s, figures = reader.figures()
        samples.append(Sample.of(at_s - started_s, figures))
        reader.look()
        tell(samples[-1])
    return samples


def plot(samples: Sequence[Sample], path: Path) -> None:
    """Memory, latency, frames ahead of the clock and CPU over time, as a PNG."""
    figure = Figure(figsize=(11, 9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    memory, latency, frames, cpu = figure.subplots(4, 1, sharex=True)
    minutes = [sample.at_s / 60 for sample in samples]
    memory.plot(minutes, [s.rss_mib for s in samples], color="#0072B2")
    memory.set_ylim(0, 1.3 * max(s.rss_mib for s in samples))
    memory.set_title("Resident memory, MiB", loc="left")
    for field, colour in (("p50_ms", "#0072B2"), ("p95_ms", "#E69F00"), ("p99_ms", "#D55E00")):
        latency.plot(minutes, [getattr(s, field) for s in samples], color=colour, label=field[:3])
    latency.set_ylim(bottom=0)
    latency.set_title("Latency of the last 600 frames, ms", loc="left")
    latency.legend(ncols=3, frameon=False)
    start = samples[0].frames_out
    ahead = [s.frames_out - start - FPS * (s.at_s - samples[0].at_s) for s in samples]
    frames.plot(minutes, ahead, color="#009E73", linewidth=0.8, label="out, less 30 x seconds")
    dropped = [s.frames_dropped - samples[0].frames_dropped for s in samples]
    frames.plot(minutes, dropped, color="#D55E00", label="dropped")
    frames.set_title("Frames", loc="left")
    frames.legend(ncols=2, frameon=False)
    cpu.plot(minutes, [s.cpu_percent for s in samples], color="#7A5195", linewidth=0.8)
    cpu.set_ylim(bottom=0)
    cpu.set_title("CPU, % of one core", loc="left")
    cpu.set_xlabel("minutes")
    for axes in (memory, latency, frames, cpu):
        axes.grid(visible=True, color="#DDDDDD")
    figure.savefig(path, facecolor="white")


def report(samples: Sequence[Sample], pairs: int) -> dict:
    """All samples and what they say, for a file."""
    warm = settled(samples)
    fields = ("rss_mib", "cpu_percent", "p50_ms", "p95_ms", "p99_ms")
    return {
        "medians": {field: median(warm, field) for field in fields},
        "frames": {name: getattr(samples[-1], name) for name in Sample.__slots__[-4:]},
        "pairs_fetched": pairs,
        "verdicts": [asdict(v) | {"holds": v.holds} for v in verdicts(samples)],
        "samples": [asdict(sample) for sample in samples],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("seconds", type=float)
    parser.add_argument("--plot", type=Path, help="a PNG")
    parser.add_argument("--json", type=Path, help="all samples and the verdicts")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--size", default="1920x1080")
    wish = parser.parse_args(arguments)
    run = ["--source", "demo", "--sink", "preview", "--open-browser", "no", "--on-demand", "off"]
    with running([*run, "--model", wish.model, "--size", wish.size]) as (process, reader):
        samples = watch(wish.seconds, reader, _tell)
        assert process.poll() is None, "the run ended before it was asked to"
    told = report(samples, reader.pairs)
    if wish.json:
        wish.json.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    if wish.plot:
        plot(samples, wish.plot)
    print("medians", told["medians"], "frames", told["frames"], f"pairs {reader.pairs}")
    print(*verdicts(samples), sep="\n")
    return 0 if all(verdict.holds for verdict in verdicts(samples)) else 1


def _tell(sample: Sample) -> None:
    if round(sample.at_s) % 60 == 0:
        print(sample, flush=True)


if __name__ == "__main__":
    sys.exit(main())
