"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    """Nothing to do."""
    WARNING = "warning"
    """vcsharp works, but not as well as it could; or it could not be checked."""
    FAILED = "failed"
    """vcsharp cannot do what its settings ask for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    status: Status
    what: str
    """What was seen, in one sentence; never a password."""
    cure: str = ""
    """A command that helps, to be copied as it is; empty where nothing is to be done."""
    checked: bool = True
    """False where there was nothing to look at, as on another system."""


def ok(what: str) -> Finding:
    """All is well."""
    return Finding(Status.OK, what)


def skipped(why: str) -> Finding:
    """Nothing to look at, and no harm in that."""
    return Finding(Status.OK, f"not checked: {why}", checked=False)


def warning(what: str, cure: str) -> Finding:
    """It works, but could be better."""
    return Finding(Status.WARNING, what, cure)


def failed(what: str, cure: str) -> Finding:
    """It does not work."""
    return Finding(Status.FAILED, what, cure)


def fault(what: str, cure: str, *, needed: bool) -> Finding:
    """Failed where the settings ask for what is missing, else a warning."""
    return failed(what, cure) if needed else warning(what, cure)
