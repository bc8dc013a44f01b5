"""The machine and the circumstances in lines for people; shared by table, Markdown and plot."""

from __future__ import annotations

from vcsharp.bench.figures import Linear, Row, size_words
from vcsharp.bench.machine import Machine
from vcsharp.bench.outcome import Outcome


def machine_lines(machine: Machine) -> list[str]:
    """What the machine is, in three or four lines."""
    quota = "" if machine.cpu_quota is None else f", limited to {machine.cpu_quota:g}"
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    commit = f" ({machine.commit})" if machine.commit else ""
    return [
        f"{machine.cpu}, {machine.cores} of {machine.cores_total} cores{quota}, "
        f"{machine.memory_mib / 1024:.0f} GiB; {machine.system}",
        f"{' '.join(machine.flags) or 'no vector extension that matters'}; "
        f"GPU: {machine.gpu or 'none'}",
        f"vcsharp {machine.version}{commit}, Python {machine.python}, {packages}",
    ]


def circumstances_line(found: Outcome) -> str:
    """When and how, and whether to trust single times."""
    run = found.circumstances
    rounds = "1 round" if run.rounds == 1 else f"{run.rounds} rounds"
    words = f"{run.date}, {rounds} in {run.seconds:.0f} s"
    if run.interrupted:
        words += ", interrupted"
    if found.busy:
        return words + (
            f"; other programs used {run.others_percent:.0f} % of the machine meanwhile: "
            "only ratios say something"
        )
    return words + f"; other programs used {run.others_percent:.0f} % of the machine"


def row_words(row: Row) -> str:
    """Name and size, for where there is one column for both."""
    return f"{row.name} {size_words(row.size)}"


def linear_line(one: Linear) -> str:
    """`nano int8 ort cpu: 66, 67, 68 ms a megapixel at ...; within 3 % of 1080p`."""
    values = ", ".join(f"{ms:.3g}" for ms in one.per_unit_ms.values())
    keys = ", ".join(one.per_unit_ms)
    verdict = f"{one.off_percent:.0f} % off at most ({'ok' if one.holds else 'more than 15'})"
    if one.over == "pixels":
        return f"{one.what}: {values} ms a megapixel at {keys}; {verdict}"
    return f"{one.what}: {values} ms a frame with {keys} cameras; {verdict}"


def live_line(found: Outcome) -> str | None:
    """Latency and drops at a camera's pace."""
    live = found.live
    if live is None:
        return None
    return (
        f"{live.name} 1080p at {live.fps:.0f} fps: latency p50 {live.latency_ms['p50']:.1f}, "
        f"p95 {live.latency_ms['p95']:.1f}, p99 {live.latency_ms['p99']:.1f} ms; "
        f"{live.dropped} of {live.frames} frames dropped"
    )
