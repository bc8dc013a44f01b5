"""Runs of vcsharp that go on now: what they answer over their sockets."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from vcsharp.control.model import State
from vcsharp.control.paths import find_socket, instances
from vcsharp.errors import VcsharpError

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Run:
    """A socket, and the run behind it."""

    instance: str
    state: State | None = None
    problem: str = ""
    """Why it gave no state."""


def running() -> list[Run]:
    """Every socket of this user's and of system units, asked for its state."""
    return [_ask(instance) for instance in instances()]


def _ask(instance: str) -> Run:
    import httpx  # only where there is a socket: it takes a while to load

    try:
        transport = httpx.HTTPTransport(uds=str(find_socket(instance)))
        with httpx.Client(transport=transport, timeout=TIMEOUT_S) as client:
            answer = client.get("http://vcsharp/api/state").raise_for_status()
        return Run(instance, State.model_validate_json(answer.content))
    except ValidationError:
        return Run(instance, problem="it is another version of vcsharp")
    except (httpx.HTTPError, VcsharpError) as error:
        return Run(instance, problem=(str(error).splitlines() or [type(error).__name__])[0])
