"""Any other checkpoint, through spandrel where that is installed. It is never needed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from vcsharp_training.errors import CheckpointError
from vcsharp_training.teachers.teacher import Fit, Teacher

SUFFIXES = frozenset({".pth", ".pt", ".ckpt", ".safetensors"})


def is_checkpoint(name: str) -> bool:
    """Whether a teacher's name is a file's."""
    return Path(name).suffix in SUFFIXES


def found(name: str) -> Path:
    """The file of a teacher that is named by its path. Raises CheckpointError if missing."""
    path = Path(name)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint '{path}'; give a file, or a name of 'teacher list'")
    return path


def _descriptor(path: Path) -> Any:
    """What spandrel makes of a file. Raises CheckpointError."""
    try:
        spandrel = import_module("spandrel")
    except ImportError as error:
        raise CheckpointError(
            f"cannot load '{path}': {error}; install spandrel and what it needs "
            "('pip install spandrel'), or use a teacher of 'vcsharp-train teacher list'"
        ) from error
    try:
        return spandrel.ModelLoader("cpu").load_from_file(path)
    except (OSError, RuntimeError, ValueError, LookupError, EOFError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"cannot load '{path}' with spandrel: {first}; give a checkpoint that it knows"
        ) from error


def load(name: str) -> Teacher:
    """A network from RGB to RGB; an enlarging one is fed the picture reduced by its scale.

    Raises CheckpointError if there is no such file, no spandrel, or no network that fits.
    """
    path = found(name)
    known = _descriptor(path)
    if (known.input_channels, known.output_channels) != (3, 3):
        raise CheckpointError(
            f"cannot teach with '{path}': {known.input_channels} channels in and "
            f"{known.output_channels} out instead of 3 and 3; give an RGB network"
        )
    multiple = max(1, known.size_requirements.multiple_of or 1)
    return Teacher(path.stem, known.model, Fit(3, multiple, known.scale, known.scale))
