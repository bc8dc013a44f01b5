"""What `vcsharp ctl` shows people of a run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vcsharp.console import one_line
from vcsharp.control.model import Fault, ModelChoice, SinkView, SourceChoice, SourceView, State
from vcsharp.states import EngineState, SinkState, SourceState

_GOOD = (SourceState.LIVE, EngineState.READY, SinkState.WRITING)
_BAD = (
    SourceState.STALLED,
    SourceState.LOST,
    EngineState.FALLBACK,
    EngineState.FAILED,
    SinkState.REOPENING,
)
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def status(state: State, instance: str) -> RenderableType:
    """Everything about a run, in a dozen lines."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, word, details in _rows(state):
        grid.add_row(Text(one_line(label)), _colored(word), Text(one_line(details)))
    title = Text.assemble(
        ("vcsharp ", "bold"),
        f"{state.version}, '{instance}', up {_span(state.uptime_s)}",
        (", paused" if state.paused else "", "yellow"),
    )
    if not state.faults:
        return Group(title, grid)
    return Group(title, grid, Text("last errors", style="bold"), _faults(state.faults))


def line(state: State) -> str:
    """The run in one line, for logs."""
    now = state.figures
    parts = [
        f"{time.strftime('%H:%M:%S')} {state.source.state}",
        f"{now.fps_in:.1f} fps in, {now.fps_out:.1f} fps out",
        f"delay {state.delay_ms:.0f} ms",
        f"{now.frames_dropped} dropped, {now.frames_repeated} repeated",
        f"{now.cpu_percent:.0f} % of a core, {now.rss_mib:.0f} MiB",
    ]
    return one_line("; ".join([*parts, *filter(None, [state.source.words])]))


def sources(choices: Iterable[SourceChoice], current: str) -> RenderableType:
    """One row for each source; the one in use is marked."""
    rows = [
        (choice.source, choice.title, choice.details if choice.usable else f"({choice.details})")
        for choice in choices
    ]
    return _choices(rows, current)


def models(choices: Iterable[ModelChoice], current: str) -> RenderableType:
    """One row for each network; the one in use is marked."""
    rows = [
        (m.model, f"{m.mac_per_px / 1e3:.1f} kMAC/px" if m.mac_per_px else "", m.summary)
        for m in choices
    ]
    return _choices(rows, current)


def _choices(rows: Iterable[Sequence[str]], current: str) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, *details in rows:
        chosen = name == current
        cells = [Text(one_line(cell)) for cell in details]
        grid.add_row("*" if chosen else " ", Text(name, "bold" if chosen else ""), *cells)
    return grid


def _rows(state: State) -> Iterator[tuple[str, str, str]]:
    """(label, state word, details)."""
    source, engine, options, now = state.source, state.engine, state.options, state.figures
    yield "source", source.state, _source(source)
    what = f"{engine.title} on {engine.device} ({engine.backend}), strength {options.strength:g}"
    yield "engine", engine.state, _joined(what, engine.words)
    for sink in state.sinks:
        yield sink.name, sink.state, _sink(sink)
    drawn = f"compare {options.compare}, overlay {options.overlay}"
    yield "picture", state.size or "none yet", f"{state.fps:g} fps, {drawn}"
    yield "rate", f"{now.fps_out:.1f} fps", f"{now.fps_in:.1f} fps in, {_losses(state)}"
    yield "delay", f"{state.delay_ms:.0f} ms", f"95 of 100 within {now.latency_ms['p95']:.0f} ms"
    if now.kept_percent:
        yield "tiles", f"{now.kept_percent:.0f} %", "unchanged, their last result is kept"
    yield "load", f"{now.cpu_percent:.0f} %", f"of a core, {now.rss_mib:.0f} MiB"


def _source(source: SourceView) -> str:
    size = f"{source.width}x{source.height} at {source.fps:g} fps" if source.width else ""
    back = f"came back {_times(source.reconnects)}" if source.reconnects else ""
    return _joined(source.description or source.name, size, back, source.words)


def _sink(sink: SinkView) -> str:
    looks = {True: "a program looks", False: "nobody looks", None: ""}[sink.wanted]
    return _joined(sink.description, looks, sink.words)


def _losses(state: State) -> str:
    now = state.figures
    return f"{now.frames_dropped} dropped, {now.frames_repeated} repeated"


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _colored(word: str) -> Text:
    style = "green" if word in _GOOD else "red" if word in _BAD else ""
    return Text(one_line(word), style)


def _faults(faults: Sequence[Fault]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for fault in faults:
        age = _span(max(0.0, time.time() - fault.at_s))
        again = f" ({_times(fault.count)})" if fault.count > 1 else ""
        grid.add_row(f"{age} ago", fault.where, Text(one_line(f"{fault.what}{again}")))
    return grid


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _span(seconds: float) -> str:
    """`12 s`, `3 min`, `2 h 5 min`, `4 days`."""
    whole = timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, _HOUR_S)
    if whole.days:
        return f"{whole.days} d {hours} h"
    if hours:
        return f"{hours} h {rest // _MINUTE_S} min"
    return f"{rest // _MINUTE_S} min" if rest >= _MINUTE_S else f"{rest} s"
