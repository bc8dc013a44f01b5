"""Who takes part in the comparison: five reference recipes and our own students, on one bank."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vcsharp_training import losses, reference, students, teachers
from vcsharp_training.bank_settings import BankSettings
from vcsharp_training.compare import Compare
from vcsharp_training.errors import CheckpointError, DataError, RecipeError
from vcsharp_training.recipe import read_toml
from vcsharp_training.reference_recipe import (
    Chroma420,
    Plain,
    ReferencePhase,
    ReferenceRecipe,
    TeacherSettings,
    TermSettings,
)
from vcsharp_training.students import RgbStudent

REFERENCE, OURS = "reference projects", "ours"
PROFILES = ("half", "soft", "mjpeg", "call", "clean")
BANK = "bank"
TEACHERLESS = "the ground truth"

_OURS = {
    "nano": Plain(kind="plain", channels=(16, 32, 32, 16)),
    "small": Plain(kind="plain", channels=(16, 32, 32, 32, 32, 16)),
    "base": Plain(kind="plain", channels=(16, *[64] * 8, 16)),
    "nano420": Chroma420(kind="chroma420", channels=(24, 32, 32, 24)),
}
"""Shapes of ours; `nano420` is `nano` with chroma in and out."""


@dataclass(frozen=True)
class Entrant:
    """One student with everything that decides how it is trained."""

    recipe: ReferenceRecipe
    group: str
    taught_by: str
    """Who really taught, in words."""


def bank_settings(wanted: Compare) -> BankSettings:
    """The one bank that all train on."""
    return BankSettings(
        colour=True,
        crop_px=wanted.crop_px,
        window_px=max(320, 2 * wanted.crop_px),
        crops_per_window=1,
        crops_per_image=dict.fromkeys(PROFILES, wanted.crops_per_profile),
        synthetic=0,
        validation_share=0.01,
    )


def every(wanted: Compare) -> list[Entrant]:
    """All that take part, references first. Raises RecipeError if there are no recipes."""
    paths = sorted(path for path in wanted.recipes.glob("r*.toml") if re.match(r"r\d", path.name))
    if not paths:
        raise RecipeError(f"no recipes 'r1-...toml' in '{wanted.recipes}'; give --recipes")
    references = [_reference(ReferenceRecipe(**read_toml(path)), wanted) for path in paths]
    return [*references, *(_ours(name, wanted) for name in _OURS)]


def _common(recipe: ReferenceRecipe, wanted: Compare, patch_px: int) -> ReferenceRecipe:
    """What is the same for all: bank, threads, folder, one validation at the end."""
    batch = min(recipe.train.batch, reference.SMOKE_BATCH) if wanted.smoke else recipe.train.batch
    few = {"patch_px": min(patch_px, wanted.crop_px), "batch": batch}
    train = recipe.train.model_copy(update=few)
    same = {"work": wanted.work, "threads": wanted.threads, "smoke": wanted.smoke}
    if wanted.smoke:
        narrow = reference.NARROW.get(recipe.student.kind, {})
        same["student"] = recipe.student.model_copy(update=narrow)
    return recipe.model_copy(update=same | {"train": train, "bank": bank_settings(wanted)})


def _reference(recipe: ReferenceRecipe, wanted: Compare) -> Entrant:
    recipe = _common(recipe, wanted, recipe.train.patch_px)
    if wanted.smoke:
        return Entrant(recipe, REFERENCE, "random weights")
    recipe, taught_by = _with_teacher(recipe, wanted.weights)
    recipe, seen_by = _with_vgg(recipe, wanted.vgg)
    return Entrant(recipe, REFERENCE, taught_by + seen_by)


def _with_teacher(recipe: ReferenceRecipe, weights: Path) -> tuple[ReferenceRecipe, str]:
    """With its own teacher if that can be loaded, else with the truth in its place."""
    name = recipe.teacher.name
    if name == "truth":
        return recipe, TEACHERLESS
    try:
        teachers.load(name, weights)
    except CheckpointError:
        terms = recipe.loss.model_copy(update={"feature": 0.0})
        update = {"teacher": TeacherSettings(), "loss": terms}
        return recipe.model_copy(update=update), f"{TEACHERLESS} in the place of {name}"
    found = recipe.teacher.model_copy(update={"folder": weights})
    return recipe.model_copy(update={"teacher": found}), name


def _with_vgg(recipe: ReferenceRecipe, vgg: Path | None) -> tuple[ReferenceRecipe, str]:
    if not recipe.loss.perceptual:
        return recipe, ""
    try:
        path = vgg or recipe.loss.vgg
        losses.Perceptual.load(path)
    except DataError:
        terms = recipe.loss.model_copy(update={"perceptual": 0.0})
        return recipe.model_copy(update={"loss": terms}), ", without VGG"
    terms = recipe.loss.model_copy(update={"vgg": path})
    return recipe.model_copy(update={"loss": terms}), ", seen by VGG"


def _ours(name: str, wanted: Compare) -> Entrant:
    """Our students as their own recipes train them, but on RGB and for this budget."""
    recipe = ReferenceRecipe(
        name=name,
        seed=1,
        student=_OURS[name],
        loss=TermSettings(charbonnier=1.0, charbonnier_epsilon=0.01, fourier=0.05),
        train=ReferencePhase(
            batch=16,
            patch_px=96,
            learning_rate=1e-3,
            schedule="cosine",
            ema=0.999,
            clip_norm=1.0,
        ),
    )
    return Entrant(_common(recipe, wanted, recipe.train.patch_px), OURS, TEACHERLESS)


def untrained(entrant: Entrant) -> RgbStudent:
    """The entrant's network with fresh weights."""
    settings = entrant.recipe.student.model_dump()
    return students.build(settings.pop("kind"), **settings)
