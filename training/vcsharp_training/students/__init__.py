"""Students on RGB by name: those of the five reference projects, and ours beside them.

    student = students.build("unet_se", base_channels=16)
    sharp = student(rgb)

RGB is float N x 3 x H x W in 0..1; outputs are not clipped.
"""

from __future__ import annotations

from typing import Any

from vcsharp_training.errors import RecipeError
from vcsharp_training.students.base import RgbStudent
from vcsharp_training.students.chains import CnnV3, LightCnn, ShallowCnn
from vcsharp_training.students.ours import Chroma420, PlainRgb
from vcsharp_training.students.unet import ResidualUnet, SqueezedUnet

_CLASSES: dict[str, type[RgbStudent]] = {
    "light": LightCnn,
    "unet_se": SqueezedUnet,
    "residual_unet": ResidualUnet,
    "cnn_v3": CnnV3,
    "shallow": ShallowCnn,
    "plain": PlainRgb,
    "chroma420": Chroma420,
}
KINDS = tuple(_CLASSES)

__all__ = ["KINDS", "RgbStudent", "build", "parameters"]


def build(kind: str, **settings: Any) -> RgbStudent:
    """A new student; `settings` are its class's arguments. Raises RecipeError for what is none."""
    if kind not in _CLASSES:
        raise RecipeError(f"no student '{kind}'; there are {', '.join(KINDS)}")
    try:
        return _CLASSES[kind](**settings)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"student '{kind}': {error}") from error


def parameters(student: RgbStudent) -> int:
    """How many numbers are trained."""
    return sum(weight.numel() for weight in student.parameters())
