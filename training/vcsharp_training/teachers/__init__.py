"""Teachers: large networks, published or our own, whose pictures students learn from.

    teacher = teachers.load("swinir-x4", Path("weights"))
    restored = teacher.restore(rgb)             # N x 3 x H x W, 0..1, same shape
    restored, maps = teacher.features(rgb)      # and what its named levels held

`registry` lists them, `gate` says crop by crop whether one may teach, `cache` runs one over a bank.
Importing this package loads no PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vcsharp_training.teachers.features import Projections
    from vcsharp_training.teachers.teacher import Teacher


def load(name: str, folder: Path) -> Teacher:
    """A teacher by its name, from the checkpoints in `folder`; see `registry.load`."""
    from vcsharp_training.teachers import registry

    return registry.load(name, folder)


def projections(
    student_widths: Mapping[str, int], teacher_widths: Mapping[str, int]
) -> Projections:
    """1x1 convolutions from a student's maps to a teacher's, by level; see `features.py`."""
    from vcsharp_training.teachers.features import Projections

    return Projections(student_widths, teacher_widths)
