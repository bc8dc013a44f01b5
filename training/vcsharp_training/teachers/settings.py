"""The recipe of our own teacher: one TOML file is one run.

vcsharp-train teacher train training/recipes/teachers/nafnet32.toml --bank runs/base/bank
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field

from vcsharp_training.loop_settings import LoopSettings
from vcsharp_training.strict import LATER, Strict

Device = Literal["cpu", "cuda"]


class NetworkSettings(Strict):
    """A NAFNet; the defaults are of width 32 and 17.1 million weights."""

    colour: bool = False
    """Restores RGB; else luma, which every bank has."""
    width: int = Field(32, gt=0)
    """Channels at full size."""
    encoders: tuple[int, ...] = Field((1, 1, 1, 28), min_length=1)
    """Blocks of each level on the way down."""
    middle: int = Field(1, ge=0)
    """Blocks at the bottom."""
    decoders: tuple[int, ...] = Field((1, 1, 1, 1), min_length=1)
    """Blocks of each level on the way up; as many levels as on the way down."""
    stride: int = Field(1, gt=0, json_schema_extra=LATER)
    """Squares of this side become channels first: at 2 every level has a quarter of the pixels."""


class TrainSettings(LoopSettings):
    """Optimisation, with the paper's optimiser, rates and decays."""

    steps: int = Field(100_000, gt=0)
    """Optimiser steps."""
    batch: int = Field(16, gt=0)
    """Crops per step."""
    patch_px: int = Field(128, ge=16)
    """Side of the random part of a crop that is shown; a multiple of two to the levels."""
    final_learning_rate: float = Field(1e-7, gt=0)
    """Rate at the end of the cosine."""
    optimiser: Literal["adam", "adamw"] = "adamw"
    """Adam, or with decoupled weight decay."""
    betas: tuple[float, float] = (0.9, 0.9)
    """Decays of the optimiser's two averages."""
    weight_decay: float = Field(1e-3, ge=0)
    """Decay of the weights per step and unit of learning rate."""
    validate_crops: int = Field(100, gt=0)
    """Held-out crops per profile to validate on."""


class TeacherRecipe(Strict):
    """A whole run of our own teacher, on the bank that its students will learn from."""

    name: str = "own"
    """Name of the run's folder."""
    seed: int = 0
    """Seed of everything random."""
    threads: int = Field(1, gt=0)
    """Threads of the optimiser on the CPU; only 1 repeats bit for bit."""
    device: Device = "cpu"
    """Where to train."""
    bank: Path = Path("runs/base/bank")
    """Folder of a prepared crop bank."""
    work: Path = Path("runs/teachers")
    """Folder for checkpoints."""
    network: NetworkSettings = NetworkSettings()
    """The teacher."""
    train: TrainSettings = TrainSettings()
    """Its training."""

    @property
    def folder(self) -> Path:
        """Where this run's checkpoints lie."""
        return self.work / self.name

    def run_id(self, bank_fingerprint: str) -> str:
        """Names what decides the weights: settings and bank, not the places of things."""
        decides = self.seed, self.network.decides(), self.train.decides()
        text = json.dumps([decides, bank_fingerprint], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
