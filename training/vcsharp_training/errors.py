"""Errors of the training package, below `vcsharp.errors.VcsharpError`. One line each: what, where,
why, cure.
"""

from __future__ import annotations

from vcsharp.errors import SettingsError, VcsharpError


class RecipeError(SettingsError):
    """A recipe, or a flag that overrides one, holds something that cannot be used. Exit code 2."""


class DataError(VcsharpError, ValueError):
    """Pictures or a crop bank are missing or damaged."""


class CheckpointError(VcsharpError, ValueError):
    """A checkpoint is missing, damaged or made by another recipe."""


class DivergedError(VcsharpError, ArithmeticError):
    """The loss or its gradient stopped being a number; the last good state is kept."""


class TeacherError(VcsharpError, ValueError):
    """A teacher is not good enough to teach."""
