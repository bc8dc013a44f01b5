"""The outcome as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from vcsharp.bench.figures import Rate, Ratio, Row
from vcsharp.bench.outcome import Outcome
from vcsharp.bench.words import circumstances_line, machine_lines, notes, rate_cells, row_cells

BAR_CELLS = 16
_EIGHTHS = " ▏▎▍▌▋▊▉█"
ROOM_FOR_BARS = 104
"""Columns of a terminal that has room for a bar in each row."""


def tables(found: Outcome, console: Console) -> RenderableType:
    """Everything, in the order in which it is read."""
    bars = _Bars(console)
    parts: list[RenderableType] = [_lines(machine_lines(found.machine), "bold")]
    parts.append(_lines([circumstances_line(found)], "yellow" if found.busy else "dim"))
    if found.ceilings:
        parts.append(_ceilings(found.ceilings, bars))
    titles = {
        "networks": "networks, one frame after the other",
        "gpu": "networks on the GPU, three frames under way",
        "pipeline": "whole pipeline, memory to null",
        "peers": "others' sharpeners on the same frames, luma only",
        "cameras": "several cameras at once, engines sharing the cores",
    }
    for group, title in titles.items():
        if rows := found.of(group):
            parts.append(_rows(title, rows, bars))
    parts += [_ratios(found.ratios)] if found.ratios else []
    parts.append(_lines(notes(found)))
    return Group(*_spaced(parts))


class _Bars:
    """Bars where the terminal is wide enough for them, in letters that it has."""

    def __init__(self, console: Console) -> None:
        self.roomy = console.width >= ROOM_FOR_BARS
        self.shown = console.is_terminal and self.roomy
        self._blocks = "utf" in console.encoding.lower()

    def of(self, value: float | None, largest: float) -> Text:
        if not value or largest <= 0:
            return Text("")
        return Text(bar(value / largest, blocks=self._blocks), style="cyan")


def bar(share: float, *, blocks: bool = True, cells: int = BAR_CELLS) -> str:
    """A bar for 0..1, `cells` wide at 1; in eighths of a cell with block letters."""
    if not blocks:
        return "#" * max(1, round(share * cells))
    eighths = max(1, round(share * cells * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _ceilings(ceilings: Sequence[Rate], bars: _Bars) -> RenderableType:
    grid = _grid(bars, "median", "best", "a CPU second", "")
    for rate in ceilings:
        largest = max(other.median for other in ceilings if other.unit == rate.unit)
        _add(grid, bars, rate.name, rate_cells(rate), bars.of(rate.median, largest))
    return _titled("this machine's own limits, in the same rounds", grid)


def _rows(title: str, rows: Sequence[Row], bars: _Bars) -> RenderableType:
    """Bars show frames per second, against the fastest of the same size."""
    heads, lines = row_cells(rows)
    grid = _grid(bars, *heads)
    for row, cells in zip(rows, lines, strict=True):
        largest = max(other.fps or 0 for other in rows if other.size == row.size)
        _add(grid, bars, row.name, cells, bars.of(row.fps, largest))
    return _titled(title, grid)


def _ratios(found: Sequence[Ratio]) -> RenderableType:
    peers = list(dict.fromkeys(ratio.peer for ratio in found))
    grid = Table(box=None, pad_edge=False)
    grid.add_column("", no_wrap=True)
    for peer in peers:
        grid.add_column(peer, justify="right")
    for network in dict.fromkeys(ratio.network for ratio in found):
        values = {r.peer: f"{r.cpu_ratio:.2f}" for r in found if r.network == network}
        grid.add_row(network, *(values[peer] for peer in peers))
    return _titled("CPU time a frame, as a multiple of the others'", grid)


def _titled(title: str, grid: Table) -> RenderableType:
    """The title is not the table's own, which would be wrapped to the table's width."""
    return Group(Text(title, style="bold"), grid)


def _grid(bars: _Bars, *heads: str) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim")
    grid.padding = (0, 2 if bars.roomy else 1, 0, 0)
    grid.add_column("", no_wrap=True, min_width=28 if bars.roomy else None)
    for head in heads:
        grid.add_column(head, justify="right", no_wrap=True)
    if bars.shown:
        grid.add_column("", no_wrap=True, width=BAR_CELLS)
    return grid


def _add(grid: Table, bars: _Bars, name: str, cells: Sequence[str], drawn: Text) -> None:
    grid.add_row(Text(name), *map(Text, cells), *([drawn] if bars.shown else []))


def _lines(lines: Sequence[str], style: str = "") -> RenderableType:
    return Text("\n".join(lines), style=style)


def _spaced(parts: Sequence[RenderableType]) -> Iterator[RenderableType]:
    for number, part in enumerate(parts):
        if number:
            yield Text("")
        yield part
