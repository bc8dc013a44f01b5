"""Progress and remarks for people, on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True, highlight=False)


class Bar(Protocol):
    """Shows how far something is."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """What is done, what there is in all, and a remark."""


@contextmanager
def bar(what: str) -> Iterator[Bar]:
    """A bar with the time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as shown:
        task = shown.add_task(what, total=None, note="")

        def show(done: int, total: int, note: str = "") -> None:
            shown.update(task, completed=done, total=total, note=note)

        yield show


def say(text: str) -> None:
    """One line whatever it holds: a path may be long, and have brackets."""
    console.print(text, soft_wrap=True, markup=False)
