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
        "p99": number(row.ms_p99),
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
    """What stands below the tables: each network's whole way, what is linear, latency, what was not
    measured, what failed.
    """
    lines = [end_to_end_line(found, row) for row in found.of("pipeline") if row.model and row.fps]
    lines += [stage_line(row) for row in found.of("gpu") if row.stages]
    lines += [linear_line(one) for one in found.linear]
    lines += [line for line in [live_line(found)] if line]
    for why, what in found.absent.items():
        lines.append(f"not measured ({why}): {', '.join(what)}")
    return lines + [f"failed: {what}: {why}" for what, why in found.failed.items()]


def end_to_end_line(found: Outcome, row: Row) -> str:
    """`nano int8 end to end at 1920x1080: 112 fps, 12.1 ms CPU a frame (ffmpeg cas: 13.9); ...`."""
    peers = [peer for peer in found.of("peers") if " cas" in peer.name and peer.size == row.size]
    beside = ", ".join(f"{peer.name}: {number(peer.cpu_ms)}" for peer in peers)
    line = (
        f"{row.name} end to end at {size_words(row.size)}: {number(row.fps)} fps, "
        f"{number(row.cpu_ms)} ms CPU a frame" + (f" ({beside})" if beside else "")
    )
    kind = row.model, row.backend, row.precision, row.device, row.size
    alone = (
        one
        for one in found.of("networks")
        if (one.model, one.backend, one.precision, one.device, one.size) == kind
    )
    network = next(alone, None)
    if network is None or network.ceiling_percent is None:
        return line
    return (
        f"{line}; the network alone at {network.ceiling_percent:.0f} % of the "
        f"{row.precision} matrix rate, {_whole(network.cpu_ceiling_percent)} % by CPU time"
    )


def stage_line(row: Row) -> str:
    """`nano fp16 torch cuda graph at 1920x1080: upload 0.04 ms (90 % of its limit), ...; ...`."""
    parts = [
        f"{stage.name} {number(stage.ms)} ms"
        + ("" if stage.percent is None else f" ({stage.percent:.0f} % of its limit)")
        for stage in row.stages
    ]
    line = f"{row.name} at {size_words(row.size)}: {', '.join(parts)}"
    if row.roofline_percent is None:
        return line
    return f"{line}; {row.roofline_percent:.0f} % of what its slowest stage allows"


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
