"""Recipes of students on RGB: those of the reference projects, and ours beside them.

A recipe with a `[student]` table is one of these. Numbers are those that each project reports;
where it reports none, the recipe says what was taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import CliImplicitFlag

from vcsharp_training.bank_settings import BankSettings
from vcsharp_training.loop_settings import LoopSettings
from vcsharp_training.recipe import RunSettings
from vcsharp_training.strict import Strict


class Light(Strict):
    """The lightweight CNN."""

    kind: Literal["light"]
    """A chain of 3x3 convolutions."""
    width: int = Field(32, gt=0)
    """Channels between the layers."""
    layers: int = Field(4, ge=2)
    """3x3 convolutions in all."""


class UnetSe(Strict):
    """The U-Net with squeeze and excitation."""

    kind: Literal["unet_se"]
    """A U-Net with SE blocks."""
    base_channels: int = Field(116, gt=0)
    """Width of the first stage; 116 and three poolings have 25.5 M parameters."""
    depth: int = Field(3, gt=0)
    """Poolings."""
    reduction: int = Field(16, gt=0)
    """How much narrower an SE block is inside."""


class ResidualUnet(Strict):
    """The residual U-Net."""

    kind: Literal["residual_unet"]
    """A U-Net with residual blocks."""
    base_channels: int = Field(32, gt=0)
    """Width of the first stage."""
    depth: int = Field(3, gt=0)
    """Halvings."""


class CnnV3(Strict):
    """StudentCNN_v3."""

    kind: Literal["cnn_v3"]
    """3-64-128-128 (dilation 2)-64-3 with a sigmoid."""
    width: int = Field(64, gt=0)
    """Channels of the first layer."""


class Shallow(Strict):
    """The shallow CNN."""

    kind: Literal["shallow"]
    """A chain of 3x3 convolutions with a level to teach."""
    width: int = Field(64, gt=0)
    """Channels between the layers."""
    layers: int = Field(5, ge=2)
    """3x3 convolutions in all."""
    batch_norm: bool = False
    """Whether to normalise after each."""


class Plain(Strict):
    """Our shape on luma."""

    kind: Literal["plain"]
    """As `[network]` of our own recipes."""
    channels: tuple[int, ...] = (16, 32, 32, 16)
    """Widths from the stem to the head; first and last are stride squared."""
    stride: int = Field(4, gt=0)
    """Unshuffle factor."""
    expansion: int = Field(2, gt=0)
    """Width of the training-time branch, as a multiple of the layer's outputs."""


class Chroma420(Strict):
    """Our shape on a 4:2:0 frame."""

    kind: Literal["chroma420"]
    """16 luma, 4 Cb and 4 Cr channels in."""
    channels: tuple[int, ...] = (24, 32, 32, 16)
    """Widths from the stem (24) to the head: 16 corrects luma, 24 chroma as well."""
    expansion: int = Field(2, gt=0)
    """Width of the training-time branch, as a multiple of the layer's outputs."""


StudentSettings = Annotated[
    Light | UnetSe | ResidualUnet | CnnV3 | Shallow | Plain | Chroma420,
    Field(discriminator="kind"),
]


class TeacherSettings(Strict):
    """Who teaches."""

    name: str = "truth"
    """A name that `vcsharp-train teacher` knows; `truth` is the ground truth alone."""
    folder: Path = Path("weights")
    """Folder with the teacher's published checkpoint."""
    levels: dict[str, str] = Field({})
    """Which of the teacher's levels each of the student's is compared with."""
    gate: bool = False
    """Whether to follow it only for crops that it brought nearer to the truth; the reference
    projects do not.
    """


class TermSettings(Strict):
    """Weight of every term of the loss; 0 leaves it out. Their sources stand in `losses/`."""

    l1: float = Field(0.0, ge=0)
    """L1 to the ground truth."""
    mse: float = Field(0.0, ge=0)
    """Mean square error to the ground truth."""
    charbonnier: float = Field(0.0, ge=0)
    """Charbonnier to the ground truth."""
    charbonnier_epsilon: float = Field(1e-3, gt=0)
    """Where that turns from a parabola into a line."""
    ssim: float = Field(0.0, ge=0)
    """1 - SSIM to the ground truth."""
    ms_ssim: float = Field(0.0, ge=0)
    """1 - MS-SSIM to the ground truth."""
    edge: float = Field(0.0, ge=0)
    """L1 between Sobel gradients, to the ground truth."""
    fourier: float = Field(0.0, ge=0)
    """L1 between spectra, to the ground truth."""
    teacher_l1: float = Field(0.0, ge=0)
    """L1 to the teacher's picture."""
    teacher_mse: float = Field(0.0, ge=0)
    """Mean square error to the teacher's picture."""
    perceptual: float = Field(0.0, ge=0)
    """Distance of VGG-19's maps to those of the teacher's picture (of the truth, where the truth
    teaches).
    """
    vgg: Path = Path("weights/vgg19.pth")
    """VGG-19's weights under torchvision's names."""
    feature: float = Field(0.0, ge=0)
    """L1 between the student's maps, projected by 1x1 convolutions, and the teacher's."""
    kl: float = Field(0.0, ge=0)
    """KL divergence of softened channels from the teacher's."""
    temperature: float = Field(4.0, gt=0)
    """How soft."""
    temporal: float = Field(0.0, ge=0)
    """L1 between the changes from the frame before; needs a bank with `temporal`."""

    @property
    def asks_teacher(self) -> bool:
        """Whether any term looks at a teacher's picture or maps."""
        return any((self.teacher_l1, self.teacher_mse, self.perceptual, self.feature, self.kl))


class ReferencePhase(Strict):
    """How long and how fast, in the words of the reports: epochs, not steps."""

    epochs: int = Field(50, gt=0)
    """Times that every crop is shown."""
    steps: int | None = Field(None, gt=0)
    """Optimiser steps in the place of epochs."""
    batch: int = Field(1, gt=0)
    """Crops per batch."""
    accumulate: int = Field(1, gt=0)
    """Batches per optimiser step."""
    patch_px: int = Field(256, ge=16)
    """Side of the random part of a crop that is shown; at most the bank's `crop_px`."""
    optimiser: Literal["adam", "adamw"] = "adam"
    """See the loop's settings."""
    learning_rate: float = Field(1e-4, gt=0)
    """Highest rate."""
    schedule: Literal["cosine", "warm_restarts", "constant"] = "constant"
    """How the rate goes."""
    restart_epochs: int = Field(10, gt=0)
    """Length of the first cosine of `warm_restarts`."""
    restart_factor: int = Field(1, gt=0)
    """How many times longer each cosine is than the one before."""
    final_learning_rate: float = Field(1e-6, gt=0)
    """Rate at the end of a cosine."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of the averaged weights, which are the ones that count; 0 averages nothing."""
    clip_norm: float = Field(float("inf"), gt=0)
    """Largest norm of the gradient."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward and backward pass."""
    validate_every: int | None = Field(None, gt=0)
    """Steps between validations; an epoch if not set."""

    def loop(self, crops: int, processes: int = 1) -> LoopSettings:
        """The same in steps, for a bank with `crops` crops to train on."""
        epoch = max(crops // (self.batch * self.accumulate * processes), 1)
        return LoopSettings(
            steps=self.steps or self.epochs * epoch,
            learning_rate=self.learning_rate,
            final_learning_rate=self.final_learning_rate,
            warmup_steps=0,
            ema=self.ema,
            clip_norm=self.clip_norm,
            validate_every=self.validate_every or epoch,
            optimiser=self.optimiser,
            betas=(0.9, 0.999),
            schedule=self.schedule,
            restart_steps=self.restart_epochs * epoch,
            restart_factor=self.restart_factor,
            accumulate=self.accumulate,
            precision=self.precision,
        )


class ReferenceRecipe(RunSettings):
    """A run of a student on RGB: data, student, teacher, loss, training."""

    smoke: CliImplicitFlag[bool] = False
    """Try the whole way in seconds: drawn pictures, a narrow student, a teacher with random
    weights, a few steps. What comes out is of no use.
    """
    student: StudentSettings
    """The student."""
    teacher: TeacherSettings = TeacherSettings()
    """The teacher."""
    loss: TermSettings = TermSettings()
    """Loss terms."""
    train: ReferencePhase = ReferencePhase()
    """Training."""
    bank: BankSettings = BankSettings(colour=True)
    """The crop bank."""
