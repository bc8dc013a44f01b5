"""Where a student's lessons come from: a teacher's pictures and maps, live or from the bank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from vcsharp_training import teachers
from vcsharp_training.reference_recipe import TeacherSettings

TRUTH = "truth"
SMOKE_WIDTH = 6


class Lessons(Protocol):
    """What is asked of a teacher; see `teachers.Teacher`."""

    @property
    def widths(self) -> Mapping[str, int]:
        """Channels of each level."""

    def to(self, device: str) -> Lessons:
        """Moves it there."""

    def restore(self, rgb: Tensor) -> Tensor:
        """Restored pictures, float N x 3 x H x W in 0..1, as what is given."""

    def features(self, rgb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Restored pictures, and the maps of each level."""


class RandomTeacher(nn.Module):
    """Stands in for a teacher in smoke runs: random weights, the names of the real one's levels."""

    def __init__(self, levels: Mapping[str, str]) -> None:
        super().__init__()
        self.widths = dict.fromkeys(levels.values(), SMOKE_WIDTH)
        self.first = nn.Conv2d(3, SMOKE_WIDTH, 3, padding=1)
        self.last = nn.Conv2d(SMOKE_WIDTH, 3, 3, padding=1)
        self.requires_grad_(requires_grad=False)

    def restore(self, rgb: Tensor) -> Tensor:
        """Something near to its input."""
        return self.features(rgb)[0]

    @torch.no_grad()
    def features(self, rgb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The same maps for every level."""
        maps = self.first(rgb)
        restored = (rgb + 0.1 * torch.tanh(self.last(maps))).clamp(0, 1)
        return restored, dict.fromkeys(self.widths, maps)


def find(settings: TeacherSettings, *, smoke: bool) -> Lessons | None:
    """The recipe's teacher; None where the truth teaches. Raises what `teachers.load` raises."""
    if settings.name == TRUTH:
        return None
    return (
        RandomTeacher(settings.levels) if smoke else teachers.load(settings.name, settings.folder)
    )
