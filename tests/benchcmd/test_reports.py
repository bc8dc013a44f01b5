"""What people and programs get to see."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from vcsharp.bench.contender import Sample, Subject
from vcsharp.bench.markdown import markdown
from vcsharp.bench.outcome import outcome
from vcsharp.bench.plot import WIDTH, plot
from vcsharp.bench.progress import shown
from vcsharp.bench.rounds import Step
from vcsharp.bench.table import BAR_CELLS, bar, tables

from .plants import HD, MACHINE, NETWORK, VGA, course, planted_outcome


def table_text(width: int, *, terminal: bool = True, **facts: Any) -> str:
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    console.print(tables(planted_outcome(**facts), console))
    return file.getvalue()


def line_with(text: str, *words: str) -> str:
    return next(line for line in text.splitlines() if all(word in line for word in words))


def test_the_table_names_machine_limits_and_figures() -> None:
    text = table_text(120)
    assert "Planted CPU, 2 of 8 cores, limited to 1.5, 4 GiB" in text
    assert "AVX2 AVX512-VNNI; GPU: none" in text
    assert "vcsharp 0.9 (abc123)" in text
    assert line_with(text, "int8 products").split()[2:4] == ["100", "200"]
    cells = line_with(text, "nano int8 ort cpu", "1920x1080").split()[5:12]
    assert cells == ["40.0", "49.0", "49.8", "25.0", "50.0", "50", "40"]


def test_the_table_says_what_was_not_measured_and_why() -> None:
    text = table_text(120)
    assert "not measured (no NVIDIA GPU): nano fp16 torch cuda" in text
    assert "failed: base int8 ort cpu 1920x1080: ONNX Runtime failed: planted" in text


def test_a_size_that_was_left_out_is_named_where_another_was_measured() -> None:
    facts: dict[str, Any] = {"group": "networks", "name": "nano int8", **NETWORK}
    courses = [
        course(Subject(size=HD, **facts), Sample(1, 1.0, 1.0, (1000.0,))),
        course(Subject(size=VGA, **facts), absent="no time left"),
    ]
    run = planted_outcome().circumstances
    assert outcome(courses, MACHINE, run, None).absent == {"no time left": ["nano int8 640x480"]}


def test_the_table_judges_linear_cost_and_tells_latency() -> None:
    text = table_text(120)
    assert "% off at most (ok)" in line_with(text, "ms a megapixel")
    assert "40 % off at most (more than 15)" in line_with(text, "1, 2 cameras")
    assert "p95 16.0" in text
    assert "2 of 150 frames dropped" in text


def test_what_a_student_does_end_to_end_stands_in_a_line() -> None:
    assert line_with(table_text(200), "end to end") == (
        "nano int8 end to end at 1920x1080: 20.0 fps, 30.0 ms CPU a frame (ffmpeg cas: 60.0); "
        "the network alone at 50 % of the int8 matrix rate, 40 % by CPU time"
    )


def test_a_busy_machine_is_named() -> None:
    assert "only ratios say something" in table_text(120, others_percent=60.0)
    assert "only ratios say something" not in table_text(120, others_percent=2.0)


def test_bars_are_for_terminals_that_are_wide_enough() -> None:
    assert "█" in table_text(120)
    assert "█" not in table_text(80)
    assert "█" not in table_text(200, terminal=False)


def test_a_narrow_terminal_shows_every_figure_in_full() -> None:
    text = table_text(80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "CPU ms % limit by CPU" in text
    assert "others' sharpeners on the same frames, luma only\n" in text


@pytest.mark.parametrize(("share", "cells"), [(1.0, BAR_CELLS), (0.5, BAR_CELLS / 2)])
def test_a_bars_length_is_its_share(share: float, cells: float) -> None:
    assert len(bar(share)) == cells
    assert bar(share, blocks=False) == "#" * int(cells)


def test_the_smallest_share_is_still_seen() -> None:
    assert bar(1e-9) == "▏"
    assert bar(1e-9, blocks=False) == "#"


def test_the_json_document_has_all_figures_under_their_units() -> None:
    data = json.loads(json.dumps(planted_outcome().as_dict()))
    assert list(data) == [
        "schema",
        "machine",
        "run",
        "ceilings",
        "rows",
        "linear",
        "ratios",
        "live",
        "not_measured",
        "failed",
    ]
    row = data["rows"][0]
    assert (row["name"], row["size"]) == ("nano int8 ort cpu", [1920, 1080])
    assert (row["ms"], row["ms_p95"], row["fps"], row["cpu_ms"]) == (40.0, 49.0, 25.0, 50.0)
    assert (row["ceiling_percent"], row["cpu_ceiling_percent"]) == (50.0, 40.0)
    assert data["ceilings"][0]["unit"] == "GMAC/s"
    assert data["ratios"][0]["cpu_ratio"] == 0.5
    assert data["not_measured"] == [{"why": "no NVIDIA GPU", "what": ["nano fp16 torch cuda"]}]
    assert data["machine"]["commit"] == "abc123"
    assert data["live"]["latency_ms"]["p95"] == 16.0


def test_markdown_is_tables_whose_rows_have_as_many_cells_as_their_heads() -> None:
    text = markdown(planted_outcome())
    assert text.startswith("## Planted CPU (2026-01-02)\n")
    assert "| nano int8 ort cpu | 1920x1080 | 40.0 | 49.0 | 49.8 | 25.0 | 50.0 | 50 | 40 |" in text
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


def test_columns_that_nobody_fills_are_left_out() -> None:
    text = markdown(planted_outcome())
    assert "| Whole pipeline, memory to null | size | ms | fps | CPU ms |" in text


def test_the_plots_bars_are_as_long_as_their_values() -> None:
    pixels = cv2.imdecode(np.frombuffer(plot(planted_outcome()), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape[1] == WIDTH
    grey = (np.abs(pixels.astype(int) - (170, 162, 150)).sum(2) < 3).sum(1)
    blue = (np.abs(pixels.astype(int) - (196, 122, 46)).sum(2) < 3).sum(1)
    # `nano int8` takes 30 ms of CPU time, the peer below it 60: a bar of half the length.
    assert grey.max() == 500
    assert 250 in set(blue)


def test_a_plot_of_nothing_is_still_a_picture() -> None:
    nothing = planted_outcome()
    for rows in (nothing.rows, nothing.ceilings):
        rows.clear()
    assert plot(nothing).startswith(b"\x89PNG")


def test_progress_on_a_pipe_is_a_line_for_each_stage() -> None:
    file = StringIO()
    with shown(Console(file=file)) as tell:
        tell(Step("preparing", "a", 0.0, 60.0))
        tell(Step("preparing", "b", 1.0, 60.0))
        tell(Step("round 1 of 3", "a", 20.0, 60.0))
    assert file.getvalue() == "bench: preparing, 60 s left\nbench: round 1 of 3, 40 s left\n"


def test_progress_on_a_terminal_names_the_contender_and_the_time_left() -> None:
    file = StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    with shown(console) as tell:
        tell(Step("round 2 of 3", "nano int8", 45.0, 60.0))
    assert "15 s left" in file.getvalue()
    assert "round 2 of 3  nano int8" in file.getvalue()
