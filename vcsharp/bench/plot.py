"""The outcome as one picture: bars for the networks, and beside what others take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vcsharp.bench.canvas import BLUE, DARK, FAINT, GREY, ORANGE, SAND, TEAL, Canvas, Ink
from vcsharp.bench.figures import Rate, Row, size_words
from vcsharp.bench.outcome import Outcome
from vcsharp.bench.words import circumstances_line, machine_lines

WIDTH = 1280
_MARGIN, _NAMES_END, _BARS_LEFT, _BARS_WIDTH = 48, 400, 416, 500
_ROW, _BAR, _HEAD, _GAP = 30, 18, 44, 26
_INKS: dict[str, Ink] = {"int8": BLUE, "fp32": TEAL, "fp16": ORANGE, "none": SAND, "": SAND}
"""By precision; others' sharpeners and the pipeline alone have none."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar."""

    name: str
    value: float
    words: str
    """What stands behind it."""
    ink: Ink


@dataclass(slots=True)
class Panel:
    """Bars of one scale under a title."""

    title: str
    note: str
    bars: list[Bar] = field(default_factory=list)

    @property
    def height(self) -> int:
        return _HEAD + _ROW * len(self.bars) + _GAP


def plot(found: Outcome) -> bytes:
    """A PNG file, `WIDTH` pixels wide and as high as there are bars."""
    heads = _heads(found)
    panels = [panel for panel in _panels(found) if panel.bars]
    top = 84 + 24 * len(heads)
    sheet = Canvas(WIDTH, top + sum(panel.height for panel in panels) + 8)
    sheet.text("vcsharp bench", _MARGIN, 58, capital_px=22, bold=True)
    for number, line in enumerate(heads):
        sheet.text(line, _MARGIN, 90 + 24 * number, GREY, capital_px=12)
    for panel in panels:
        _draw(sheet, panel, top)
        top += panel.height
    return sheet.png()


def _heads(found: Outcome) -> list[str]:
    """The machine's lines, cut to the sheet's width."""
    lines = [*machine_lines(found.machine), circumstances_line(found)]
    return [line if len(line) < 132 else line[:129] + "..." for line in lines]


def _panels(found: Outcome) -> Iterator[Panel]:
    networks = found.of("networks")
    for size in dict.fromkeys(row.size for row in networks):
        rows = [row for row in networks if row.size == size]
        note = "frames a second, one after the other; more is better"
        yield Panel(f"Networks at {size_words(size)}", note, [_rate_bar(row) for row in rows])
    rows = found.of("pipeline", "peers")
    yield Panel(
        "CPU time of a 1080p frame: whole pipeline, and others' filters",
        "milliseconds, all threads together; less is better",
        [_cost_bar(row) for row in rows],
    )
    cameras = [_cameras_bar(row) for row in found.of("cameras")]
    yield Panel("Several cameras at once", "frames a second of all cameras together", cameras)
    for unit, title in (("GMAC/s", "matrix products"), ("GB/s", "memory copies")):
        limits = [_limit_bar(rate) for rate in found.ceilings if rate.unit == unit]
        yield Panel(f"This machine's own limits: {title}", unit, limits)


def _rate_bar(row: Row) -> Bar:
    share = "" if row.ceiling_percent is None else f"   {row.ceiling_percent:.0f} % of the limit"
    words = f"{row.fps or 0:.1f} fps   {row.ms or 0:.1f} ms{share}"
    return Bar(row.name, row.fps or 0.0, words, _INKS.get(row.precision, SAND))


def _cost_bar(row: Row) -> Bar:
    fps = f"   {row.fps:.0f} fps" if row.fps else ""
    ink = _INKS.get(row.precision, SAND)
    return Bar(row.name, row.cpu_ms, f"{row.cpu_ms:.2f} ms{fps}", ink)


def _cameras_bar(row: Row) -> Bar:
    words = f"{row.fps or 0:.1f} fps   {row.cpu_ms:.1f} ms CPU a frame"
    return Bar(row.name, row.fps or 0.0, words, _INKS.get(row.precision, SAND))


def _limit_bar(rate: Rate) -> Bar:
    by_cpu = "" if rate.cpu_median is None else f"   {rate.cpu_median:.1f} a CPU second"
    words = f"{rate.median:.1f}   best {rate.best:.1f}{by_cpu}"
    return Bar(rate.name, rate.median, words, _INKS.get(rate.precision, SAND))


def _draw(sheet: Canvas, panel: Panel, top: int) -> None:
    sheet.box(_MARGIN, top, WIDTH - 2 * _MARGIN, 1, FAINT)
    sheet.text(panel.title, _MARGIN, top + 28, bold=True, capital_px=14)
    sheet.text(panel.note, WIDTH - _MARGIN, top + 28, GREY, capital_px=11, right=True)
    largest = max(bar.value for bar in panel.bars) or 1.0
    for number, bar in enumerate(panel.bars):
        _draw_bar(sheet, bar, top + _HEAD + _ROW * number, largest)


def _draw_bar(sheet: Canvas, bar: Bar, top: int, largest: float) -> None:
    width = round(_BARS_WIDTH * bar.value / largest)
    foot = top + 14
    sheet.text(bar.name, _NAMES_END, foot, DARK, capital_px=12, right=True)
    sheet.box(_BARS_LEFT, top, width, _BAR, bar.ink)
    sheet.text(bar.words, _BARS_LEFT + max(1, width) + 10, foot, DARK, capital_px=12)
