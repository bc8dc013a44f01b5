"""`vcsharp-train`: from sharp pictures to a shipped model.

    vcsharp-train run RECIPE.toml --data DIR --dev DIR      everything below, in order
    vcsharp-train prepare RECIPE.toml [--preview grid.png]  cut the crop bank
    vcsharp-train distil RECIPE.toml                        train; goes on where it stopped
    vcsharp-train export RECIPE.toml                        write and measure the model's folder
    vcsharp-train evaluate --models nano --data DIR         measure models beside the baselines

Flags > recipe > defaults. Figures go to stdout, everything for people to stderr.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliPositionalArg,
    CliSubCommand,
    SettingsConfigDict,
    SettingsError,
)
from rich.console import Console

from vcsharp.errors import VcsharpError
from vcsharp_training.measuring import Evaluate, Extras
from vcsharp_training.recipe import Recipe, read_toml


class _FromRecipe(Recipe):
    """Verbs that take a recipe."""

    recipe: CliPositionalArg[Path]
    """The recipe, a TOML file."""


class Prepare(_FromRecipe):
    """Cut the crop bank of a recipe."""

    preview: Path | None = None
    """Also draw example pairs of every profile into this PNG."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training import verbs

        verbs.prepare(self, self.preview)


class Distil(_FromRecipe):
    """Train a student, or go on training it."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training import verbs

        verbs.distil(self)


class Export(_FromRecipe, Extras):
    """Write a trained student's folder: model files, card and page, measured on `dev`."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training import verbs

        verbs.export(self, self.recipe, self)


class Run(_FromRecipe, Extras):
    """Prepare, distil and export in one go."""

    def cli_cmd(self) -> None:
        """Runs the verbs."""
        from vcsharp_training import verbs

        verbs.prepare(self, None)
        verbs.distil(self)
        verbs.export(self, self.recipe, self)


class App(BaseSettings):
    """Train, quantise, export and measure students of vcsharp."""

    model_config = SettingsConfigDict(
        cli_prog_name="vcsharp-train",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        use_attribute_docstrings=True,
        nested_model_default_partial_update=True,
        extra="forbid",
    )

    run: CliSubCommand[Run]
    prepare: CliSubCommand[Prepare]
    distil: CliSubCommand[Distil]
    export: CliSubCommand[Export]
    evaluate: CliSubCommand[Evaluate]

    def cli_cmd(self) -> None:
        """Hands over to the chosen verb."""
        CliApp.run_subcommand(self)


def _recipe_values(arguments: Sequence[str]) -> dict[str, Any]:
    """The recipe named on the command line as values of its verb, below the flags in rank."""
    paths = [Path(argument) for argument in arguments[1:] if argument.endswith(".toml")]
    return {arguments[0]: read_toml(paths[0])} if paths else {}


def _one_line(error: ValidationError) -> str:
    """Each fault as place, reason and the value received."""
    faults = [
        f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']} (got '{fault['input']}')"
        for fault in error.errors()
    ]
    return "; ".join(faults)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb and returns the exit code; an error is one line on stderr."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        CliApp.run(App, cli_args=arguments, **_recipe_values(arguments))
    except (ValidationError, SettingsError) as error:
        text = (
            _one_line(error) if isinstance(error, ValidationError) else str(error).splitlines()[0]
        )
        console.print(f"vcsharp-train: {text}", markup=False)
        return 2
    except VcsharpError as error:
        console.print(f"vcsharp-train: {error}", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("vcsharp-train: stopped; the same command goes on from the last checkpoint")
        return 130
    return 0
