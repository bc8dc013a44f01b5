"""`vcsharp bench`: what this machine can do, and what each network makes of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from vcsharp import catalogue
from vcsharp.commands.listing import print_json, stdout_console
from vcsharp.console import say, setup_logging
from vcsharp.errors import SettingsError
from vcsharp.flags import Parser
from vcsharp.settings import nearest
from vcsharp.signals import signals_obeyed

if TYPE_CHECKING:
    from vcsharp.bench.outcome import Outcome
    from vcsharp.bench.runner import Wish
    from vcsharp.catalogue import Architecture, Model

DESCRIPTION = """\
Measures this machine and everything on it that sharpens, in rounds: all take a
short turn, then all again, so that whatever slows the machine down for a while
slows all of them down. Medians of the rounds are shown.

  ceilings   the machine's own limits: int8 and fp32 matrix products, memory
             copies; on one thread, on all, and on a GPU if there is one
  networks   each network on each backend, at 1080p, 720p and 480p
  gpu        each network on a GPU with three frames under way, for each way to
             launch the work; what upload, compute and download take
  pipeline   the whole way of a frame from memory to nowhere, without a network
             and with each; latency at 30 fps
  peers      FFmpeg's cas and unsharp, OpenCV's unsharp, on the same frames
  cameras    1, 2 and 4 cameras at once

Columns: ms, p95, p99 wall-clock time of a frame, CPU ms the time of all
threads together; "% limit" is the network's rate of multiplications, of what
the machine reached in this run, "by CPU" the same in CPU time (on a busy
machine only that says something); MiB is what a network added to the memory.
"""

EPILOG = """\
examples:
  vcsharp bench
  vcsharp bench --quick --only networks
  vcsharp bench --model training/runs/mine --plot bench.png
  vcsharp bench --json | jq '.rows[] | select(.group == "pipeline")'

Ctrl-C ends it with what was measured so far.

exit codes: 0 measured (what this machine has not is left out, and named);
1 something failed, the rest was measured; 2 bad usage; 130 Ctrl-C
"""

SECONDS, QUICK_SECONDS = 110.0, 20.0
"""Two minutes at most, even where a slow machine needs the time that is granted on top."""
LEAST_SECONDS, MOST_SECONDS = 1.0, 3600.0


def main(argv: Sequence[str], console: Console) -> int:
    """Measures, prints, and returns the exit code."""
    given = _parser().parse(argv)
    setup_logging(console, bool(given["debug"]))
    names = given["only"] or []
    models = _models(given["model"] or [], names)
    wish, chosen = _wish(given, names, models)
    if given["plot"] is not None:
        _refuse_folder(given["plot"])
    found = _measured(chosen, wish, console)
    _print(found, given)
    if given["plot"] is not None:
        _plot(found, given["plot"], console)
    if found.circumstances.interrupted:
        return 130
    return 1 if found.failed else 0


def _measured(models: Sequence[Model], wish: Wish, console: Console) -> Outcome:
    from vcsharp.bench.progress import shown
    from vcsharp.bench.runner import measure

    stop = threading.Event()
    with signals_obeyed(stop, reload=lambda: None), shown(console) as tell:
        return measure(models, wish, tell, stop.is_set)


def _print(found: Outcome, given: dict[str, Any]) -> None:
    if given["json"]:
        print_json(found.as_dict())
    elif given["markdown"]:
        from vcsharp.bench.markdown import markdown

        sys.stdout.write(markdown(found))
    else:
        from vcsharp.bench.table import tables

        out = stdout_console()
        out.print(tables(found, out))


def _plot(found: Outcome, path: Path, console: Console) -> None:
    from vcsharp.bench.canvas import save
    from vcsharp.bench.plot import plot

    save(plot(found), path)
    say(console, f"plot: {path}")


def _refuse_folder(path: Path) -> None:
    """Two minutes before the file would be written."""
    if path.is_dir() or not path.parent.is_dir():
        raise SettingsError(f"plot: '{path}' is no file in a folder that exists")
    if path.suffix.lower() != ".png":
        raise SettingsError(f"plot: '{path}' should end in .png")


def _models(folders: Sequence[str], names: Sequence[str]) -> list[Model]:
    """The catalogue's and those of the folders, cheapest first. Raises ModelError.

    A variant costs what its tier costs: of the catalogue's models with one shape the first is
    measured, unless another is named.
    """
    known: dict[str, Model] = {}
    shapes: set[Architecture] = set()
    for model in catalogue.every():
        if model.card.architecture not in shapes or model.card.name in names:
            known[model.card.name] = model
        shapes.add(model.card.architecture)
    for folder in folders:
        model = catalogue.load(Path(folder).expanduser())
        known[model.card.name] = model
    return sorted(known.values(), key=lambda model: model.card.mac_per_px)


def _wish(
    given: dict[str, Any], names: Sequence[str], models: Sequence[Model]
) -> tuple[Wish, list[Model]]:
    """Groups and models by name. Raises SettingsError for names of neither."""
    from vcsharp.bench.runner import QUICK_ROUNDS, ROUNDS, Wish
    from vcsharp.bench.suite import GROUPS, Choice

    known = [model.card.name for model in models]
    for name in names:
        if name not in GROUPS and name not in known:
            hint = nearest(name, [*GROUPS, *known])
            raise SettingsError(
                f"only: no group or model is called '{name}'{hint} (see vcsharp bench --help)"
            )
    quick = bool(given["quick"])
    default_s = QUICK_SECONDS if quick else SECONDS
    seconds = _seconds(given["seconds"]) if given["seconds"] is not None else default_s
    groups = frozenset(name for name in names if name in GROUPS) or frozenset(GROUPS)
    chosen = [model for model in models if model.card.name in names]
    wish = Wish(Choice(groups, quick), seconds, QUICK_ROUNDS if quick else ROUNDS)
    return wish, chosen or list(models)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not LEAST_SECONDS <= value <= MOST_SECONDS:
        raise SettingsError(
            f"seconds: should be a number from {LEAST_SECONDS:g} to {MOST_SECONDS:g}, got '{text}'"
        )
    return value


def _parser() -> Parser:
    parser = Parser(
        prog="vcsharp bench",
        usage="vcsharp bench [--quick] [--only NAME ...] [--json | --markdown] [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add: Any = parser.add_argument
    add("--quick", action="store_true", default=False, help="20 seconds, and 1080p only")
    add("--seconds", metavar="S", default=None, help="take about so long (default: 110)")
    add(
        "--only",
        metavar="NAME",
        action="append",
        default=None,
        help="this group, or this network; repeatable",
    )
    add(
        "--model",
        metavar="DIR",
        action="append",
        default=None,
        help="the network in this folder too; repeatable",
    )
    form = parser.add_mutually_exclusive_group()
    add_form: Any = form.add_argument
    add_form("--json", action="store_true", default=False, help="JSON for programs")
    add_form(
        "--markdown", action="store_true", default=False, help="a block for docs/benchmarks.md"
    )
    add("--plot", metavar="FILE.png", type=Path, default=None, help="draw the bars into a picture")
    add("--debug", action="store_true", default=False, help="show the traceback of an error")
    return parser
