"""Several frames under way at once: the submit/collect form of a backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from vcsharp.engine.backend import Backend
from vcsharp.engine.tiling import Plan
from vcsharp.frame import Bytes


@runtime_checkable
class StreamingBackend(Backend, Protocol):
    """A backend that takes the next planes while it works on the last ones. For one thread."""

    depth: int
    """Submitted planes that may be under way at once."""

    def prepare(self, plan: Plan, planes: int) -> None:
        """Gets ready for whole plans of that kind, so that the first one is not slow.

        Raises BackendError.
        """

    def submit(self, planes: Sequence[Bytes], plan: Plan, strength: float) -> Any:
        """Begins with planes of one size, as one batch. They may be written to afterwards.

        Args:
            planes: at least one; each as in `Backend.sharpen`, as are the others.
            plan: see there.
            strength: see there.

        Returns:
            What `collect` wants.

        Raises:
            BackendError: the runtime failed, or `depth` submissions are under way.
        """

    def collect(self, ticket: Any, outs: Sequence[Bytes]) -> None:
        """Waits for a submission and writes its planes out, as `Backend.sharpen` does.

        Each ticket once, in any order. Raises BackendError.
        """


@dataclass(frozen=True, slots=True)
class _Wish:
    planes: Sequence[Bytes]
    plan: Plan
    strength: float


class AtOnce:
    """Any backend in this form: the work is done when it is collected."""

    depth = 1

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.device = backend.name, backend.device
        self.precision = backend.precision

    def prepare(self, plan: Plan, planes: int) -> None:
        """Nothing to prepare."""

    def submit(self, planes: Sequence[Bytes], plan: Plan, strength: float) -> _Wish:
        """Only remembers: here the planes may *not* be written to before they are collected."""
        return _Wish(planes, plan, strength)

    def collect(self, ticket: _Wish, outs: Sequence[Bytes]) -> None:
        """Plane by plane."""
        for plane, out in zip(ticket.planes, outs, strict=True):
            self._backend.sharpen(plane, ticket.plan, ticket.strength, out)

    def sharpen(self, plane: Bytes, plan: Plan, strength: float, out: Bytes) -> None:
        """See `Backend.sharpen`."""
        self._backend.sharpen(plane, plan, strength, out)

    def close(self) -> None:
        """See `Backend.close`."""
        self._backend.close()


def streaming(backend: Backend) -> StreamingBackend:
    """The backend itself, or the form of it that does one thing after the other."""
    return backend if isinstance(backend, StreamingBackend) else AtOnce(backend)
