"""What a run looks like on a terminal and on a pipe."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from vcsharp import console as views
from vcsharp.console import LineView, LiveView, make_view, setup_logging
from vcsharp.mailbox import Mailbox
from vcsharp.telemetry import RunFacts, Telemetry

FACTS = RunFacts(
    source="demo",
    sinks=("http://127.0.0.1:8321/",),
    model="nano",
    device="cpu",
    backend="ort int8",
    size="1920x1080",
    tile="12 x 512x384",
)


def terminal(width: int = 80) -> tuple[Console, StringIO]:
    out = StringIO()
    return Console(file=out, force_terminal=True, width=width, _environ={"TERM": "xterm"}), out


def pipe() -> tuple[Console, StringIO]:
    out = StringIO()
    return Console(file=out, _environ={}), out


def busy(facts: RunFacts = FACTS, frames: int = 3) -> Telemetry:
    telemetry = Telemetry(facts)
    telemetry.status = "live"
    for _ in range(frames):
        telemetry.frame_in()
        telemetry.frame_out(time.monotonic_ns() - 7_000_000)
    mailbox: Mailbox[int] = Mailbox()
    for item in range(3):
        mailbox.put(item)
    telemetry.count_drops_of([mailbox], [])
    telemetry.frame_repeated()
    return telemetry


def wait_until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def drawn(telemetry: Telemetry, total_frames: int | None, width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width).print(views.panel(telemetry, total_frames, width))
    return out.getvalue()


def test_a_terminal_gets_the_panel_and_everything_else_gets_lines() -> None:
    assert isinstance(make_view(terminal()[0]), LiveView)
    assert type(make_view(pipe()[0])) is LineView
    dumb = Console(file=StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert type(make_view(dumb)) is LineView


def test_the_panel_shows_every_figure() -> None:
    text = drawn(busy(), None)
    for words in (
        "demo",
        "http://127.0.0.1:8321/",
        "nano on cpu (ort int8)",
        "12 x 512x384",
        "1920x1080",
        "fps in",
        "fps out",
        "p50 7.",
        "p95 7.",
        "capture 0.0 ms",
        "engine 0.0 ms",
        "3 in, 3 out, 2 dropped, 1 repeated",
        "MiB",
        "live",
        "0:00:00",
    ):
        assert words in text, words
    assert "left" not in text


def test_the_panel_names_the_expert_at_work() -> None:
    text = drawn(busy(replace(FACTS, expert="call")), None)
    assert "nano/call on cpu (ort int8)" in text


def test_the_panel_tells_of_kept_tiles_and_of_what_is_left_out() -> None:
    telemetry = busy()
    assert "tiles " not in drawn(telemetry, None).replace("tiles 12", "")
    telemetry.tiles(3, 9, 0)
    telemetry.stepped(up=False, words="half of the tiles")
    assert "half of the tiles; 75 % unchanged, kept" in drawn(telemetry, None)


@pytest.mark.parametrize("width", [40, 80, 96])
def test_the_panel_keeps_its_shape(width: int) -> None:
    long = RunFacts(source="rtsp://camera/" + "x" * 200, sinks=("[bold]", "two\nlines"))
    lines = drawn(busy(long), 30, width).splitlines()
    assert {len(line) for line in lines} == {width}
    assert "[bold], two\\nlines" in "".join(line.strip("│ ") for line in lines)


def test_the_panel_has_a_bar_with_the_time_left_where_the_end_is_known() -> None:
    text = drawn(busy(frames=3), 30)
    assert "10 %" in text
    assert re.search(r"\d:\d\d:\d\d left", text)
    assert "-:--:-- left" in drawn(busy(frames=0), 30)
    assert "100 %, 0:00:00 left" in drawn(busy(frames=31), 30)


def test_the_live_view_refreshes_and_leaves_only_the_summary() -> None:
    console, out = terminal()
    view, telemetry = LiveView(console, period_s=0.01), busy()
    view.start(telemetry, None)
    assert any(thread.name == "vcsharp-console" for thread in threading.enumerate())
    view.announce("sink: http://127.0.0.1:8321/")
    telemetry.status = "reconnecting: no answer"
    wait_until(lambda: "reconnecting: no answer" in plain(out.getvalue()))
    view.finish()
    view.finish()
    assert all(thread.name != "vcsharp-console" for thread in threading.enumerate())
    last = plain(out.getvalue()).splitlines()[-2:]
    assert last[0].startswith("3 frames in ")
    assert last[1].startswith("latency ")
    assert "sink: http://127.0.0.1:8321/\n" in plain(out.getvalue())
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


def test_the_panel_leaves_room_for_the_echo_of_ctrl_c() -> None:
    console, out = terminal(width=80)
    view = LiveView(console)
    view.start(busy(), None)
    view.finish()
    box = [line for line in plain(out.getvalue()).splitlines() if line.startswith("│")]
    assert {len(line) for line in box} == {78}


def test_the_line_view_writes_plain_lines() -> None:
    console, out = pipe()
    view = LineView(console, period_s=0.01)
    view.announce("source: demo scene (no camera found)")
    view.start(busy(), None)
    wait_until(lambda: out.getvalue().count("fps in") >= 2)
    view.finish()
    lines = out.getvalue().splitlines()
    assert lines[0] == "source: demo scene (no camera found)"
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d live; [\d.]+ fps in, [\d.]+ fps out; "
        r"latency p50 [\d.]+ ms, p95 [\d.]+ ms; 3 in, 3 out, 2 dropped, 1 repeated",
        lines[1],
    )
    assert "\x1b" not in out.getvalue()


def test_the_line_view_tells_the_time_left_where_the_end_is_known() -> None:
    assert re.match(r"10 %, \d:\d\d:\d\d left; ", views.figures_line(busy(frames=3), 30))


def test_a_view_that_was_never_started_says_nothing_at_the_end() -> None:
    console, out = pipe()
    LineView(console).finish()
    assert out.getvalue() == ""


def test_the_summary_names_the_files_that_were_written(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    path.write_bytes(bytes(2**20))
    lines = views.summary(busy(RunFacts(sinks=(str(path), "null", "preview"))))
    assert lines[0].endswith("fps; 2 dropped, 1 repeated")
    assert lines[1].startswith("latency p50 7.")
    assert lines[2:] == [f"written: {path} (1.0 MiB)"]


def test_a_run_without_a_frame_claims_nothing(tmp_path: Path) -> None:
    (tmp_path / "old.mkv").touch()
    facts = RunFacts(sinks=(str(tmp_path / "old.mkv"),))
    assert views.summary(busy(facts, frames=0)) == []


def test_announcements_are_one_line_without_markup_or_control_characters() -> None:
    console, out = pipe()
    make_view(console).announce("[red]a[/red]\n\x1b[2J\udcff " + "x" * 200)
    assert out.getvalue() == "[red]a[/red]\\n\\x1b[2J\\udcff " + "x" * 200 + "\n"


def test_warnings_come_as_one_line_and_steps_only_with_debug() -> None:
    console, out = pipe()
    setup_logging(console)
    setup_logging(console)
    logging.getLogger("vcsharp.sinks.file").warning("slow disk: %s ms", 90)
    logging.getLogger("vcsharp.sinks.file").debug("a step")
    logging.getLogger("uvicorn.error").error("no")
    assert out.getvalue().splitlines() == [
        "vcsharp: warning: slow disk: 90 ms",
        "vcsharp: error: uvicorn.error: no",
    ]
    setup_logging(console, debug=True)
    logging.getLogger("vcsharp.sinks.file").debug("a step")
    assert out.getvalue().endswith("vcsharp: debug: a step\n")
