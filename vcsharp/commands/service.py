"""`vcsharp service`: has systemd start vcsharp."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from vcsharp.commands.listing import print_json, stdout_console
from vcsharp.console import say, setup_logging
from vcsharp.errors import SettingsError
from vcsharp.flags import Parser
from vcsharp.service.change import Change
from vcsharp.service.place import Place
from vcsharp.service.status import status
from vcsharp.settings import nearest

DESCRIPTION = """\
Has systemd start vcsharp at login (or, with --system, at boot), watch it and
start it again.

COMMAND is one of
  install   put the unit in place, enable and start it; every step is told,
            and what only root can do is told as commands
  remove    stop it, and delete what install has written
  status    how it does: state, restarts, last errors, whether the run answers
"""

EPILOG = """\
examples:
  vcsharp service install --dry-run
  vcsharp service install
  sudo vcsharp service install --system --instance desk
      a service of the machine, set up in /etc/vcsharp/desk.toml
  vcsharp service status --json

exit codes: 0 done, or the service runs; 1 systemd or a file refused; 2 bad
usage; 3 the service does not run
"""

COMMANDS = ("install", "remove", "status")
NOT_RUNNING = 3
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def main(argv: Sequence[str], console: Console) -> int:
    """Parses the arguments and does it; returns the exit code."""
    found = _parser().parse(argv)
    setup_logging(console, found["debug"])
    command = _command(found["words"])
    place = Place(system=found["system"], instance=_instance(found["instance"]))
    if command == "status":
        return _show(place, as_json=found["json"])
    change = Change(
        place,
        lambda line: say(stdout_console(), line),
        dry_run=found["dry_run"],
        now=found["now"],
        force=found["force"],
    )
    (change.install if command == "install" else change.remove)()
    return 0


def _show(place: Place, *, as_json: bool) -> int:
    found = status(place)
    if as_json:
        print_json(found.as_data())
    else:
        for line in found.lines():
            say(stdout_console(), line)
    return 0 if found.active in ("active", "reloading") else NOT_RUNNING


def _parser() -> Parser:
    parser = Parser(
        prog="vcsharp service",
        usage="vcsharp service install|remove|status [--system] [--instance NAME] [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add: Any = parser.add_argument
    add("words", metavar="COMMAND", nargs="*", default=[], help="see above")
    for flag, text in (
        ("--system", "the machine's service, not this user's; needs root"),
        ("--dry-run", "only show files and commands"),
        ("--force", "overwrite or delete a unit that was changed by hand"),
        ("--json", "status as JSON"),
        ("--debug", "show the traceback of an error"),
    ):
        add(flag, action="store_true", default=False, help=text)
    text = "start it at once, or stop it (default: on)"
    add("--now", action=argparse.BooleanOptionalAction, default=True, help=text)
    add("--instance", metavar="NAME", default="default", help="which service (default: default)")
    return parser


def _command(words: Sequence[str]) -> str:
    if len(words) != 1:
        raise SettingsError(f"service: name one of {', '.join(COMMANDS)} (see --help)")
    if words[0] not in COMMANDS:
        hint = nearest(words[0], COMMANDS)
        raise SettingsError(f"service: no command is called '{words[0]}'{hint} (see --help)")
    return words[0]


def _instance(name: str) -> str:
    if _NAME.fullmatch(name) is None or name.startswith(("-", ".")):
        raise SettingsError(f"instance: '{name}' should be letters, digits, '.', '_' and '-'")
    return name
