"""The weights of an exported student, as bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vcsharp_training.errors import CheckpointError

WEIGHTS = "model.safetensors"


def weights(folder: Path) -> bytes:
    """The file of weights of a model's folder. Raises CheckpointError if there is none."""
    try:
        return (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"cannot read '{folder / WEIGHTS}': {error.strerror}; name an exported student's "
            f"folder in network.start"
        ) from error


def weights_sha256(folder: Path) -> str:
    """Names the weights of a model's folder. Raises CheckpointError if there are none."""
    return hashlib.sha256(weights(folder)).hexdigest()
