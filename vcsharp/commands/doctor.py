"""`vcsharp doctor`: what is wrong on this machine, and the command that helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from vcsharp.commands.listing import print_json, stdout_console
from vcsharp.console import setup_logging
from vcsharp.doctor.finding import Status
from vcsharp.doctor.report import as_data, counts, show
from vcsharp.doctor.runner import CHECKS, Check, run_checks
from vcsharp.doctor.world import this_world
from vcsharp.errors import SettingsError
from vcsharp.flags import Parser
from vcsharp.settings import nearest

DESCRIPTION = """\
Looks at everything that vcsharp needs - cameras, virtual cameras, what runs the
network, the service - and prints a line for each: ok, warning or failed, and
below it the command that helps. Nothing is changed on the machine.

What is missing is "failed" where the settings (file and variables) ask for it,
and a warning where vcsharp works without it, as the demo and the preview do.

checks: {checks}
"""

EPILOG = """\
examples:
  vcsharp doctor
  vcsharp doctor --only cameras --only modes
  VCSHARP_SOURCE=0 VCSHARP_SINK=virtual vcsharp doctor
      as a call needs it: a camera and a virtual camera must be there
  vcsharp doctor --json | jq '.findings[] | select(.status != "ok")'

exit codes: 0 nothing failed (there may be warnings); 1 a check failed;
2 bad usage
"""

WIDTH = 80


def main(argv: Sequence[str], console: Console) -> int:
    """Runs the checks and prints what they found; returns 1 if any failed."""
    wish = _parser().parse(argv)
    setup_logging(console, bool(wish["debug"]))
    checks = _chosen(wish["only"] or [])
    outcomes = run_checks(this_world(wish["config"]), checks, strict=bool(wish["debug"]))
    if wish["json"]:
        print_json(as_data(outcomes))
    else:
        show(outcomes, stdout_console())
    return 1 if counts(outcomes)[Status.FAILED] else 0


def _parser() -> Parser:
    parser = Parser(
        prog="vcsharp doctor",
        usage="vcsharp doctor [--json] [--only NAME ...] [--config FILE.toml]",
        description=DESCRIPTION.format(checks=_listed()),
        epilog=EPILOG,
    )
    add: Any = parser.add_argument
    add("--json", action="store_true", default=False, help="JSON for programs")
    add("--only", metavar="NAME", action="append", default=None, help="this check only; repeatable")
    add("--config", metavar="FILE.toml", type=Path, default=None, help="another settings file")
    add(
        "--debug",
        action="store_true",
        default=False,
        help="show the traceback of a check that breaks",
    )
    return parser


def _chosen(names: Sequence[str]) -> list[Check]:
    known = [check.name for check in CHECKS]
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            raise SettingsError(f"no check is called '{name}'{hint} (see vcsharp doctor --help)")
    return [check for check in CHECKS if not names or check.name in names]


def _listed() -> str:
    """The names of the checks, in lines that fit a terminal."""
    lines = ["checks:"]
    for check in CHECKS:
        if len(lines[-1]) + len(check.name) + 2 > WIDTH:
            lines.append(" " * 7)
        lines[-1] += f" {check.name},"
    return "\n".join(lines).removeprefix("checks: ").rstrip(",")
