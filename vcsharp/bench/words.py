"""The machine and the circumstances in lines for people; shared by table, Markdown and plot."""

from __future__ import annotations

from collections.abc import Sequence

from vcsharp.bench.figures import Linear, Rate, Row, size_words
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


def row_cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Heads, and a line of cells for each row; without the columns that would be empty."""
    lines = [_cells(row) for row in rows]
    heads = [head for head in (lines[0] if lines else []) if any(line[head] for line in lines)]
    return heads, [[line[head] for head in heads] for line in lines]


def _cells(row: Row) -> dict[str, str]:
    return {
        "size": size_words(row.size),
        "ms": number(row.ms),
        "p95": number(row.ms_p95),
        "fps": number(row.fps),
        "CPU ms": number(row.cpu_ms),
        "% limit": _whole(row.ceiling_percent),
        "by CPU": _whole(row.cpu_ceiling_percent),
        "MiB": _whole(row.rss_growth_mib),
    }


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def rate_cells(rate: Rate) -> list[str]:
    """Median, best, by CPU time, unit."""
    return [number(rate.median), number(rate.best), number(rate.cpu_median), rate.unit]


def notes(found: Outcome) -> list[str]:
    """What stands below the tables: what is linear, latency, what was not measured, what failed."""
    lines = [linear_line(one) for one in found.linear]
    lines += [line for line in [live_line(found)] if line]
    for why, what in found.absent.items():
        lines.append(f"not measured ({why}): {', '.join(what)}")
    return lines + [f"failed: {what}: {why}" for what, why in found.failed.items()]


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
