"""Runs of vcsharp that go on now: what they answer over their sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from vcsharp.control.model import State
from vcsharp.control.paths import find_socket, instances
from vcsharp.errors import VcsharpError

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Run:
    """A run by its name, and what it said."""

    instance: str
    state: State | None = None
    problem: str = ""
    """Why it gave no state: one line."""


def running() -> list[Run]:
    """Every run whose socket lies here, asked for its state."""
    return list(_running())


def _running() -> Iterator[Run]:
    for instance in instances():
        try:
            if _listens(instance):
                yield Run(instance, _state(instance))
        except VcsharpError as error:
            yield Run(instance, problem=str(error))
        except OSError as error:  # not ours to open
            yield Run(instance, problem=f"its socket cannot be opened: {error.strerror}")


def _listens(instance: str) -> bool:
    """False for a socket that a killed run left behind."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(TIMEOUT_S)
        try:
            probe.connect(str(find_socket(instance)))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    return True


def _state(instance: str) -> State:
    from vcsharp.control.client import Client  # only where there is a run: it loads httpx

    with Client(instance, TIMEOUT_S) as client:
        return client.state()
