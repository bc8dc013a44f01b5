"""What the verbs of `vcsharp-train teacher` do. Figures go to stdout."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from vcsharp import catalogue
from vcsharp_training import bank as banks
from vcsharp_training import degrade, evaluate, loop, progress
from vcsharp_training.errors import DataError, RecipeError
from vcsharp_training.exported import weights_sha256
from vcsharp_training.processes import Processes
from vcsharp_training.teachers import cache, drawn, foreign, gate, loading, measure, own, registry
from vcsharp_training.teachers import training as own_training
from vcsharp_training.teachers.settings import Device, TeacherRecipe

if TYPE_CHECKING:
    from vcsharp_training.teachers.command import Cache

TABLE_WIDTH = 200
"""Columns where there is no terminal to fit the table to: lines are never cut."""
CROP_PX, CROPS_A_SIDE = 128, 4


def list_all(weights: Path) -> None:
    """A table of every teacher on stdout."""
    table = Table("name", "task", "parameters", "licence", "file", "found", box=None)
    table.columns[2].justify = "right"
    table.add_row(registry.TRUTH, "the bank's sharp pictures", "-", "-", "-", "yes")
    for entry in registry.ENTRIES.values():
        found = "yes" if loading.find(weights, entry.file) else "no"
        figures = f"{entry.parameters:,}", entry.licence, entry.file
        table.add_row(entry.name, entry.task, *figures, found)
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = TABLE_WIDTH
    console.print(table)


def _device(choice: Device) -> str:
    return str(Processes(choice).device)


def check(name: str, weights: Path, device: Device) -> None:
    """Loads a teacher and restores the drawn picture; parameters and PSNR on stdout."""
    parameters, widths, restore = _asked(name, weights, device)
    sharp = drawn.sharp()[None]
    degraded = drawn.halved(sharp[0])[None]
    before, after = (
        _psnr_db(pictures, measure.luma(sharp))
        for pictures in (measure.luma(degraded), measure.luma(restore(degraded)))
    )
    levels = ", ".join(f"{level} {width}" for level, width in widths.items()) or "none"
    sys.stdout.write(
        f"teacher     {name}\nparameters  {parameters:,}\nlevels      {levels}\n"
        f"drawn luma  half size {before:.2f} dB, restored {after:.2f} dB\n"
    )


def _asked(
    name: str, weights: Path, device: Device
) -> tuple[int, Mapping[str, int], measure.Restorer]:
    """A teacher's parameters, the widths of its levels, and itself; a student may teach too."""
    if measure.is_model(name):
        return catalogue.load(Path(name)).card.params, {}, measure.by_model(Path(name))
    teacher = registry.load(name, weights)
    return teacher.parameters, teacher.widths, measure.by_teacher(teacher, _device(device))


def _psnr_db(pictures: NDArray[np.uint8], sharp: NDArray[np.uint8]) -> float:
    error = float(np.square(pictures.astype(np.float64) - sharp).mean())
    return 10 * math.log10(255**2 / max(error, 1e-9))


def measure_on(name: str, weights: Path, dev: Path, pictures: int, device: Device) -> None:
    """What a teacher gains on held-out pictures, as a Markdown table on stdout."""
    _, _, restore = _asked(name, weights, device)
    paths = [path for path, _ in evaluate.chosen(dev, None)]
    paths = paths[:: -(-len(paths) // pictures)]
    sys.stdout.write("| profile | crops | gain, dB | better |\n|---|---|---|---|\n")
    with progress.bar("measuring") as bar:
        total = len(paths) * len(degrade.EVALUATION)
        for number, profile in enumerate(degrade.EVALUATION):
            pairs = []
            for done, path in enumerate(paths, number * len(paths) + 1):
                pairs.append(_crops(path, profile))
                bar(done, total, profile)
            degraded, sharp = (np.concatenate(part) for part in zip(*pairs, strict=True))
            if not len(sharp):
                raise DataError(f"no picture of '{dev}' has {CROP_PX} px a side; give larger ones")
            found = measure.gain_of(restore, degraded, sharp)
            sys.stdout.write(
                f"| {profile} | {found.crops} | {found.gain_db:+.2f} | {found.wins:.0%} |\n"
            )


def _crops(path: Path, profile: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The middle of a degraded picture and of its truth in crops, uint8 N x crop x crop."""
    degraded, sharp = evaluate.pair_of(path, profile)
    return _cut(degraded), _cut(sharp)


def _cut(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = (min(CROPS_A_SIDE, side // CROP_PX) for side in plane.shape)
    height, width = rows * CROP_PX, columns * CROP_PX
    y, x = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    middle = plane[y : y + height, x : x + width]
    grid = middle.reshape(rows, CROP_PX, columns, CROP_PX).swapaxes(1, 2)
    return grid.reshape(-1, CROP_PX, CROP_PX)


def train(recipe: TeacherRecipe) -> None:
    """Trains our own teacher; the last validation goes to stdout."""
    crops, fingerprint = banks.load(recipe.bank), cache.bank_fingerprint(recipe.bank)
    with progress.bar("training the teacher") as bar:

        def tell(now: loop.Report) -> None:
            note = f"loss {now.loss:.4f}, validation {now.score_db:+.3f} dB"
            bar(now.step, now.steps, note)

        figures = own_training.train(recipe, crops, fingerprint, tell)
    for name, value in figures.items():
        sys.stdout.write(f"{name} {value:.6g}\n")
    progress.say(f"wrote '{recipe.folder / own.FILE}'")


def cache_lessons(wanted: Cache) -> None:
    """Writes a teacher's pictures of a bank, if the teacher is good enough."""
    identity = _identity(wanted)
    if cache.is_current(wanted.bank, identity):
        progress.say(f"the pictures of '{wanted.name}' in '{wanted.bank}' are up to date")
        return
    restore = None
    if wanted.name != registry.TRUTH:
        _, _, restore = _asked(wanted.name, wanted.weights, wanted.device)
        _require_lead(wanted, restore)
    with progress.bar(f"asking '{wanted.name}'") as bar:
        cache.build(wanted.bank, restore, identity, bar)
    sys.stdout.write((wanted.bank / cache.REPORT).read_text("utf-8") + "\n")


def _identity(wanted: Cache) -> cache.Identity:
    """Raises RecipeError, CheckpointError or DataError where something is missing."""
    bank = cache.bank_fingerprint(wanted.bank)
    if wanted.name == registry.TRUTH:
        return cache.Identity(wanted.name, "", bank)
    if measure.is_model(wanted.name):
        return cache.Identity(Path(wanted.name).name, weights_sha256(Path(wanted.name)), bank)
    file = foreign.is_checkpoint(wanted.name)
    path = foreign.found(wanted.name) if file else registry.path_of(wanted.name, wanted.weights)
    return cache.Identity(wanted.name, cache.digest(path), bank)


def _require_lead(wanted: Cache, restore: measure.Restorer) -> None:
    """Measures teacher and student on the same held-out crops. Raises TeacherError."""
    if wanted.student is None:
        if wanted.name == own.NAME:
            raise RecipeError(
                "teacher 'own' is used only where it is ahead of the best student: "
                "name that one's folder with --student"
            )
        return
    crops = banks.load(wanted.bank)
    teacher_db, student_db = (
        measure.mean_gain_db(measure.gains(each, crops, wanted.crops))
        for each in (restore, measure.by_model(wanted.student))
    )
    gate.require_lead(wanted.name, teacher_db, wanted.student.name, student_db)
    progress.say(
        f"on held-out crops '{wanted.name}' gains {teacher_db:+.2f} dB, "
        f"'{wanted.student.name}' {student_db:+.2f} dB"
    )
