"""`vcsharp ctl`: steers a run while it goes."""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from rich.console import Console, RenderableType
from rich.live import Live

from vcsharp import settings
from vcsharp.commands import ctl_view
from vcsharp.commands.listing import print_json, stdout_console
from vcsharp.console import say, setup_logging
from vcsharp.control.client import Client
from vcsharp.control.model import Change, State
from vcsharp.errors import SettingsError, VcsharpError
from vcsharp.flags import Parser
from vcsharp.interrupt import raising_on_interrupt
from vcsharp.redact import redact
from vcsharp.settings import RunSettings

DESCRIPTION = """\
Asks a running vcsharp for its state, or changes it. Changes take effect with
one of the next pictures; none is lost.

COMMAND is one of
  status           everything about the run; --watch keeps showing it
  get [NAME]       the options, or one value (strength, figures.fps_out, ...)
  set NAME=VALUE ...
                   change options together, or none of them
  source SRC       take the picture from elsewhere
  model NAME       another network; "none" passes the picture through
  strength X       how much is sharpened, 0 to 2
  compare off|split|side
                   before and after, in the preview and in files
  overlay off|preview|all
                   where the line with the figures is drawn
  pause, resume    close the camera, and open it again
  reload           read the settings file again
  snapshot FILE.png
                   save the newest picture
  sources, models  what SRC and NAME can be
  delay            measured delay of the picture in milliseconds
"""

EPILOG = """\
examples:
  vcsharp ctl strength 1.3
  vcsharp ctl set model=nano compare=split
  vcsharp ctl status --watch
  vcsharp ctl snapshot both.png --which both
  vcsharp ctl get figures.fps_out

exit codes: 0 done; 1 the run refused; 2 bad usage or value; 3 no run answers
"""

WATCH_PERIOD_S = 1.0
OPTIONS = tuple(Change.model_fields)
"""What can be set."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the command."""

    client: Client
    instance: str
    arguments: list[str]
    as_json: bool
    watch: bool
    which: Literal["after", "before", "both"]
    force: bool
    console: Console

    def tell(self, data: Any, shown: RenderableType | str) -> None:
        """Data for programs, or words for people, on stdout."""
        if self.as_json:
            print_json(data)
        elif isinstance(shown, str):
            for line in shown.splitlines():
                say(stdout_console(), line)
        else:
            stdout_console().print(shown)

    def tell_state(self, state: State, words: str) -> None:
        """What a change has led to."""
        self.tell(state.model_dump(mode="json"), words)


def main(argv: Sequence[str], console: Console) -> int:
    """Parses the arguments and speaks to the run; returns the exit code."""
    found = _parser().parse(argv)
    setup_logging(console, found["debug"])
    command, *arguments = found.get("words") or ["status"]
    run = _command(command)
    _check(command, arguments, found)
    instance = instance_named(found["instance"])
    with Client(instance) as client:
        call = _Call(
            client,
            instance,
            arguments,
            found["json"],
            found["watch"],
            found["which"] or "after",
            found["force"],
            console,
        )
        run(call)
    return 0


def instance_named(given: str | None) -> str:
    """The name of the run that is meant: as given, or as the settings have it. Raises
    SettingsError for what can be no name.
    """
    if given is not None:
        if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) is None:
            raise SettingsError(
                f"instance: '{given}' is no name of a run; it has 1 to 64 of A-Z a-z 0-9 . _ -"
            )
        return given
    try:
        return settings.load(RunSettings, {}).instance
    except SettingsError:  # a fault in the file must not keep anybody from pausing the camera
        return str(RunSettings.model_fields["instance"].default)


def _parser() -> Parser:
    parser = Parser(
        prog="vcsharp ctl",
        usage="vcsharp ctl COMMAND [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="see above; default: status")
    parser.add_argument("--instance", metavar="NAME", default=None, help=_INSTANCE_HELP)
    for flag, text in _SWITCHES.items():
        parser.add_argument(flag, action="store_true", default=False, help=text)
    parser.add_argument(
        "--which", choices=("after", "before", "both"), default=None, help=_WHICH_HELP
    )
    return parser


_INSTANCE_HELP = "which run, where there are several (default: the one in the settings)"
_WHICH_HELP = "snapshot: after (default), before, or both side by side"
_SWITCHES = {
    "--json": "JSON for programs",
    "--watch": "status: keep showing it, once a second, until Ctrl-C",
    "--force": "snapshot: overwrite a file that exists",
    "--debug": "show the traceback of an error",
}


def _command(name: str) -> Callable[[_Call], None]:
    if name not in _COMMANDS:
        hint = settings.nearest(name, _COMMANDS)
        raise SettingsError(f"ctl has no command '{name}'{hint} (see vcsharp ctl --help)")
    return _COMMANDS[name][0]


def _check(command: str, arguments: list[str], found: dict[str, Any]) -> None:
    """Refuses arguments that the command has no use for, before anybody is asked."""
    _, least, most, usage = _COMMANDS[command]
    if not least <= len(arguments) <= most:
        raise SettingsError(f"usage: vcsharp ctl {command}{usage}")
    for flag, owner in {"watch": "status", "which": "snapshot", "force": "snapshot"}.items():
        if found[flag] and command != owner:
            raise SettingsError(f"--{flag} is for 'vcsharp ctl {owner}'")


# ---- what is asked


def _status(call: _Call) -> None:
    if call.watch:
        _watch(call)
        return
    state = call.client.state()
    call.tell(state.model_dump(mode="json"), ctl_view.status(state, call.instance))


def _watch(call: _Call) -> None:
    """In place on a terminal, else a line each second, until Ctrl-C or the run's end."""
    out = stdout_console()
    in_place = out.is_terminal and not out.is_dumb_terminal and not call.as_json
    with raising_on_interrupt():
        try:
            _redraw(call, out) if in_place else _print_lines(call)
        except KeyboardInterrupt:
            return


def _redraw(call: _Call, out: Console) -> None:
    first = ctl_view.status(call.client.state(), call.instance)
    with Live(first, console=out, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            time.sleep(WATCH_PERIOD_S)
            live.update(ctl_view.status(call.client.state(), call.instance), refresh=True)


def _print_lines(call: _Call) -> None:
    while True:
        state = call.client.state()
        text = state.model_dump_json() if call.as_json else ctl_view.line(state)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
        time.sleep(WATCH_PERIOD_S)


def _get(call: _Call) -> None:
    state = call.client.state().model_dump(mode="json")
    value = _value(state, call.arguments[0]) if call.arguments else state["options"]
    call.tell(value, "\n".join(_lines(value)))


def _value(state: dict[str, Any], name: str) -> Any:
    """An option, or any part of the state: `figures.latency_ms.p95`, `sinks.0.state`."""
    value: Any = state["options"] | state
    for number, part in enumerate(name.split(".")):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            known = value if isinstance(value, dict) else []
            hint = settings.nearest(part, known)
            where = f" in '{'.'.join(name.split('.')[:number])}'" if number else ""
            raise SettingsError(f"there is no '{part}'{where}{hint}")
    return value


def _lines(value: Any, name: str = "") -> Iterator[str]:
    """`latency_ms.p50=14.2` for each value; the value alone where it is the only one."""
    parts = list(enumerate(value)) if isinstance(value, list) else None
    parts = list(value.items()) if isinstance(value, dict) else parts
    if parts is None:
        plain = json.dumps(value) if isinstance(value, bool | None) else str(value)
        yield f"{name}={plain}" if name else plain
        return
    for key, part in parts:
        yield from _lines(part, f"{name}.{key}" if name else str(key))


def _sources(call: _Call) -> None:
    choices = call.client.sources()
    current = "" if call.as_json else call.client.state().options.source
    call.tell(_dumped(choices), ctl_view.sources(choices, current))


def _models(call: _Call) -> None:
    choices = call.client.models()
    current = "" if call.as_json else call.client.state().engine.model
    call.tell(_dumped(choices), ctl_view.models(choices, current))


def _dumped(items: Sequence[BaseModel]) -> list[dict[str, Any]]:
    return [item.model_dump(mode="json") for item in items]


def _delay(call: _Call) -> None:
    delay_ms = call.client.state().delay_ms
    if not delay_ms:
        raise VcsharpError("no delay is measured yet, for no live picture has come through")
    call.tell({"delay_ms": delay_ms}, f"{delay_ms:.1f}")


def _snapshot(call: _Call) -> None:
    path = Path(call.arguments[0])
    if path.suffix.lower() != ".png":
        raise SettingsError(f"snapshot: '{path}' should end in .png")
    if path.exists() and not call.force:
        raise SettingsError(f"snapshot: '{path}' exists; --force overwrites it")
    data = call.client.snapshot(call.which)
    try:
        with path.open("wb" if call.force else "xb") as file:
            file.write(data)
    except OSError as error:
        raise VcsharpError(f"snapshot: cannot write '{path}': {error.strerror}") from error
    call.tell({"file": str(path), "bytes": len(data)}, f"written: {path}")


# ---- what is changed


def _set(call: _Call) -> None:
    pairs = [argument.partition("=") for argument in call.arguments]
    unset = next((name for name, equals, _ in pairs if not equals), None)
    if unset is not None:
        raise SettingsError(f"set: '{unset}' has no value; write NAME=VALUE")
    _change(call, {name: value for name, _, value in pairs})


def _change(call: _Call, wishes: dict[str, str]) -> None:
    for name in wishes:
        if name not in OPTIONS:
            hint = settings.nearest(name, OPTIONS) or f"; choose {', '.join(OPTIONS)}"
            raise SettingsError(f"'{name}' cannot be changed while running{hint}")
    try:
        wish = Change.model_validate({name: _meant(name, text) for name, text in wishes.items()})
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise SettingsError("\n".join(_fault(fault, wishes) for fault in faults)) from None
    state = call.client.change(wish)
    now = state.options.model_dump()
    call.tell_state(state, ", ".join(f"{name} {now[name]}" for name in wishes))


def _fault(fault: Any, wishes: dict[str, str]) -> str:
    name = str(fault["loc"][0])
    return redact(f"{name}: {fault['msg']} (got '{textwrap.shorten(wishes[name], 60)}')")


def _meant(name: str, text: str) -> str | float:
    """The value that a text stands for.

    A file of this folder is named by its whole path: the run has a folder of its own.
    """
    if name == "strength":
        return float(text) if re.fullmatch(r"-?[0-9]*\.?[0-9]+", text) else text
    named = text not in ("auto", "demo") if name == "source" else name == "model" and os.sep in text
    return os.path.abspath(text) if named and _exists(text) else text  # noqa: PTH100  keeps links


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # too long for a name
        return False


def _option(name: str) -> Callable[[_Call], None]:
    """The short form of `set name=...`."""
    return lambda call: _change(call, {name: call.arguments[0]})


def _pause(call: _Call) -> None:
    call.tell_state(call.client.pause(), "paused: the camera is closed; go on with: resume")


def _resume(call: _Call) -> None:
    call.tell_state(call.client.resume(), "resumed")


def _reload(call: _Call) -> None:
    changes = call.client.reload()
    words = f"changed: {', '.join(changes.applied) or 'nothing'}"
    if changes.needs_restart:
        words += f"; takes effect after a restart: {', '.join(changes.needs_restart)}"
    call.tell(changes.model_dump(), words)


_COMMANDS: dict[str, tuple[Callable[[_Call], None], int, int, str]] = {
    "status": (_status, 0, 0, " [--watch]"),
    "get": (_get, 0, 1, " [NAME]"),
    "set": (_set, 1, len(OPTIONS), " NAME=VALUE ..."),
    **{name: (_option(name), 1, 1, " VALUE") for name in OPTIONS},
    "pause": (_pause, 0, 0, ""),
    "resume": (_resume, 0, 0, ""),
    "reload": (_reload, 0, 0, ""),
    "snapshot": (_snapshot, 1, 1, " FILE.png [--which after|before|both] [--force]"),
    "sources": (_sources, 0, 0, ""),
    "models": (_models, 0, 0, ""),
    "delay": (_delay, 0, 0, ""),
}
"""What each does, how many arguments it takes at least and at most, and how they are written."""
