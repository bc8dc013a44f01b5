"""The findings, for people and for programs."""

from __future__ import annotations

import platform
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

import vcsharp
from vcsharp.console import one_line
from vcsharp.doctor.finding import Finding, Status
from vcsharp.doctor.runner import Outcome
from vcsharp.sources.urls import redact

WIDEST, NARROW = 100, 30
"""Columns: of lines on a wide terminal; of sentences that are still worth wrapping."""

_SYMBOLS = {Status.OK: "+", Status.WARNING: "!", Status.FAILED: "x"}
_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}
_NAME_COLUMNS = 16
_CURE_INDENT = " " * 28


def counts(outcomes: Sequence[Outcome]) -> Counter[Status]:
    """How many findings of each status there are."""
    return Counter(finding.status for outcome in outcomes for finding in outcome.findings)


def show(outcomes: Sequence[Outcome], out: Console) -> None:
    """Groups, a line for each finding and its cure below it; a cure is never cut or wrapped.

    Colours are the console's affair: it has none where there is no terminal.
    """
    _print(out, Text(_about()))
    width = min(out.width, WIDEST) if out.is_terminal else 0
    for group, members in groupby(outcomes, lambda outcome: outcome.check.group):
        _print(out, Text(group, style="bold"))
        for name, finding in _merged(list(members)):
            for line in _lines(name, finding, width):
                _print(out, line)
    _print(out, Text(_summary(outcomes)))


def as_data(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The same for programs; `status` is ok, warning or failed."""
    found = counts(outcomes)
    return {
        "version": vcsharp.__version__,
        "system": f"{platform.system()} {platform.release()}",
        "ok": found[Status.OK],
        "warnings": found[Status.WARNING],
        "failed": found[Status.FAILED],
        "findings": [
            {
                "check": outcome.check.name,
                "group": outcome.check.group,
                "status": finding.status.value,
                "what": _safe(finding.what),
                "cure": _safe(finding.cure),
                "checked": finding.checked,
            }
            for outcome in outcomes
            for finding in outcome.findings
        ],
    }


def _merged(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, Finding]]:
    """The findings with their checks' names; those not checked for one reason as one."""
    rows = [(outcome.check.name, finding) for outcome in outcomes for finding in outcome.findings]
    for _, same in groupby(rows, lambda row: row[1].what if not row[1].checked else id(row[1])):
        (name, finding), *others = same
        if others:
            names = ", ".join(other for other, _ in others)
            finding = replace(finding, what=f"{finding.what} (nor {names})")
        yield name, finding


def _lines(name: str, finding: Finding, width: int) -> Iterator[Text]:
    """Symbol, word, name and what was found, in `width` columns (0: in one line); the cure."""
    style = _STYLES[finding.status] if finding.checked else "dim"
    symbol = _SYMBOLS[finding.status] if finding.checked else "-"
    start = f"  {symbol} {finding.status.value:8}{name:{_NAME_COLUMNS}}"
    room = width - len(start)
    words = _safe(finding.what)
    first, *more = textwrap.wrap(words, room, break_on_hyphens=False) if room > NARROW else [words]
    yield Text.assemble((start[:12], style), start[12:], first)
    for line in more:
        yield Text(" " * len(start) + line)
    if finding.cure:
        yield Text(f"{_CURE_INDENT}cure: {_safe(finding.cure)}")


def _about() -> str:
    python = f"Python {platform.python_version()}"
    return f"vcsharp {vcsharp.__version__}, {python}, {platform.system()} {platform.release()}"


def _safe(text: str) -> str:
    return one_line(redact(text))


def _print(out: Console, text: Text) -> None:
    out.print(text, soft_wrap=True)


def _summary(outcomes: Sequence[Outcome]) -> str:
    found = counts(outcomes)
    warnings = found[Status.WARNING]
    plural = "warning" if warnings == 1 else "warnings"
    return f"{found[Status.OK]} ok, {warnings} {plural}, {found[Status.FAILED]} failed"
