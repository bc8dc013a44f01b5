"""What the verbs of `vcsharp-train` do, with progress for people on stderr."""

from __future__ import annotations

import math
from pathlib import Path

from vcsharp_training import bank, preview, progress
from vcsharp_training import distil as training
from vcsharp_training import export as exporting
from vcsharp_training.measuring import Extras
from vcsharp_training.recipe import Recipe


def prepare(recipe: Recipe, preview_file: Path | None) -> None:
    """Cuts the crop bank, unless it is there already."""
    folder = recipe.bank_folder
    if bank.is_current(folder, recipe.data, recipe.bank, recipe.seed):
        progress.say(f"the crop bank in '{folder}' is up to date")
    else:
        with progress.bar("cutting crops") as bar:
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
        progress.say(f"wrote examples to '{preview_file}'")


def distil(recipe: Recipe) -> None:
    """Both phases of training."""
    crops = bank.load(recipe.bank_folder)
    with progress.bar("training float") as bar:
        plain = training.train_float(recipe, crops, _listener(bar))
    with progress.bar("training int8") as bar:
        training.train_quantised(recipe, crops, plain, _listener(bar))


def _listener(bar: progress.Bar) -> training.Listener:
    """Moves the bar; where there is no terminal to draw one, a line at each validation instead."""
    last_score_db = -math.inf

    def tell(now: training.Report) -> None:
        nonlocal last_score_db
        note = f"loss {now.loss:.5f}, validation {now.score_db:+.3f} dB"
        bar(now.step, now.steps, note)
        if not progress.console.is_terminal and now.score_db != last_score_db:
            progress.say(f"{now.phase}: step {now.step} of {now.steps}, {note}")
            last_score_db = now.score_db

    return tell


def export(recipe: Recipe, recipe_path: Path, extras: Extras) -> None:
    """Writes, measures and describes the model."""
    model = training.load_quantised(recipe)
    with progress.bar("measuring") as bar:
        card = exporting.write_model(recipe, _in_repository(recipe_path), model, bar, extras)
    progress.say(f"wrote '{recipe.model_folder}' ({card.params:,} parameters)")


def _in_repository(recipe_path: Path) -> str:
    """The path as the card states it: from `training/` on; no machine's folders are told."""
    parts = recipe_path.parts
    start = len(parts) - 1 - parts[::-1].index("training") if "training" in parts else -1
    return "/".join(parts[start:])
