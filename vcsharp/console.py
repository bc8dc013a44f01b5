"""What people see on stderr: the live panel of a run, lines on a pipe, announcements, warnings.

Everything here writes through one rich Console, which is thread-safe, so that lines never tear the
panel.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vcsharp.redact import redact
from vcsharp.telemetry import Statistics, Telemetry

PANEL_PERIOD_S = 0.25
LINE_PERIOD_S = 10.0
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
PANEL_WIDTH = 96


class RunView(Protocol):
    """Shows a run.

    Thread-safety: any thread may announce; the owner of the run starts and finishes.
    """

    def announce(self, line: str) -> None:
        """Says one thing now, before, during or after the run."""

    def start(self, telemetry: Telemetry, total_frames: int | None) -> None:
        """Begins to show the figures; `total_frames` where it is known, for the progress bar."""

    def finish(self) -> None:
        """Ends the show and sums the run up. Idempotent; does nothing without `start`."""


def make_view(console: Console) -> RunView:
    """A live panel on a terminal, lines everywhere else."""
    live = console.is_terminal and not console.is_dumb_terminal
    return LiveView(console) if live else LineView(console)


def say(console: Console, text: str) -> None:
    """Prints `text` as one line whatever it holds: no markup, wrapping or control characters."""
    console.print(Text(one_line(text)), soft_wrap=True)


def one_line(text: str) -> str:
    """`text` with its control characters (a file name may hold any) written as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


class _ConsoleHandler(logging.Handler):
    """Log records as `vcsharp: warning: ...`, through the console that the panel uses."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        try:
            ours = record.name.partition(".")[0] == "vcsharp"
            origin = "" if ours else f"{record.name}: "
            text = f"vcsharp: {record.levelname.lower()}: {origin}{record.getMessage()}"
            say(self._console, priority(self._console, record.levelno) + redact(text))
        except Exception:  # noqa: BLE001  a log record must never end a run; logging's own rule
            self.handleError(record)


def priority(console: Console, level: int) -> str:
    """What the journal sorts lines by, as syslog numbers it; empty where people read."""
    if not goes_to_journal(console):
        return ""
    return next((f"<{number}>" for least, number in _PRIORITIES if level >= least), "<7>")


def goes_to_journal(console: Console) -> bool:
    """Whether the console's stream is the one that systemd reads for the journal."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        facts = os.fstat(console.file.fileno())
    except (OSError, ValueError):  # no descriptor, or a closed one
        return False
    return named == f"{facts.st_dev}:{facts.st_ino}"


def setup_logging(console: Console, debug: bool = False) -> None:  # noqa: FBT001, FBT002
    """Sends warnings (with `debug`, every step of vcsharp) to the console. May be called again."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _ConsoleHandler)]:
        root.removeHandler(handler)
    root.addHandler(_ConsoleHandler(console))
    logging.getLogger("vcsharp").setLevel(logging.DEBUG if debug else logging.WARNING)


class _Ticker(threading.Thread):
    """Calls `tick` every `period_s` until stopped."""

    def __init__(self, period_s: float, tick: Callable[[], None]) -> None:
        super().__init__(name="vcsharp-console", daemon=True)
        self._period_s, self._tick = period_s, tick
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(self._period_s):
            self._tick()

    def stop(self) -> None:
        self._ended.set()
        self.join(timeout=2)


class LineView:
    """A line every ten seconds: for pipes, log files and the journal."""

    def __init__(self, console: Console, period_s: float = LINE_PERIOD_S) -> None:
        self._console, self._period_s = console, period_s
        self._telemetry: Telemetry | None = None
        self._total_frames: int | None = None
        self._ticker: _Ticker | None = None

    def announce(self, line: str) -> None:
        """Says one thing now."""
        say(self._console, line)

    def start(self, telemetry: Telemetry, total_frames: int | None) -> None:
        """Begins to show the figures."""
        self._telemetry, self._total_frames = telemetry, total_frames
        self._ticker = _Ticker(self._period_s, self._tick)
        self._ticker.start()

    def finish(self) -> None:
        """Ends the show and sums the run up."""
        if self._ticker is None or self._telemetry is None:
            return
        self._ticker.stop()
        self._ticker = None
        self._clear()
        for line in summary(self._telemetry):
            say(self._console, line)

    def _tick(self) -> None:
        if self._telemetry is not None:
            clock = time.strftime("%H:%M:%S")
            say(self._console, f"{clock} {figures_line(self._telemetry, self._total_frames)}")

    def _clear(self) -> None:
        """Takes away what must not stay on the screen."""


class LiveView(LineView):
    """One panel that is drawn four times a second, in place."""

    def __init__(self, console: Console, period_s: float = PANEL_PERIOD_S) -> None:
        super().__init__(console, period_s)
        self._live: Live | None = None

    def start(self, telemetry: Telemetry, total_frames: int | None) -> None:
        """Puts the panel on the screen."""
        self._live = Live(
            panel(telemetry, total_frames, self._width),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)
        self._console.show_cursor()  # a second Ctrl-C would leave it hidden
        super().start(telemetry, total_frames)

    @property
    def _width(self) -> int:
        return min(self._console.width - len("^C"), PANEL_WIDTH)  # its echo must not wrap

    def _tick(self) -> None:
        if self._live is not None and self._telemetry is not None:
            drawn = panel(self._telemetry, self._total_frames, self._width)
            self._live.update(drawn, refresh=True)

    def _clear(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def panel(telemetry: Telemetry, total_frames: int | None, width: int) -> RenderableType:
    """The run as a box `width` columns wide."""
    facts, now = telemetry.facts, telemetry.snapshot()
    fps_in, fps_out = telemetry.rates()
    stages = "   ".join(f"{name} {value:.1f} ms" for name, value in now.stage_ms.items())
    rows = [
        ("source", facts.source),
        ("sinks", ", ".join(facts.sinks)),
        ("model", f"{facts.title} on {facts.device} ({facts.backend}), tiles {facts.tile}"),
        ("picture", f"{facts.size}   {fps_in:.1f} fps in   {fps_out:.1f} fps out"),
        *_tiles(now, telemetry.step),
        ("latency", f"p50 {now.latency_ms['p50']:.1f} ms   p95 {now.latency_ms['p95']:.1f} ms"),
        ("stages", stages),
        ("frames", _counts(now)),
        ("load", f"{now.cpu_percent:.0f} % of a core   {now.rss_mib:.0f} MiB"),
    ]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, Text(one_line(value)))
    body = grid if total_frames is None else Group(grid, _progress(now, total_frames))
    title = Text(one_line(f"vcsharp - {telemetry.status} - {_clock(now.seconds)}"))
    return Panel(body, title=title, title_align="left", width=width, subtitle="Ctrl-C ends")


def _tiles(now: Statistics, step: str) -> list[tuple[str, str]]:
    """A row only where not every tile is computed in every frame."""
    words = [step] if step else []
    if now.kept_percent:
        words.append(f"{now.kept_percent:.0f} % unchanged, kept")
    return [("tiles", "; ".join(words))] if words else []


def _progress(now: Statistics, total_frames: int) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 2))
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_row(
        ProgressBar(total=total_frames, completed=min(now.frames_out, total_frames)),
        _percent(now, total_frames),
    )
    return grid


def figures_line(telemetry: Telemetry, total_frames: int | None) -> str:
    """The run in one line, for logs."""
    now = telemetry.snapshot()
    fps_in, fps_out = telemetry.rates()
    parts = [telemetry.status] if total_frames is None else [_percent(now, total_frames)]
    parts += [f"{fps_in:.1f} fps in, {fps_out:.1f} fps out", _latency(now), _counts(now)]
    return "; ".join(parts)


def summary(telemetry: Telemetry) -> list[str]:
    """What was done, and where the files are; nothing where no frame came through."""
    now = telemetry.snapshot()
    if not now.frames_out:
        return []
    files = [Path(sink) for sink in telemetry.facts.sinks if Path(sink).is_file()]
    return [
        f"{now.frames_out} frames in {now.seconds:.1f} s, {now.fps:.1f} fps; {_losses(now)}",
        _latency(now),
        *map(_written, files),
    ]


def _written(path: Path) -> str:
    return f"written: {path} ({path.stat().st_size / 2**20:.1f} MiB)"


def _counts(now: Statistics) -> str:
    return f"{now.frames_in} in, {now.frames_out} out, {_losses(now)}"


def _losses(now: Statistics) -> str:
    return f"{now.frames_dropped} dropped, {now.frames_repeated} repeated"


def _latency(now: Statistics) -> str:
    return f"latency p50 {now.latency_ms['p50']:.1f} ms, p95 {now.latency_ms['p95']:.1f} ms"


def _percent(now: Statistics, total_frames: int) -> str:
    done = min(now.frames_out / total_frames, 1.0)
    left = _clock((total_frames - now.frames_out) / now.fps) if now.fps > 0 else "-:--:--"
    return f"{100 * done:.0f} %, {left} left"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=max(0, round(seconds))))
