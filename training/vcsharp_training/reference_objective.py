"""The loss of students on RGB: every term of the recipe that has a weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vcsharp_training import losses, teachers
from vcsharp_training.errors import RecipeError
from vcsharp_training.lessons import Lessons
from vcsharp_training.loop import Objective
from vcsharp_training.reference_recipe import TeacherSettings, TermSettings
from vcsharp_training.students import RgbStudent

Maps = Mapping[str, Tensor]


@dataclass(frozen=True)
class Answer:
    """What is known about one batch; pictures are float N x 3 x H x W."""

    output: Tensor
    truth: Tensor
    taught: Tensor
    """The teacher's pictures; the truth, where there is no teacher."""


_TO_TRUTH: dict[str, Callable[[Answer, TermSettings], Tensor]] = {
    "l1": lambda answer, _: losses.l1(answer.output - answer.truth),
    "mse": lambda answer, _: losses.mse(answer.output - answer.truth),
    "charbonnier": lambda answer, terms: losses.charbonnier(
        answer.output - answer.truth, terms.charbonnier_epsilon
    ),
    "ssim": lambda answer, _: losses.ssim(answer.output, answer.truth),
    "ms_ssim": lambda answer, _: losses.ms_ssim(answer.output, answer.truth),
    "edge": lambda answer, _: losses.edge(answer.output - answer.truth),
    "fourier": lambda answer, _: losses.fourier(answer.output - answer.truth),
}
_TO_TEACHER: dict[str, Callable[[Answer, TermSettings], Tensor]] = {
    "teacher_l1": lambda answer, _: losses.l1(answer.output - answer.taught),
    "teacher_mse": lambda answer, _: losses.mse(answer.output - answer.taught),
    "kl": lambda answer, terms: losses.kl_divergence(
        answer.output, answer.taught, terms.temperature
    ),
}


class ReferenceObjective(Objective):
    """A student on RGB, and projections to its teacher's widths where its maps are taught.

    Raises RecipeError for levels that student or teacher do not have.
    """

    student: RgbStudent

    def __init__(
        self,
        student: RgbStudent,
        terms: TermSettings,
        settings: TeacherSettings,
        teacher: Lessons | None,
        vgg: losses.Perceptual | None,
    ) -> None:
        super().__init__(student)
        self.terms, self.settings = terms, settings
        self.projections = _projections(student, settings, teacher) if terms.feature else None
        self._frozen = (teacher, vgg)  # a tuple: neither is trained, averaged or saved

    def place(self, device: torch.device) -> None:
        """Moves teacher and VGG."""
        teacher, vgg = self._frozen
        self._frozen = (
            teacher.to(str(device)) if teacher else None,
            vgg.to(device) if vgg else None,
        )

    def forward(
        self,
        degraded: Tensor,
        sharp: Tensor,
        taught: Tensor | None = None,
        before_degraded: Tensor | None = None,
        before_sharp: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Every term's mean over the batch, and their weighted sum."""
        output, maps = self.student.features(degraded)
        lesson, theirs = self._lesson(degraded, sharp, taught)
        with torch.autocast(degraded.device.type, enabled=False):
            answer = Answer(output.float(), sharp, lesson.float())
            found = self._to_truth(answer)
            found |= self._to_teacher(answer, self._gate(lesson, degraded, sharp))
            found |= self._to_maps(maps, theirs)
        if before_degraded is not None and before_sharp is not None:
            before = self.student(before_degraded).float()
            change = losses.temporal_difference(answer.output, before, sharp, before_sharp)
            found["temporal"] = change.mean()
        total = torch.stack([getattr(self.terms, name) * term for name, term in found.items()])
        return {"loss": total.sum(), **found}

    def _lesson(
        self, degraded: Tensor, truth: Tensor, taught: Tensor | None
    ) -> tuple[Tensor, Maps]:
        """The teacher's pictures, from the bank if it has them, and its maps if they are asked."""
        teacher = self._frozen[0]
        if teacher is None or not self.terms.asks_teacher:
            return truth, {}
        if self.terms.feature:
            return teacher.features(degraded)
        return (teacher.restore(degraded) if taught is None else taught), {}

    def _gate(self, taught: Tensor, degraded: Tensor, truth: Tensor) -> Tensor:
        if not self.settings.gate or self._frozen[0] is None:
            return torch.ones(len(truth), device=truth.device)
        return losses.teacher_gate(taught, degraded, truth).float()

    def _to_truth(self, answer: Answer) -> dict[str, Tensor]:
        return {
            name: term(answer, self.terms).mean()
            for name, term in _TO_TRUTH.items()
            if getattr(self.terms, name)
        }

    def _to_teacher(self, answer: Answer, gate: Tensor) -> dict[str, Tensor]:
        found = {
            name: (gate * term(answer, self.terms)).mean()
            for name, term in _TO_TEACHER.items()
            if getattr(self.terms, name)
        }
        vgg = self._frozen[1]
        if vgg is not None:
            found["perceptual"] = (gate * vgg(answer.output, answer.taught)).mean()
        return found

    def _to_maps(self, maps: Maps, theirs: Maps) -> dict[str, Tensor]:
        if self.projections is None:
            return {}
        mine = {theirs_name: maps[name] for name, theirs_name in self.settings.levels.items()}
        projected = self.projections({name: m.float() for name, m in mine.items()})
        wanted = {name: theirs[name].float() for name in projected}
        return {"feature": losses.feature_distance(projected, wanted).mean()}


def _projections(
    student: RgbStudent, settings: TeacherSettings, teacher: Lessons | None
) -> nn.Module:
    if teacher is None:
        raise RecipeError(
            "loss.feature needs a teacher with maps, and teacher.name is 'truth'; "
            "name a teacher, or set loss.feature to 0"
        )
    unknown = [name for name in settings.levels if name not in student.widths]
    if unknown:
        raise RecipeError(
            f"teacher.levels: the student has no level '{unknown[0]}'; "
            f"it has {', '.join(student.widths) or 'none'}"
        )
    mine = {theirs: student.widths[name] for name, theirs in settings.levels.items()}
    return teachers.projections(mine, teacher.widths)
