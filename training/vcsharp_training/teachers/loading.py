"""Published checkpoints into our networks: unchanged, or with one line that says what is wrong."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vcsharp_training.errors import CheckpointError

ENTRIES = ("params", "params_ema", "state_dict")
"""Where published files keep the weights; a bare state dict is taken as well."""
NAMED = 3
"""How many keys an error names."""

_UNREADABLE = (OSError, RuntimeError, ValueError, LookupError, EOFError, pickle.UnpicklingError)


def find(folder: Path, file: str) -> Path | None:
    """The checkpoint in `folder` or anywhere below it."""
    if (folder / file).is_file():
        return folder / file
    return next(iter(sorted(folder.rglob(file))), None)


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds: tensors and plain values only. Raises CheckpointError."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        first = (str(error).splitlines() or ["unreadable"])[0]
        raise CheckpointError(
            f"cannot read checkpoint '{path}': {first}; it is damaged or no PyTorch file, "
            "get it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"checkpoint '{path}' holds a {type(content).__name__} and no weights by name; "
            "get the published file again"
        )
    return content


def weights(path: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint by name. Raises CheckpointError."""
    content = read(path)
    found = next((content[entry] for entry in ENTRIES if entry in content), content)
    tensors = {} if not isinstance(found, dict) else found
    if not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise CheckpointError(
            f"checkpoint '{path}' holds no weights under '{ENTRIES[0]}'; "
            "get the published file, not a training state"
        )
    broken = [name for name, value in tensors.items() if not _finite(value)]
    if broken:
        raise CheckpointError(
            f"checkpoint '{path}' is damaged: {_some(broken)} not finite; get it again"
        )
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def fill(net: nn.Module, values: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Puts weights into a network. Raises CheckpointError where names or shapes differ.

    Args:
        net: receives the weights.
        values: the weights, as `weights` reads them from `path`.
        path: for the error.
        what: what the network is, for the error.
    """
    wanted = net.state_dict()
    missing = [name for name in wanted if name not in values]
    unexpected = [name for name in values if name not in wanted]
    unlike = [
        f"{name} {tuple(values[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in values and values[name].shape != wanted[name].shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": unlike}
    found = "; ".join(f"{fault}: {_some(names)}" for fault, names in faults.items() if names)
    if found:
        raise CheckpointError(
            f"checkpoint '{path}' is not of {what}: {found}; "
            "name the teacher that it belongs to, or get the right file"
        )
    net.load_state_dict(values)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
