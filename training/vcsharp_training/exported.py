"""The weights of an exported student, as bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vcsharp_training.errors import CheckpointError

WEIGHTS = "model.safetensors"


def file_of(student: Path) -> Path:
    """The file of weights of a model's folder; a file of weights (an expert's) is its own."""
    return student if student.suffix == ".safetensors" else student / WEIGHTS


def weights(student: Path) -> bytes:
    """What is in it. Raises CheckpointError if there is no such file."""
    path = file_of(student)
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"cannot read '{path}': {error.strerror}; name an exported student's "
            f"folder, or a file of its weights, in network.start"
        ) from error


def weights_sha256(student: Path) -> str:
    """Names the weights of a model's folder, or in a file. Raises CheckpointError without any."""
    return hashlib.sha256(weights(student)).hexdigest()
