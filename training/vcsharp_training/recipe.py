"""One TOML file is one training run. Every value can be overridden by a flag of the same name.

Steps are counted, never minutes, so that a recipe repeats bit for bit on the CPU with one thread.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from vcsharp_training.bank_settings import BankSettings as BankSettings
from vcsharp_training.errors import RecipeError
from vcsharp_training.exported import weights_sha256
from vcsharp_training.loop_settings import LoopSettings
from vcsharp_training.strict import LATER, Strict


class NetworkSettings(Strict):
    """The student."""

    channels: tuple[int, ...] = (16, 32, 32, 16)
    """Widths from the stem to the head; first and last are stride squared."""
    stride: int = Field(4, gt=0)
    """Unshuffle factor."""
    start: Path | None = Field(None, json_schema_extra=LATER)
    """Folder of an exported student to start from, or a file of an expert's weights in it: its
    layers, and after its stem as many more as `channels` has, which pass on what they get.
    """
    expansion: int = Field(2, gt=0)
    """Width of the training-time branch, as a multiple of the layer's outputs. Gone after
    collapsing.
    """

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ends = {self.channels[0], self.channels[-1]} if self.channels else set()
        if ends != {self.stride**2}:
            raise ValueError(
                f"channels must begin and end with stride squared ({self.stride**2}), "
                f"got '{self.channels}'"
            )
        return self

    def decides(self) -> dict[str, Any]:
        """The weights to start from count, not where they lie."""
        start = {"start": weights_sha256(self.start)} if self.start else {}
        return super().decides() | start


class LossSettings(Strict):
    """Weights of the terms; see `losses/luma.py`."""

    charbonnier_epsilon: float = Field(1e-3, gt=0)
    """Where the main term turns from a parabola into a line, in units of full scale."""
    even_levels: float = Field(4.0, ge=0)
    """Each crop's loss is divided by its input's mean error, where that is above this many levels.

    Smooth crops, whose errors are small, then count as much as busy ones, as they do in a mean of
    decibels. 0 switches it off."""
    clean: float = Field(0.25, gt=0)
    """Weight of crops that are to stay as they are; the lower, the bolder the student."""
    fourier: float = Field(0.05, ge=0)
    """L1 between the spectra."""
    edge: float = Field(0.0, ge=0)
    """L1 between Sobel gradients."""
    amplitude: float = Field(0.0, ge=0, json_schema_extra=LATER)
    """L1 between the magnitudes of local spectra: as much fine detail as the truth has, wherever
    exactly it lies. Lowers LPIPS; a high weight costs fidelity.
    """
    crispness: float = Field(0.0, ge=0, json_schema_extra=LATER)
    """Share of the truth's high-frequency energy that is missing. Costs fidelity; a high weight
    makes grain. For crisp variants.
    """
    lpips: float = Field(0.0, ge=0, json_schema_extra=LATER)
    """LPIPS, of luma shown as grey: what a network that learnt to see takes for alike. For crisp
    variants; a student trained for it says little by its own LPIPS.
    """
    lpips_weights: Path = Path("weights/lpips")
    """Folder with the weights of LPIPS (`alex_features.pth`, `lin_alex.pth`)."""
    flat: float = Field(0.1, ge=0)
    """Charbonnier of the residual on plain greys."""
    teacher: float = Field(0.0, ge=0, json_schema_extra=LATER)
    """Charbonnier to a teacher's picture, for crops that the teacher brought nearer to the truth.
    Needs a bank that `vcsharp-train teacher` has written the teacher's pictures into.
    """

    def decides(self) -> dict[str, Any]:
        """All but where LPIPS lies."""
        return {name: value for name, value in super().decides().items() if name != "lpips_weights"}


Share = Annotated[float, Field(ge=0)]


class PhaseSettings(LoopSettings):
    """One stretch of optimisation of a luma student."""

    batch: int = Field(16, gt=0)
    """Crops per batch."""
    patch_px: int = Field(128, ge=16)
    """Side of the random part of a crop that is shown to the network; a multiple of the stride."""
    flat_levels: int = Field(16, gt=0, le=256)
    """Grey levels shown per step, beside the batch."""
    shares: dict[str, Share] = Field({}, json_schema_extra=LATER)
    """How often crops of a profile are drawn, by its name; 1 where nothing is said. A small student
    cannot be good at everything: what one profile gains, others pay.
    """
    calibration_crops: int = Field(256, gt=0, json_schema_extra=LATER)
    """Of the int8 phase: how many crops the ranges of activations are taken from."""
    loss: LossSettings = LossSettings()
    """Loss terms."""


class ExpertSettings(PhaseSettings):
    """Further training of the finished float student, once for each kind of picture.

    An expert knows what it is to restore, and gains more on that than a student that has to be good
    at everything. Which one a picture is for, the gate says (`gate.py`).
    """

    kinds: tuple[str, ...] = ()
    """Profiles of the bank that get an expert; none without."""
    others: Share = 0.02
    """How often an expert sees a crop of another profile, where its own counts as 1: so that a
    picture in the wrong hands is not spoilt. Takes the place of `shares`."""

    steps_of: dict[str, int] = Field({}, json_schema_extra=LATER)
    """Steps of experts that need more than `steps`, or fewer, by kind."""

    def of(self, kind: str) -> Self:
        """The settings of one expert."""
        steps = self.steps_of.get(kind, self.steps)
        return self.model_copy(update={"kinds": (kind,), "steps": steps, "steps_of": {}})

    def shares_of(self, kind: str, profiles: Iterable[str]) -> dict[str, float]:
        """How often crops of each profile are drawn for the expert of one."""
        return {profile: 1.0 if profile == kind else self.others for profile in profiles}


class FinishSettings(ExpertSettings):
    """A last stretch of some experts, with terms of their own.

    Squared errors at the end gain decibels; terms that ask for detail are for the eye and cost
    some. What decibels like best is chosen at every validation: for the eye, `validate_every`
    should be `steps`.
    """

    losses: dict[str, LossSettings] = Field({}, json_schema_extra=LATER)
    """Terms of an expert, by kind; `loss` where none are given."""

    def of(self, kind: str) -> Self:
        """The settings of one expert."""
        own = {"loss": self.losses.get(kind, self.loss), "losses": {}}
        return super().of(kind).model_copy(update=own)


class GateSettings(Strict):
    """The classifier that chooses an expert."""

    steps: int = Field(3000, gt=0)
    """Optimiser steps."""
    learning_rate: float = Field(2e-3, gt=0)
    """Rate at the start of the cosine."""
    batch: int = Field(256, gt=0)
    """Samples per step."""
    width: int = Field(32, gt=0, le=256)
    """Of its two hidden layers."""
    others: int = Field(1000, gt=0)
    """Samples that are spoilt in ways no expert was trained for."""


class RunSettings(Strict):
    """What every recipe has: a name, a seed, and where things lie."""

    name: str = "nano"
    """Name of the model."""
    version: str = "0.1.0"
    """Version that goes into the card."""
    summary: str = "a student"
    """One line for people."""
    seed: int = 0
    """Seed of everything random."""
    threads: int = Field(1, gt=0)
    """Threads of the optimiser; only 1 repeats bit for bit."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to train. Only the CPU repeats bit for bit."""
    workers: int = Field(2, gt=0)
    """Processes that cut the bank; the result does not depend on it."""
    data: Path = Path("data/train")
    """Folder with sharp pictures to train on; `generated` draws some."""
    data_note: str = ""
    """What the training pictures are, for the card."""
    dev: Path = Path("data/dev")
    """Folder with sharp pictures to measure on, one sub-folder per category. Never trained on.
    `generated` draws some.
    """
    work: Path = Path("runs")
    """Folder for banks, checkpoints and logs of this and other runs."""
    models: Path = Path("models")
    """Folder that the model's own folder is written into."""
    bank: BankSettings = BankSettings()
    """The crop bank."""

    @property
    def bank_folder(self) -> Path:
        """Where this recipe's crop bank lies."""
        return self.work / self.name / "bank"

    def phase_folder(self, phase: str) -> Path:
        """Where a phase's checkpoints and curves lie."""
        return self.work / self.name / phase


class Recipe(RunSettings):
    """A whole run of a luma student: data, network, training, quantisation."""

    network: NetworkSettings = NetworkSettings()
    """The student."""
    train: PhaseSettings = PhaseSettings()
    """Training in floating point."""
    experts: ExpertSettings = Field(
        ExpertSettings(steps=8000, learning_rate=5e-4), json_schema_extra=LATER
    )
    """Training of experts in floating point, each from the best weights of `train`."""
    finish: FinishSettings = Field(
        FinishSettings(steps=2000, validate_every=2000, warmup_steps=100, learning_rate=3e-4),
        json_schema_extra=LATER,
    )
    """Further training of some of the experts, from their best weights."""
    gate: GateSettings = Field(GateSettings(), json_schema_extra=LATER)
    """Training of what chooses between them."""
    qat: PhaseSettings = PhaseSettings(
        steps=500, learning_rate=3e-4, warmup_steps=100, flat_levels=64
    )
    """Quantisation-aware training of the biases, from the best floating-point weights, rounded."""

    @model_validator(mode="after")
    def _finished_ones_are_experts(self) -> Self:
        if unknown := set(self.finish.kinds) - set(self.experts.kinds):
            raise ValueError(f"finish.kinds names '{min(unknown)}', experts.kinds does not")
        return self

    @property
    def model_folder(self) -> Path:
        """Where the exported model goes."""
        return self.models / self.name


def read_toml(path: Path) -> dict[str, Any]:
    """The raw values of a recipe. Raises RecipeError if there is no such file or it is not TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read recipe '{path}': {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe '{path}' is not TOML: {error}") from error
