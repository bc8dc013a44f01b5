"""The verb `prepare`: cuts the crop bank and says what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vcsharp_training import bank, preview, progress
from vcsharp_training.recipe import RunSettings
from vcsharp_training.sources import Skipped

LISTED = 20
"""Skipped files that are named on the terminal."""


def prepare(recipe: RunSettings, preview_file: Path | None = None) -> None:
    """Cuts the crop bank, unless it is there already; draws a page of examples if asked."""
    folder = recipe.bank_folder
    if bank.is_current(folder, recipe.data, recipe.bank, recipe.seed):
        progress.say(f"the crop bank in '{folder}' is up to date")
    else:
        _tell(_build(recipe), folder)
    if preview_file:
        preview.draw(recipe.data, recipe.bank, recipe.seed, preview_file)
        progress.say(f"wrote examples to '{preview_file}'")


def _build(recipe: RunSettings) -> bank.Built:
    with progress.bar("cutting crops") as bar:
        return bank.build(
            recipe.bank_folder,
            recipe.data,
            recipe.bank,
            seed=recipe.seed,
            workers=recipe.workers,
            progress=bar,
        )


def _tell(built: bank.Built, folder: Path) -> None:
    for line in (*built.notes, *listed(built.skipped, folder), built.speed()):
        progress.say(line)


def listed(skipped: Sequence[Skipped], folder: Path) -> list[str]:
    """A line for each skipped file, at most 20, then how many more there are and where."""
    lines = [str(skip) for skip in skipped[:LISTED]]
    if len(skipped) > LISTED:
        more = len(skipped) - LISTED
        lines.append(f"... and {more} more; '{folder / bank.SKIPPED}' lists all {len(skipped)}")
    return lines
