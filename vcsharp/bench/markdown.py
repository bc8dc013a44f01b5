"""The outcome as a block for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vcsharp.bench.figures import Row
from vcsharp.bench.outcome import Outcome
from vcsharp.bench.words import circumstances_line, machine_lines, notes, rate_cells, row_cells

TITLES = {
    "networks": "Networks, one frame after the other",
    "gpu": "Networks on the GPU, three frames under way",
    "pipeline": "Whole pipeline, memory to null",
    "peers": "Others' sharpeners on the same frames, luma only",
    "cameras": "Several cameras at once, engines sharing the cores",
}


def markdown(found: Outcome) -> str:
    """Headings of the third level and tables; ends with a line break."""
    lines = [f"## {found.machine.cpu} ({found.circumstances.date[:10]})", ""]
    lines += [f"- {line}" for line in machine_lines(found.machine)]
    lines += [f"- {circumstances_line(found)}", ""]
    lines += _ceilings(found)
    for group, title in TITLES.items():
        lines += _table(title, found.of(group))
    lines += _ratios(found)
    lines += [f"- {line}" for line in notes(found)]
    return "\n".join(lines).rstrip() + "\n"


def _ceilings(found: Outcome) -> Iterator[str]:
    if found.ceilings:
        yield from _head(["This machine's own limits", "median", "best", "a CPU second", "unit"])
        for rate in found.ceilings:
            yield _line([rate.name, *rate_cells(rate)])
        yield ""


def _table(title: str, rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    heads, lines = row_cells(rows)
    yield from _head([title, *heads])
    for row, cells in zip(rows, lines, strict=True):
        yield _line([row.name, *cells])
    yield ""


def _ratios(found: Outcome) -> Iterator[str]:
    peers = list(dict.fromkeys(ratio.peer for ratio in found.ratios))
    if not peers:
        return
    yield from _head(["CPU time a frame, as a multiple of the others'", *peers])
    for network in dict.fromkeys(ratio.network for ratio in found.ratios):
        values = {r.peer: f"{r.cpu_ratio:.2f}" for r in found.ratios if r.network == network}
        yield _line([network, *(values[peer] for peer in peers)])
    yield ""


def _head(titles: Sequence[str]) -> list[str]:
    return [_line(titles), _line(["---", *["---:"] * (len(titles) - 1)])]


def _line(cells: Sequence[str]) -> str:
    """A row; a bar in a name would end its cell."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
