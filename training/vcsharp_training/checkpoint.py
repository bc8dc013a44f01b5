"""Checkpoints: everything a run needs to go on exactly where it stopped."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from vcsharp_training.errors import CheckpointError


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint; a kill at any moment leaves the old one or the new one, never half of
    one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Reads a checkpoint (tensors and plain values only). Raises CheckpointError."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"no checkpoint '{path}'; run 'vcsharp-train distil' first"
        ) from error
    except (
        OSError,
        RuntimeError,
        ValueError,
        LookupError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        first = (str(error).splitlines() or ["unreadable"])[0]
        raise CheckpointError(
            f"checkpoint '{path}' is damaged: {first}; delete it to start over"
        ) from error
    return state
