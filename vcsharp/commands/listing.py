"""What the commands that only list have in common: `--json`, and tables on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from vcsharp.console import setup_logging
from vcsharp.flags import Parser

PIPE_WIDTH = 200
"""Columns where there is no terminal: wide enough for `grep` to find whole rows."""


def wants_json(command: str, argv: Sequence[str], description: str, console: Console) -> bool:
    """Parses the arguments of a listing command; True for JSON, False for a table."""
    parser = Parser(
        prog=f"vcsharp {command}", usage=f"vcsharp {command} [--json]", description=description
    )
    parser.add_argument("--json", action="store_true", default=False, help="JSON for programs")
    parser.add_argument(
        "--debug", action="store_true", default=False, help="show the traceback of an error"
    )
    found = parser.parse(argv)
    setup_logging(console, bool(found["debug"]))
    return bool(found["json"])


def print_json(data: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def stdout_console() -> Console:
    """Tables are data: they go to stdout, not to where the messages go."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)
