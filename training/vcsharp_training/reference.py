"""Training students on RGB: the reference projects' by their own recipes, ours beside them.

student = reference.train(recipe)              # from the recipe's own bank
student = reference.train(recipe, steps=2000)  # everything else as the recipe says
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from vcsharp_training import bank as banks
from vcsharp_training import distil, drawn, lessons, loop, losses, sampling, students, validate
from vcsharp_training.bank import Bank
from vcsharp_training.errors import CheckpointError, DataError, RecipeError
from vcsharp_training.loop import Batch, Listener, Loop, Objective
from vcsharp_training.loop_settings import LoopSettings
from vcsharp_training.processes import Processes
from vcsharp_training.reference_objective import ReferenceObjective
from vcsharp_training.reference_recipe import ReferenceRecipe
from vcsharp_training.students import RgbStudent

PHASE = "train"
MULTIPLE = 4
"""Sides of validation crops are cut to it, for students on a grid."""
VALIDATION_PIXELS = 2**20
"""Taken at once, at most."""
EXAMPLES = 3
SMOKE_CROPS, SMOKE_PX, SMOKE_STEPS, SMOKE_BATCH = 15, 32, 2, 2
NARROW: dict[str, dict[str, int]] = {
    "light": {"width": 8},
    "unet_se": {"base_channels": 8},
    "residual_unet": {"base_channels": 8},
    "cnn_v3": {"width": 8},
    "shallow": {"width": 8},
}
"""Students of a smoke run."""


@dataclass(frozen=True)
class _AsResidual:
    """A student on RGB as validation looks at ours."""

    student: nn.Module

    def residual(self, rgb: Tensor) -> Tensor:
        """What it changes."""
        changed: Tensor = self.student(rgb) - rgb
        return changed


class ReferenceTask:
    """What is trained, and on what."""

    def __init__(self, recipe: ReferenceRecipe, bank: Bank, objective: Objective) -> None:
        self.recipe, self.bank, self.objective = recipe, bank, objective
        self.rows = bank.rows(held_out=False)
        self.crops = _crops(recipe, bank)

    def batch(self, step: int, part: int, parts: int) -> Batch:
        """The next crops in an order that shows all of them once in an epoch."""
        train = self.recipe.train
        start = (step * parts + part) * train.batch
        places = range(start, start + train.batch)
        return sampling.shown_once(self.crops, self.rows, train.patch_px, self.recipe.seed, places)

    def validate(self, student: nn.Module) -> dict[str, float]:
        """Gains in dB per profile, in RGB, and their mean over the degraded ones."""
        size = max(VALIDATION_PIXELS // self.bank.sharp.shape[1] ** 2, 1)
        found = validate.scores(_AsResidual(student), self.bank, MULTIPLE, _device(student), size)
        gains = [gain for profile, gain in found.items() if profile != validate.CLEAN]
        return {loop.SCORE: sum(gains) / max(len(gains), 1), **found}

    @torch.no_grad()
    def examples(self, student: nn.Module) -> Tensor:
        """Held-out crops side by side: what came in, what came out, the truth."""
        rows = self.bank.rows(held_out=True)[:EXAMPLES]
        degraded, sharp = next(sampling.in_order(self.bank, rows, EXAMPLES, MULTIPLE))
        output = student(degraded.to(_device(student))).clamp(0, 1).cpu()
        triples = zip(degraded, output, sharp, strict=True)
        return torch.cat([torch.cat(triple, dim=-1) for triple in triples], dim=-2)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _crops(recipe: ReferenceRecipe, bank: Bank) -> dict[str, NDArray[np.uint8]]:
    """Which of a bank's pictures the loss looks at. Raises what is wrong with it."""
    if bank.sharp.ndim != 4:
        raise DataError("this student needs a bank of RGB crops; set bank.colour and prepare it")
    if recipe.train.patch_px > bank.sharp.shape[1]:
        raise RecipeError(
            f"train.patch_px '{recipe.train.patch_px}' is larger than the bank's crops "
            f"({bank.sharp.shape[1]} px); lower it or raise bank.crop_px"
        )
    found = {"degraded": bank.degraded, "sharp": bank.sharp}
    if recipe.loss.asks_teacher and bank.taught is not None:
        found["taught"] = bank.taught
    if recipe.loss.temporal:
        if bank.before_degraded is None or bank.before_sharp is None:
            raise DataError(
                "loss.temporal needs the frame before each crop; set bank.temporal and prepare it"
            )
        found |= {"before_degraded": bank.before_degraded, "before_sharp": bank.before_sharp}
    return found


def objective(recipe: ReferenceRecipe) -> ReferenceObjective:
    """The student with its loss and its teacher, new. Raises RecipeError, DataError and what
    `teachers.load` raises.
    """
    torch.manual_seed(recipe.seed)
    settings = recipe.student.model_dump()
    student = students.build(settings.pop("kind"), **settings)
    vgg = None
    if recipe.loss.perceptual:
        vgg = losses.Perceptual() if recipe.smoke else losses.Perceptual.load(recipe.loss.vgg)
    teacher = lessons.find(recipe.teacher, smoke=recipe.smoke)
    return ReferenceObjective(student, recipe.loss, recipe.teacher, teacher, vgg)


def run_id(recipe: ReferenceRecipe, settings: LoopSettings) -> str:
    """Names what decides the weights; not the places of things."""
    decides = recipe.model_dump(
        mode="json",
        include={"seed", "student", "loss", "teacher", "smoke"},
        exclude={"loss": {"vgg"}, "teacher": {"folder"}},
    )
    train = {"batch": recipe.train.batch, "patch_px": recipe.train.patch_px}
    decides |= {"bank": recipe.bank.decides(), "train": train | settings.decides()}
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def train(
    recipe: ReferenceRecipe,
    steps: int | None = None,
    bank: Bank | None = None,
    listener: Listener = loop.no_listener,
) -> RgbStudent:
    """Trains to the end, from the last checkpoint if there is one; returns the best weights.

    Args:
        recipe: the recipe; a smoke run has to be `shrunk` first.
        steps: optimiser steps, in the place of the recipe's.
        bank: crops, in the place of the recipe's own bank.
        listener: told how far it is.

    Raises RecipeError, DataError, CheckpointError, DivergedError.
    """
    if steps is not None:
        shorter = recipe.train.model_copy(update={"steps": steps})
        recipe = recipe.model_copy(update={"train": shorter})
    distil.prepare(recipe.threads, recipe.seed, recipe.device)
    wanted = objective(recipe)
    task = ReferenceTask(recipe, banks.load(recipe.bank_folder) if bank is None else bank, wanted)
    group = Processes(recipe.device)
    settings = recipe.train.loop(len(task.rows), group.count)
    run, folder = run_id(recipe, settings), recipe.phase_folder(PHASE)
    Loop(PHASE, recipe.name, run, folder, settings, task, listener, group).train()
    student = wanted.student.cpu()
    student.load_state_dict(loop.load(folder / "best.pt", run)["averaged"])
    return student.eval()


def save(recipe: ReferenceRecipe, student: RgbStudent) -> Path:
    """Writes the student into the run's folder, with the settings that build it; returns the file.

    Raises CheckpointError if it cannot be written.
    """
    path = recipe.work / recipe.name / "student.safetensors"
    try:
        save_file(student.state_dict(), path, {"student": recipe.student.model_dump_json()})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot write '{path}': {error}; make room and run again") from error
    return path


def shrunk(recipe: ReferenceRecipe) -> tuple[ReferenceRecipe, Bank]:
    """A smoke run of a recipe, small but with the same loss and schedule, and its drawn bank."""
    student = recipe.student.model_copy(update=NARROW.get(recipe.student.kind, {}))
    few = {
        "steps": SMOKE_STEPS,
        "batch": min(recipe.train.batch, SMOKE_BATCH),
        "patch_px": min(recipe.train.patch_px, SMOKE_PX),
        "validate_every": SMOKE_STEPS // 2,
    }
    phase = recipe.train.model_copy(update=few)
    small = {"name": f"{recipe.name}-smoke", "smoke": True, "student": student, "train": phase}
    return recipe.model_copy(update=small), drawn.bank(SMOKE_CROPS, SMOKE_PX, recipe.seed)
