"""Trains our own teacher on a crop bank: a NAFNet that knows our degradations.

The loop is that of the students: a killed run goes on where it was, and a loss that is no number
touches nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vcsharp_training import distil, loop
from vcsharp_training.bank import Bank
from vcsharp_training.errors import DataError, RecipeError
from vcsharp_training.loop import Batch, Listener, Loop, Objective
from vcsharp_training.processes import Processes
from vcsharp_training.teachers import gate, measure, own
from vcsharp_training.teachers.nafnet import NAFNet, Shape
from vcsharp_training.teachers.settings import NetworkSettings, TeacherRecipe, TrainSettings
from vcsharp_training.teachers.teacher import luma

PHASE = "teacher"
MSE_FLOOR = measure.MSE_FLOOR / 255**2


def shape_of(settings: NetworkSettings, bank: Bank) -> Shape:
    """The network for a bank. Raises RecipeError where they do not go together."""
    if len(settings.encoders) != len(settings.decoders):
        raise RecipeError(
            f"network.decoders has {len(settings.decoders)} levels and network.encoders "
            f"{len(settings.encoders)}; give both the same number"
        )
    if settings.colour and bank.sharp.ndim == 3:
        raise RecipeError(
            "network.colour needs a bank of RGB crops and this one holds luma; "
            "prepare it with bank.colour, or leave network.colour out"
        )
    channels = 3 if settings.colour else 1
    depths = settings.encoders, settings.middle, settings.decoders
    return Shape(channels, settings.width, *depths, settings.stride)


def lessons_of(bank: Bank) -> NDArray[np.intp]:
    """Crops to train on: those with something to restore.

    Of clean ones nothing is ever cached, and in decibels they would count for more than all others.
    Raises DataError if none is left.
    """
    rows = bank.rows(held_out=False)
    rows = rows[~np.isin(bank.profile[rows], list(measure.UNHARMED))]
    if not len(rows):
        raise DataError("the bank holds no degraded crops to train a teacher on; prepare another")
    return rows


def _turned(picture: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """One of the eight flips and quarter turns of rows and columns."""
    turned = np.rot90(picture, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned


def patches(
    bank: Bank, rows: NDArray[np.intp], settings: TrainSettings, key: tuple[int, ...], parts: int
) -> list[tuple[Tensor, Tensor]]:
    """Random degraded and sharp patches, `parts` batches of float N x 3 x patch x patch.

    `key` is the seed; N is the batch of the settings.
    """
    rng, size = np.random.default_rng(key), settings.patch_px
    pairs = list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]()
    for row in rng.choice(rows, settings.batch * parts):
        (y, x), turn = rng.integers(bank.sharp.shape[1] - size + 1, size=2), int(rng.integers(8))
        area = np.s_[row, y : y + size, x : x + size]
        pairs.append((_turned(bank.degraded[area], turn), _turned(bank.sharp[area], turn)))
    degraded, sharp = (
        torch.split(measure.to_rgb(np.stack(pictures)), settings.batch)
        for pictures in zip(*pairs, strict=True)
    )
    return list(zip(degraded, sharp, strict=True))


def psnr_loss(output: Tensor, sharp: Tensor) -> Tensor:
    """Mean of half the logarithm of each crop's error: minus the mean PSNR, but for its scale.

    The loss of the paper. Below half a level there is nothing left to gain.
    """
    return gate.error(output, sharp).clamp_min(MSE_FLOOR).log().mean() / 2


class PsnrObjective(Objective):
    """What the network minimises."""

    def forward(self, degraded: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Float N x channels x H x W."""
        return {"loss": psnr_loss(self.student(degraded).float(), sharp)}


class TeacherTask:
    """Our own teacher on its bank."""

    def __init__(self, recipe: TeacherRecipe, bank: Bank, device: str) -> None:
        """Raises RecipeError where recipe and bank do not go together."""
        self.recipe, self.bank, self.device = recipe, bank, device
        self.net = NAFNet(shape_of(recipe.network, bank))
        for weight in self.net.ending.parameters():
            nn.init.zeros_(weight)  # begins with the picture as it is, and can only get better
        self.objective: Objective = PsnrObjective(self.net)
        self.rows = lessons_of(bank)
        self._check_sizes()

    def _check_sizes(self) -> None:
        patch_px, crop_px = self.recipe.train.patch_px, self.bank.sharp.shape[1]
        if patch_px > crop_px or patch_px % self.net.multiple:
            raise RecipeError(
                f"train.patch_px '{patch_px}' does not fit: crops have {crop_px} px a side "
                f"and the network needs a multiple of {self.net.multiple}"
            )

    def batch(self, step: int, part: int, parts: int) -> Batch:
        """Patches in the channels of the network."""
        key = (self.recipe.seed, *PHASE.encode(), step)
        degraded, sharp = patches(self.bank, self.rows, self.recipe.train, key, parts)[part]
        if not self.recipe.network.colour:
            degraded, sharp = luma(degraded), luma(sharp)
        return {"degraded": degraded, "sharp": sharp}

    def validate(self, student: nn.Module) -> dict[str, float]:
        """Mean gains over the input, in luma, on held-out crops of each profile."""
        found = self._gains(student)
        figures = {profile: gain.gain_db for profile, gain in found.items()}
        return {loop.SCORE: measure.mean_gain_db(found), **figures}

    def _gains(self, student: nn.Module) -> dict[str, measure.Gain]:
        if not isinstance(student, NAFNet):
            raise TypeError(f"a NAFNet is trained here, not a {type(student).__name__}")
        restore = measure.by_teacher(own.as_teacher(student), self.device)
        return measure.gains(restore, self.bank, self.recipe.train.validate_crops)

    def examples(self, student: nn.Module) -> Tensor | None:
        """None: the gains say enough."""


def train(
    recipe: TeacherRecipe, bank: Bank, bank_fingerprint: str, listener: Listener
) -> dict[str, Any]:
    """Trains to the last step and writes the best weights where `load("own", folder)` finds them.

    Returns the figures of the last validation. Raises RecipeError, CheckpointError, DivergedError.
    """
    distil.prepare(recipe.threads, recipe.seed, recipe.device)
    processes = Processes(recipe.device)
    task = TeacherTask(recipe, bank, str(processes.device))
    run = recipe.run_id(bank_fingerprint)
    found = Loop(PHASE, recipe.name, run, recipe.folder, recipe.train, task, listener, processes)
    found.train()
    best = loop.load(recipe.folder / "best.pt", run)
    facts = {"run": run, "bank": bank_fingerprint, "gain_db": best["score_db"]}
    if processes.is_main:
        own.save(recipe.folder / own.FILE, task.net.shape, best["averaged"], facts)
    return found.history[-1]
