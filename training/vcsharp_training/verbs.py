"""What `distil`, `export` and `run` of `vcsharp-train` do, with progress for people on stderr."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from vcsharp.engine.gate import GENERAL
from vcsharp_training import bank as banks
from vcsharp_training import (
    checkpoint,
    drawn,
    gating,
    images,
    perceptual,
    plots,
    prepare,
    progress,
    reference,
    students,
)
from vcsharp_training import distil as training
from vcsharp_training import export as exporting
from vcsharp_training.errors import CheckpointError, DataError
from vcsharp_training.export import GATE
from vcsharp_training.loop import Listener, Report, no_listener
from vcsharp_training.measuring import Extras
from vcsharp_training.processes import Processes
from vcsharp_training.recipe import Recipe, RunSettings
from vcsharp_training.reference_recipe import ReferenceRecipe

DRAWN_TRAIN, DRAWN_DEV = 8, 2
"""Pictures drawn where a recipe asks for generated ones."""

Run = TypeVar("Run", bound=RunSettings)


def cut(recipe: RunSettings, preview: Path | None = None) -> None:
    """Cuts the crop bank, unless it is there already."""
    prepare.prepare(_with_data(recipe), preview)


def distil(recipe: Recipe, recipe_path: Path, extras: Extras, *, ship: bool) -> None:
    """From pictures to a model: bank, all phases, and the model's folder if it is to `ship`.

    Raises DataError before anything is trained if there is nothing to train or to measure on, and
    CheckpointError if what a loss looks with is missing.
    """
    _check_eyes(recipe)
    recipe = _with_data(recipe)
    if ship:
        _check_dev(recipe)
    with _group(recipe) as group:
        crops = _bank(recipe, group)
        with _phase("float", recipe, group) as listener:
            plain = training.train_float(recipe, crops, listener)
        with _phase("qat", recipe, group) as listener:
            training.train_quantised(recipe, crops, plain, listener)
        for kind in recipe.experts.kinds:
            _train_expert(recipe, kind, crops, group)
        if recipe.experts.kinds and group.is_main:
            _train_gate(recipe, crops)
        if ship and group.is_main:
            export(recipe, recipe_path, extras)


def _train_expert(recipe: Recipe, kind: str, crops: banks.Bank, group: Processes) -> None:
    with _phase(f"expert-{kind}", recipe, group) as listener:
        plain = training.train_expert(recipe, crops, kind, listener)
    with _phase(f"qat-{kind}", recipe, group) as listener:
        training.train_quantised(recipe, crops, plain, listener, kind)


def _train_gate(recipe: Recipe, crops: banks.Bank) -> None:
    """What chooses between the experts; in seconds, so it keeps no checkpoints."""
    made = _trained(recipe)
    gate = gating.train(recipe, crops, {GENERAL: made.student, **made.experts})
    gating.save(recipe.phase_folder(GATE), gate.table)
    progress.say(f"gate: tells the kind of {gate.accuracy:.1%} of the held-out pictures")


def _trained(recipe: Recipe) -> exporting.Trained:
    """What finished runs have left, but for the gate."""
    experts = {kind: training.load_quantised(recipe, kind) for kind in recipe.experts.kinds}
    return exporting.Trained(training.load_quantised(recipe), experts)


def with_gate(recipe: Recipe, made: exporting.Trained) -> exporting.Trained:
    """What was made, with the gate that `distil` left. Raises CheckpointError if there is none."""
    if not made.experts:
        return made
    gate = gating.load(recipe.phase_folder(GATE))
    return replace(made, gate=gate)


def distil_reference(recipe: ReferenceRecipe) -> None:
    """Trains a student on RGB; with `smoke`, a small one on drawn pictures, saying so."""
    crops = None
    if recipe.smoke:
        recipe, crops = reference.shrunk(recipe)
        progress.say(
            "SMOKE RUN: drawn pictures, a narrow student, a teacher and a VGG with RANDOM weights; "
            "what comes out is of no use"
        )
    reference.objective(recipe)  # before any work: are all weights there, do all levels fit?
    recipe = _with_data(recipe)
    with _group(recipe) as group:
        crops = _bank(recipe, group) if crops is None else crops
        with _phase(reference.PHASE, recipe, group) as listener:
            student = reference.train(recipe, bank=crops, listener=listener)
        if group.is_main:
            file = reference.save(recipe, student)
            progress.say(f"wrote '{file}' ({students.parameters(student):,} parameters)")


def export(recipe: Recipe, recipe_path: Path, extras: Extras) -> None:
    """Writes, measures and describes the model."""
    recipe = _with_dev(recipe)
    made = with_gate(recipe, _trained(recipe))
    with progress.bar("measuring") as bar:
        card = exporting.write_model(recipe, _in_repository(recipe_path), made, bar, extras)
    progress.say(f"wrote '{recipe.model_folder}' ({card.params:,} parameters)")


def _with_data(recipe: Run) -> Run:
    """The recipe with a folder of drawn pictures in the place of `data = "generated"`."""
    if recipe.data != drawn.GENERATED:
        return recipe
    folder = recipe.work / recipe.name / "pictures" / "train"
    return recipe.model_copy(update={"data": drawn.write(folder, DRAWN_TRAIN, recipe.seed)})


def _with_dev(recipe: Recipe) -> Recipe:
    """Likewise for `dev`."""
    if recipe.dev != drawn.GENERATED:
        return recipe
    folder = recipe.work / recipe.name / "pictures" / "dev"
    return recipe.model_copy(update={"dev": drawn.write(folder, DRAWN_DEV, recipe.seed + 1)})


def _check_eyes(recipe: Recipe) -> None:
    phases = {"train": recipe.train, "experts": recipe.experts, "finish": recipe.finish}
    for table, phase in (phases | {"qat": recipe.qat}).items():
        try:
            if phase.loss.lpips:
                perceptual.load(phase.loss.lpips_weights)
        except CheckpointError as error:
            raise CheckpointError(f"{error} (--{table}.loss.lpips-weights FOLDER)") from error


def _check_dev(recipe: Recipe) -> None:
    try:
        if recipe.dev != drawn.GENERATED:
            images.find_images(recipe.dev)
    except DataError as error:
        raise DataError(
            f"{error} (--dev: what the trained student is measured on; "
            "--export false trains without measuring)"
        ) from error


@contextmanager
def _group(recipe: RunSettings) -> Iterator[Processes]:
    """The processes that train together, for as long as they do."""
    group = Processes(recipe.device)
    try:
        yield group
    finally:
        group.leave()


def _bank(recipe: RunSettings, group: Processes) -> banks.Bank:
    """The recipe's crops; one process cuts them if need be.

    Crops whose pictures have gone from this machine are taken as they are.
    """
    has_crops = (recipe.bank_folder / "index.json").is_file()
    if group.is_main and (recipe.data.is_dir() or not has_crops):
        prepare.prepare(recipe)
    group.wait()
    return banks.load(recipe.bank_folder)


@contextmanager
def _phase(name: str, recipe: RunSettings, group: Processes) -> Iterator[Listener]:
    """A bar while it trains, and its curves as a picture when it is done."""
    if not group.is_main:
        yield no_listener
        return
    with progress.bar(f"training {name}") as bar:
        yield _listener(bar)
    folder = recipe.phase_folder(name)
    plots.training_curves(checkpoint.load(folder / "last.pt")["history"], folder / "curves.png")


def _listener(bar: progress.Bar) -> Listener:
    """Moves the bar; where there is no terminal to draw one, a line at each validation instead."""
    last_score_db = -math.inf

    def tell(now: Report) -> None:
        nonlocal last_score_db
        note = f"loss {now.loss:.5f}, validation {now.score_db:+.3f} dB"
        bar(now.step, now.steps, note)
        if not progress.console.is_terminal and now.score_db != last_score_db:
            progress.say(f"{now.phase}: step {now.step} of {now.steps}, {note}")
            last_score_db = now.score_db
        if now.verdict:
            progress.say(f"{now.phase}: {now.verdict}")

    return tell


def _in_repository(recipe_path: Path) -> str:
    """The path as the card states it: from `training/` on; no machine's folders are told."""
    parts = recipe_path.resolve().parts
    start = len(parts) - 1 - parts[::-1].index("training") if "training" in parts else -1
    return "/".join(parts[start:])
