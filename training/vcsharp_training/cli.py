"""`vcsharp-train`: from sharp pictures to a shipped model.

    vcsharp-train distil RECIPE.toml                        all of it; goes on where it stopped
    vcsharp-train prepare RECIPE.toml [--preview grid.png]  only cut the crop bank
    vcsharp-train export RECIPE.toml                        only write and measure the model
    vcsharp-train evaluate --models nano --data DIR         measure models beside the baselines
    vcsharp-train compare --data DIR --dev DIR              the reference projects beside ours
    vcsharp-train mos build RESULTS                         a blind page for people to rate on
    vcsharp-train mos report *.csv --key KEY                mean opinions of what they rated
    vcsharp-train teacher list                              teachers; check, train and use one

Flags > recipe > defaults. Figures go to stdout, everything for people to stderr.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
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
from vcsharp_training.compare import Compare
from vcsharp_training.errors import RecipeError
from vcsharp_training.measuring import Evaluate, Extras
from vcsharp_training.mos.command import Mos
from vcsharp_training.recipe import Recipe, read_toml
from vcsharp_training.reference_recipe import ReferenceRecipe
from vcsharp_training.teachers.command import Teacher


class _FromRecipe(Recipe):
    """Verbs that take a recipe of one of our own students."""

    recipe: CliPositionalArg[Path]
    """The recipe, a TOML file."""


class _FromReference(ReferenceRecipe):
    """Verbs that take a recipe of a student on RGB."""

    recipe: CliPositionalArg[Path]
    """The recipe, a TOML file."""


class _Preview(BaseModel):
    preview: Path | None = None
    """Also draw example pairs of every profile into this PNG."""


class Prepare(_FromRecipe, _Preview):
    """Cut the crop bank of a recipe."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training import verbs

        verbs.cut(self, self.preview)


class PrepareReference(_FromReference, _Preview):
    """Cut the crop bank of a recipe."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training import verbs

        verbs.cut(self, self.preview)


class Distil(_FromRecipe, Extras):
    """Train a student, or go on training it, from pictures to the model's folder."""

    export: bool = True
    """Whether to write and measure the model when it is trained."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training import verbs

        verbs.distil(self, self.recipe, self, ship=self.export)


class DistilReference(_FromReference):
    """Train a student on RGB, or go on training it."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training import verbs

        verbs.distil_reference(self)


class Export(_FromRecipe, Extras):
    """Write a trained student's folder: model files, card and page, measured on `dev`."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training import verbs

        verbs.export(self, self.recipe, self)


class Run(Distil):
    """The same as distil."""


class _App(BaseSettings):
    model_config = SettingsConfigDict(
        cli_prog_name="vcsharp-train",
        cli_kebab_case=True,
        cli_exit_on_error=False,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        use_attribute_docstrings=True,
        nested_model_default_partial_update=True,
        extra="forbid",
    )

    def cli_cmd(self) -> None:
        """Hands over to the chosen verb."""
        CliApp.run_subcommand(self)


class App(_App):
    """Train, quantise, export and measure students of vcsharp."""

    run: CliSubCommand[Run]
    """The same as distil."""
    prepare: CliSubCommand[Prepare]
    """Cut the crop bank of a recipe."""
    distil: CliSubCommand[Distil]
    """All of it, from pictures to a model; goes on where it stopped."""
    export: CliSubCommand[Export]
    """Write and measure the model of a finished run."""
    evaluate: CliSubCommand[Evaluate]
    """Measure models beside the baselines."""
    compare: CliSubCommand[Compare]
    """Train the reference projects beside ours: one table, one plot."""
    mos: CliSubCommand[Mos]
    """Ask people: a blind page to rate on, and what they said."""
    teacher: CliSubCommand[Teacher]
    """List, check, train and use larger networks."""


class ReferenceApp(_App):
    """What can be done with the recipe of a student on RGB."""

    prepare: CliSubCommand[PrepareReference]
    """Cut the crop bank of a recipe."""
    distil: CliSubCommand[DistilReference]
    """Train the student, or go on training it."""


def _run(arguments: Sequence[str]) -> None:
    """The chosen verb, with the values of the recipe named on the command line below its flags.

    A recipe with a `[student]` table has other keys, and so other flags.
    """
    paths = [Path(argument) for argument in arguments[1:] if argument.endswith(".toml")]
    values = read_toml(paths[0]) if paths else {}
    app = ReferenceApp if "student" in values else App
    if paths and arguments[0] not in app.model_fields:
        raise RecipeError(
            f"'{arguments[0]}' is not for '{paths[0]}'; that can be given to "
            f"{' and '.join(app.model_fields)}"
        )
    CliApp.run(app, cli_args=list(arguments), **(_below_verbs(arguments, values) if paths else {}))


def _below_verbs(arguments: Sequence[str], values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's values under the verb that takes them; `teacher train RECIPE` has two."""
    verbs = takewhile(lambda word: not word.startswith("-") and Path(word).suffix == "", arguments)
    for verb in reversed(list(verbs)):
        values = {verb: values}
    return values


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
        _run(arguments)
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
