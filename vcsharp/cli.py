"""The command `vcsharp`: picks the subcommand, turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from rich.console import Console

import vcsharp
from vcsharp import settings
from vcsharp.console import priority, say
from vcsharp.errors import SettingsError, VcsharpError
from vcsharp.redact import redact

INTERRUPTED = 128 + 2  # SIGINT
BROKEN_PIPE = 128 + 13  # SIGPIPE

COMMANDS = {
    "run": "sharpen a camera, a stream or a video file, live",
    "image": "sharpen stills and folders of stills",
    "devices": "list cameras, virtual cameras and what can run the network",
    "models": "list the networks: size, cost, gain",
    "bench": "measure this machine, the networks on it, and what others take",
    "ctl": "steer a run while it goes: state, pause, source, strength, ...",
    "ui": "open the control page of a run in the browser",
    "doctor": "check cameras, virtual cameras, services; name each cure",
    "service": "install, remove or look at the systemd service",
}
"""Name of each module in `vcsharp.commands`, and what it does."""

HELP = """\
vcsharp makes a soft webcam or a badly connected camera look sharp, live, on
this machine: a small neural network runs on every frame, and the result is a
virtual camera that Zoom, Teams, Meet or OBS can select.

usage: vcsharp COMMAND [options]

commands:
{commands}

examples:
  vcsharp run
      the first working camera into the virtual camera
  vcsharp run --source demo --sink preview
      see it work in the browser, without a camera
  vcsharp run --source rtsp://host/stream --sink virtual --sink preview
      a network camera into the virtual camera, with a look at it
  vcsharp run --source talk.mp4 --sink out.mp4
      a video file
  vcsharp image photos/ --output sharp/
      every picture of a folder

Each command explains itself: vcsharp run --help

options:
  -h, --help   show this text
  --version    show the version

exit codes: 0 done, or asked to stop; 1 failed while running; 2 bad settings or
usage; 3 never came up; 130 Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `argv` (default: the process's own arguments); returns the exit code, never raises."""
    console = Console(stderr=True)
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv), console)
        sys.stdout.flush()
    except VcsharpError as error:
        return _complain(console, str(error), error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  the last resort: people get a line, not a traceback
        cure = "run again with --debug for the details"
        return _complain(console, f"internal error: {type(error).__name__}: {error}; {cure}", 1)
    return code


def _dispatch(argv: list[str], console: Console) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        return _show(_help())
    if argv[0] == "--version":
        return _show(f"vcsharp {vcsharp.__version__}\n")
    name, *rest = argv
    if name.startswith("-"):
        raise SettingsError(f"the command comes first, then '{name}': vcsharp run {' '.join(argv)}")
    if name not in COMMANDS:
        hint = settings.nearest(name, COMMANDS)
        raise SettingsError(f"no command is called '{name}'{hint} (see vcsharp --help)")
    command = importlib.import_module(f"vcsharp.commands.{name}")
    try:
        return int(command.main(rest, console))
    except SystemExit as leaving:  # argparse after --help
        return leaving.code if isinstance(leaving.code, int) else 0


def _help() -> str:
    return HELP.format(commands="\n".join(f"  {name:9}{text}" for name, text in COMMANDS.items()))


def _show(text: str) -> int:
    sys.stdout.write(text)
    return 0


def _complain(console: Console, text: str, exit_code: int) -> int:
    """One line per fault; the traceback too if the command was called with --debug."""
    if logging.getLogger("vcsharp").isEnabledFor(logging.DEBUG):
        trace = redact(traceback.format_exc())
        console.print(trace, markup=False, highlight=False, soft_wrap=True)
    for line in text.splitlines() or [""]:
        say(console, f"{priority(console, logging.ERROR)}vcsharp: {redact(line)}")
    return exit_code


def _silence_stdout() -> None:
    """The reader of our output has gone; Python would complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
