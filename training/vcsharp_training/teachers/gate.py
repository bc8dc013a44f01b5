"""Whether a teacher's picture is worth learning from, crop by crop.

Teachers harm what they were not made for, sharp pictures above all. A crop counts only where the
teacher is nearer to the ground truth than what the student has already.
"""

from __future__ import annotations

from torch import Tensor

from vcsharp_training.errors import TeacherError

LEAST_LEAD_DB = 0.3
"""What a teacher must be ahead of the best student on validation."""


def error(pictures: Tensor, sharp: Tensor) -> Tensor:
    """Mean square error of each picture of a batch; float N x ..., to float N."""
    return (pictures - sharp).square().flatten(1).mean(dim=1)


def keeps(taught: Tensor, degraded: Tensor, sharp: Tensor, student: Tensor | None = None) -> Tensor:
    """Which crops the teacher may teach: its error is below the input's, and the student's too.

    Args:
        taught: what the teacher made of `degraded`; float N x ..., as the others.
        degraded: the input.
        sharp: the ground truth.
        student: what the student makes of the input, where that shall count as well.

    Returns:
        Bool N, without a gradient.
    """
    teacher = error(taught, sharp).detach()
    kept = teacher < error(degraded, sharp).detach()
    if student is not None:
        kept = kept & (teacher < error(student, sharp).detach())
    return kept


def require_lead(teacher: str, teacher_db: float, student: str, student_db: float) -> None:
    """Refuses a teacher that is hardly better than the student it would teach.

    Both figures are mean PSNR gains over the input on the same held-out crops. Raises TeacherError.
    """
    if not teacher_db - student_db >= LEAST_LEAD_DB:
        raise TeacherError(
            f"teacher '{teacher}' gains {teacher_db:+.2f} dB on validation and '{student}' "
            f"{student_db:+.2f} dB: it has to be ahead by {LEAST_LEAD_DB} dB before anything is "
            "distilled from it; train it longer or make it wider"
        )
