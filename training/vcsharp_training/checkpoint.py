"""Checkpoints: everything a run needs to go on exactly where it stopped."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vcsharp_training.errors import CheckpointError


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint; a kill at any moment leaves the old one or the new one, never half of
    one. Raises CheckpointError where it cannot be written; the old one is then still there.
    """
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(part, state)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        kept = "the one before it is untouched" if path.is_file() else "there is none before it"
        raise CheckpointError(
            f"cannot write checkpoint '{path}': {error.strerror or error}; {kept}; "
            "make room or choose another --work, then run the same command again"
        ) from error


def _write(part: Path, state: dict[str, Any]) -> None:
    """Through a file of ours: given a path, torch turns a full disk into a RuntimeError."""
    with part.open("wb") as file:
        torch.save(state, file)


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


def restore(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Puts a checkpoint's weights into a module. Raises CheckpointError if they are another
    network's, naming the first weight that does not fit; the module is then as it was.
    """
    wanted = module.state_dict()
    for name in [*wanted, *weights]:
        here, there = wanted.get(name), weights.get(name)
        if here is None or there is None or here.shape != there.shape:
            raise CheckpointError(
                f"checkpoint '{path}' holds another network: '{name}' is {_shape(there)} there, "
                f"{_shape(here)} here; restore the recipe, or delete '{path.parent}' to start over"
            )
    module.load_state_dict(weights)


def _shape(weight: Tensor | None) -> str:
    return "absent" if weight is None else "x".join(map(str, weight.shape)) or "a number"
