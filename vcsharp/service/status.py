"""How a service does: what systemd says, what the journal says, what the run itself says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vcsharp.control.client import Client
from vcsharp.errors import VcsharpError
from vcsharp.redact import redact
from vcsharp.service.files import is_ours, read
from vcsharp.service.place import Place

_FACTS = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "UnitFileState",
    "NRestarts",
    "MainPID",
    "ActiveEnterTimestamp",
    "StatusText",
)
LINES = 5
"""Of the journal."""


@dataclass(frozen=True, slots=True)
class Status:
    """Of one service."""

    unit: str
    installed: bool
    changed_by_hand: bool
    active: str
    """`active`, `inactive`, `failed`, `activating`, ... or `unknown` where nobody can be asked."""
    detail: str
    """What systemd adds: `running`, or why it failed."""
    enabled: str
    since: str
    """As systemd writes it; empty where it never ran."""
    restarts: int
    pid: int
    says: str
    """The line that the run gave systemd."""
    errors: list[str]
    """The journal's last warnings and errors, oldest first."""
    answers: bool
    run: str
    """What the run says through its socket, or why it does not."""

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        rows = [
            ("unit", f"{self.unit} ({self._file()})"),
            ("state", " ".join(filter(None, [self.active, f"({self.detail})", self._since()]))),
            ("restarts", str(self.restarts)),
            ("says", self.says),
            ("run", self.run),
        ]
        shown = [f"{name:10}{value}" for name, value in rows if value]
        return [*shown, *(f"{'journal':10}{line}" for line in self.errors)]

    def _file(self) -> str:
        if not self.installed:
            return "not installed; vcsharp service install does it"
        hand = ", changed by hand" if self.changed_by_hand else ""
        return f"{self.enabled or 'not enabled'}{hand}"

    def _since(self) -> str:
        return f"since {self.since}" if self.since else ""


def status(place: Place) -> Status:
    """Asks systemd, the journal and the run. Never raises for what is not there."""
    facts = _facts(place)
    text = read(place.unit_path)
    answers, words = _run_says(place.instance)
    failed = facts.get("Result", "success") not in ("", "success")
    return Status(
        unit=place.unit,
        installed=text is not None or facts.get("LoadState") == "loaded",
        changed_by_hand=text is not None and not is_ours(text),
        active=facts.get("ActiveState", "unknown"),
        detail=facts.get("Result" if failed else "SubState", "systemd does not answer"),
        enabled=facts.get("UnitFileState", ""),
        since=facts.get("ActiveEnterTimestamp", ""),
        restarts=_number(facts.get("NRestarts", "")),
        pid=_number(facts.get("MainPID", "")),
        says=redact(facts.get("StatusText", "")),
        errors=_journal(place),
        answers=answers,
        run=words,
    )


def _facts(place: Place) -> dict[str, str]:
    answer = place.run(place.command("systemctl", "show", place.unit, "-p", ",".join(_FACTS)))
    if answer.code:
        return {}
    return dict(line.split("=", 1) for line in answer.out.splitlines() if "=" in line)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _journal(place: Place) -> list[str]:
    flags = ["-p", "warning", "-n", str(LINES), "-o", "cat", "--no-pager", "-q"]
    answer = place.run(place.command("journalctl", "-u", place.unit, *flags))
    lines = [] if answer.code else answer.out.splitlines()
    return [redact(line) for line in lines if line.strip()][-LINES:]


def _run_says(instance: str) -> tuple[bool, str]:
    try:
        with Client(instance) as client:
            state = client.state()
    except VcsharpError as error:
        return False, str(error)
    return True, (
        f"source {state.source.state}, engine {state.engine.state}, "
        f"{state.figures.fps_out:.0f} fps out"
    )
