"""What is going on, and how long it still takes: a bar on a terminal, a line a round elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from vcsharp.bench.rounds import Step, Tell
from vcsharp.console import say


@contextmanager
def shown(console: Console) -> Iterator[Tell]:
    """Inside, each step given to the function is shown on `console`."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(console)
        return
    columns = BarColumn(bar_width=24), TextColumn("{task.fields[left]}  {task.description}")
    # Drawn between turns only: a thread that draws would be measured along with the rest.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=None, left="")

        def tell(step: Step) -> None:
            spent_s = min(step.spent_s, step.total_s)
            progress.update(
                task,
                description=f"{step.stage}  {step.contender}",
                total=step.total_s,
                completed=spent_s,
                left=_left(step),
                refresh=True,
            )

        yield tell


class _Lines:
    """A line where the stage changes: preparing, then each round."""

    def __init__(self, console: Console) -> None:
        self._console, self._last = console, ""

    def __call__(self, step: Step) -> None:
        if step.stage != self._last:
            self._last = step.stage
            say(self._console, f"bench: {step.stage}, {_left(step)}")


def _left(step: Step) -> str:
    return f"{max(0.0, step.total_s - step.spent_s):.0f} s left"
