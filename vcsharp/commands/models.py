"""`vcsharp models`: which networks there are, what they cost and what they gain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vcsharp import catalogue
from vcsharp.catalogue import Card, Model
from vcsharp.commands.listing import print_json, stdout_console, wants_json
from vcsharp.console import say

DESCRIPTION = """\
Lists the networks, cheapest first, as their cards describe them.

  kMAC/px    thousand multiplications per pixel of the picture
  MiB        size of all files on disk
  gain dB    luma PSNR after minus before, on held-out pictures per kind of damage
  clean dB   PSNR of the result to an undamaged picture: higher is less harm
  experts    kinds of damage that it has weights of its own for (run --expert)
"""


def main(argv: Sequence[str], console: Console) -> int:
    """Prints all models as a table or as JSON."""
    as_json = wants_json("models", argv, DESCRIPTION, console)
    models = catalogue.every()
    if as_json:
        print_json([_facts(model) for model in models])
    elif models:
        stdout_console().print(table(models))
    else:
        say(console, f"no models in {', '.join(map(str, catalogue.search_folders()))}")
    return 0


def table(models: Sequence[Model]) -> Table:
    """One row per model."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("name", no_wrap=True)
    for title in ("kMAC/px", "params", "MiB", "gain dB", "clean dB"):
        grid.add_column(title, justify="right", no_wrap=True)
    cards = [model.card for model in models]
    known = any(card.experts for card in cards)
    for title in ("experts", "summary") if known else ("summary",):
        grid.add_column(title)
    for card in cards:
        experts = ["\n".join(card.experts)] if known else []
        grid.add_row(*map(Text, [*_row(card), *experts, card.summary]))
    return grid


def _row(card: Card) -> tuple[str, ...]:
    gains = [f"{name} {profile.psnr_gain_db:+.2f}" for name, profile in card.metrics.items()]
    return (
        card.name,
        f"{card.mac_per_px / 1e3:.2f}",
        f"{card.params:,}",
        f"{sum(file.bytes for file in card.every_file()) / 2**20:.2f}",
        "\n".join(gains),
        f"{card.clean_psnr_db:.1f}",
    )


def _facts(model: Model) -> dict[str, Any]:
    return model.card.model_dump(mode="json") | {"folder": str(model.folder)}
