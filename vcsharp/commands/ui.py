"""`vcsharp ui`: the control page of a run, opened in the browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Sequence

from rich.console import Console

from vcsharp.commands.listing import print_json
from vcsharp.console import say, setup_logging
from vcsharp.flags import Parser
from vcsharp.settings import RunSettings, load

DESCRIPTION = """\
Opens the control page of a running vcsharp in the browser: the live picture
before and after, strength, model, source, the switch, figures and faults.

The page is served on 127.0.0.1 only, by the run itself, from the moment that it
is asked for. Its address holds a key: whoever has it can steer this run.
"""

EPILOG = """\
exit codes: 0 done; 2 bad usage; 3 no run answers
"""


def main(argv: Sequence[str], console: Console) -> int:
    """Asks the run for the page's address and opens or prints it; returns the exit code."""
    given = _parser().parse(argv)
    setup_logging(console, bool(given.pop("debug", False)))
    as_json, to_print = given.pop("json", False), given.pop("print", False)
    instance = load(RunSettings, given).instance
    from vcsharp.control.client import Client

    with Client(instance) as client:
        url, once = client.page_url(), client.once_url()
    if as_json:
        print_json({"instance": instance, "url": url})
    elif to_print or not _has_screen():
        sys.stdout.write(f"{url}\n")
    elif _opened(once):
        say(console, "the page is open in the browser")
    else:
        say(console, "no browser could be started; open this address:")
        sys.stdout.write(f"{url}\n")
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="vcsharp ui",
        usage="vcsharp ui [--instance NAME] [--print] [--json]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("--instance", metavar="NAME", help="which run, if there are several")
    parser.add_argument("--print", action="store_true", help="print the address, open nothing")
    parser.add_argument("--json", action="store_true", help="JSON for programs, open nothing")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _has_screen() -> bool:
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(display) or sys.platform in ("darwin", "win32")


def _opened(url: str) -> bool:
    try:
        return webbrowser.open(url)
    except webbrowser.Error:  # no browser is installed
        return False
