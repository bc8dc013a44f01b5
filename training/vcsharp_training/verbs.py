"""What the verbs of `vcsharp-train` do, with progress for people on stderr."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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

from vcsharp_training import bank, preview, report
from vcsharp_training import distil as training
from vcsharp_training import evaluate as evaluation
from vcsharp_training import export as exporting
from vcsharp_training.recipe import Recipe

console = Console(stderr=True, highlight=False)


class Bar(Protocol):
    """Shows how far something is."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """What is done, what there is in all, and a remark."""


@contextmanager
def _progress(what: str) -> Iterator[Bar]:
    """A bar with the time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None, note="")

        def show(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield show


def prepare(recipe: Recipe, preview_file: Path | None) -> None:
    """Cuts the crop bank, unless it is there already."""
    folder = recipe.bank_folder
    if bank.is_current(folder, recipe.data, recipe.bank, recipe.seed):
        _say(f"the crop bank in '{folder}' is up to date")
    else:
        with _progress("cutting crops") as bar:
            bank.build(
                folder,
                recipe.data,
                recipe.bank,
                seed=recipe.seed,
                workers=recipe.workers,
                progress=bar,
            )
    if preview_file:
        preview.draw(bank.load(folder), preview_file)
        _say(f"wrote examples to '{preview_file}'")


def distil(recipe: Recipe) -> None:
    """Both phases of training."""
    crops = bank.load(recipe.bank_folder)
    with _progress("training float") as bar:
        plain = training.train_float(recipe, crops, _listener(bar))
    with _progress("training int8") as bar:
        training.train_quantised(recipe, crops, plain, _listener(bar))


def _listener(bar: Bar) -> training.Listener:
    """Moves the bar; where there is no terminal to draw one, a line at each validation instead."""
    last_score_db = -math.inf

    def tell(now: training.Report) -> None:
        nonlocal last_score_db
        note = f"loss {now.loss:.5f}, validation {now.score_db:+.3f} dB"
        bar(now.step, now.steps, note)
        if not console.is_terminal and now.score_db != last_score_db:
            _say(f"{now.phase}: step {now.step} of {now.steps}, {note}")
            last_score_db = now.score_db

    return tell


def export(recipe: Recipe, recipe_path: Path) -> None:
    """Writes, measures and describes the model."""
    model = training.load_quantised(recipe)
    with _progress("measuring") as bar:
        card = exporting.write_model(recipe, _in_repository(recipe_path), model, bar)
    _say(f"wrote '{recipe.model_folder}' ({card.params:,} parameters)")


def _in_repository(recipe_path: Path) -> str:
    """The path as the card states it: from `training/` on; no machine's folders are told."""
    parts = recipe_path.parts
    start = len(parts) - 1 - parts[::-1].index("training") if "training" in parts else -1
    return "/".join(parts[start:])


def evaluate(model: Path, dev: Path, json_file: Path | None, workers: int) -> None:
    """Measures a model; the tables go to stdout."""
    filters = evaluation.BASELINES | evaluation.model_filters(model)
    with _progress("measuring") as bar:
        found = evaluation.measure(dev, filters, workers=workers, progress=bar)
    sys.stdout.write(
        report.profile_table(found)
        + "\n\n"
        + report.category_table(found, f"{model.name} int8")
        + "\n"
    )
    if json_file:
        json_file.write_text(report.to_json(found), "utf-8")


def _say(text: str) -> None:
    """One line whatever it holds: a path may be long, and have brackets."""
    console.print(text, soft_wrap=True, markup=False)
