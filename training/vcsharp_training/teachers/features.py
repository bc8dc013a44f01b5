"""1x1 convolutions that bring a student's maps to a teacher's widths (Romero et al., FitNets,
ICLR 2015, arXiv 1412.6550). They are trained along and thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from vcsharp_training.errors import RecipeError


class Projections(nn.Module):
    """One 1x1 convolution per level that student and teacher share."""

    def __init__(
        self, student_widths: Mapping[str, int], teacher_widths: Mapping[str, int]
    ) -> None:
        super().__init__()
        missing = sorted(set(student_widths) - set(teacher_widths))
        if missing or not student_widths:
            raise RecipeError(
                f"no features to teach at '{', '.join(missing) or 'no level'}': "
                f"the teacher has '{', '.join(teacher_widths) or 'none'}'; name levels of these"
            )
        self.levels = tuple(student_widths)
        self.convs = nn.ModuleList(
            nn.Conv2d(student_widths[level], teacher_widths[level], 1) for level in self.levels
        )

    def forward(self, student: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The student's maps (float N x its width x h x w) at the teacher's widths."""
        pairs = zip(self.levels, self.convs, strict=True)
        return {level: conv(student[level]) for level, conv in pairs}

    def distance(self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
        """Mean L1 over the levels; the student's maps are resized to the teacher's."""
        found = []
        for level, projected in self(student).items():
            wanted = teacher[level]
            fitted = functional.interpolate(
                projected, size=wanted.shape[2:], mode="bilinear", align_corners=False
            )
            found.append(functional.l1_loss(fitted, wanted))
        total: Tensor = sum(found[1:], found[0]) / len(found)
        return total
