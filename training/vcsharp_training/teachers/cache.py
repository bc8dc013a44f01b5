"""A teacher's pictures of a whole bank, made once: `taught.npy` and `taught.json` beside the crops.

Crops that are sharp already are copied: there is nothing to learn there. A killed run goes on where
it was; the files appear only when they are whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from vcsharp_training import bank as banks
from vcsharp_training import whole
from vcsharp_training.bank import Bank
from vcsharp_training.errors import DataError
from vcsharp_training.teachers import gate
from vcsharp_training.teachers.measure import Pictures, Restorer

FILE, REPORT = "taught.npy", "taught.json"
PART, STATE = "taught.part.npy", "taught.part.json"
BATCH = 64
"""Crops between two notes of how far it is."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Identity:
    """What decides the pictures."""

    teacher: str
    weights: str
    """SHA-256 of the checkpoint; empty for the ground truth."""
    bank: str
    """The bank's fingerprint."""


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bank_fingerprint(folder: Path) -> str:
    """Names what the bank in `folder` was cut from. Raises DataError if there is none."""
    try:
        return str(json.loads((folder / "index.json").read_text("utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"no crop bank in '{folder}': {error}; run 'vcsharp-train prepare' first"
        ) from error


def is_current(folder: Path, identity: Identity) -> bool:
    """Whether `folder` already holds exactly these pictures."""
    return (folder / FILE).is_file() and _read(folder / REPORT).get("made_of") == asdict(identity)


def build(folder: Path, restore: Restorer | None, identity: Identity, progress: Progress) -> None:
    """Writes the teacher's pictures of every crop of the bank in `folder`, and the report.

    Args:
        folder: the bank's.
        restore: the teacher; None for the ground truth.
        identity: what the pictures are made of; half a cache of something else is not gone on with.
        progress: told the crops done, and those in all.

    Raises:
        DataError: there is no bank, or no space left.
    """
    bank = banks.load(folder)
    try:
        taught, done = _opened(folder, bank.sharp.shape, identity)
        for start in range(done, len(bank.sharp), BATCH):
            area = slice(start, min(start + BATCH, len(bank.sharp)))
            taught[area] = _taught(restore, bank.degraded[area], bank.sharp[area])
            taught.flush()
            state = {"made_of": asdict(identity), "done": area.stop}
            whole.write(folder / STATE, json.dumps(state))
            progress(area.stop, len(bank.sharp))
        report = {"made_of": asdict(identity), **report_of(bank, taught)}
        (folder / REPORT).unlink(missing_ok=True)
        (folder / PART).replace(folder / FILE)
        whole.write(folder / REPORT, json.dumps(report, indent=1))
        (folder / STATE).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot write the teacher's pictures into '{folder}': {error.strerror or error}; "
            "make room and run it again, it goes on where it stopped"
        ) from error


def _taught(restore: Restorer | None, degraded: Pictures, sharp: Pictures) -> Pictures:
    """What the teacher makes of a batch; crops that are sharp already are left alone."""
    taught = np.array(sharp)
    differ = (degraded != sharp).reshape(len(sharp), -1).any(axis=1)
    if restore and differ.any():
        taught[differ] = restore(np.asarray(degraded[differ]))
    return taught


def _opened(
    folder: Path, shape: tuple[int, ...], identity: Identity
) -> tuple[np.memmap[Any, np.dtype[np.uint8]], int]:
    """The unfinished file and how many of its crops are done."""
    state, path = _read(folder / STATE), folder / PART
    if path.is_file() and state.get("made_of") == asdict(identity):
        with suppress(ValueError):  # a damaged file is made anew
            return open_memmap(path, "r+"), int(state.get("done", 0))
    (folder / STATE).unlink(missing_ok=True)
    taught = open_memmap(path, "w+", np.uint8, shape)
    _reserve(path)
    return taught, 0


def _reserve(path: Path) -> None:
    """Takes the space at once: a mapped file that runs out of it later kills the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def report_of(bank: Bank, taught: Pictures) -> dict[str, Any]:
    """Per profile: crops, the share that the gate keeps, mean absolute errors in levels."""
    kept, input_error, teacher_error = _errors(bank, taught)
    profiles = {}
    for profile in sorted({str(name) for name in bank.profile}):
        rows = bank.profile == profile
        profiles[profile] = {
            "crops": int(rows.sum()),
            "kept_share": round(float(kept[rows].mean()), 4),
            "input_error_levels": round(float(input_error[rows].mean()), 4),
            "teacher_error_levels": round(float(teacher_error[rows].mean()), 4),
        }
    return {"crops": len(kept), "kept_share": round(float(kept.mean()), 4), "profiles": profiles}


def _errors(bank: Bank, taught: Pictures) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Per crop: whether the gate keeps it, the input's error, the teacher's."""
    found = list[tuple[NDArray[Any], ...]]()
    for start in range(0, len(taught), BATCH):
        pictures, degraded, sharp = (
            torch.from_numpy(np.array(stored[start : start + BATCH])).float()
            for stored in (taught, bank.degraded, bank.sharp)
        )
        errors = ((what - sharp).abs().flatten(1).mean(dim=1) for what in (degraded, pictures))
        found.append(
            tuple(part.numpy() for part in (gate.keeps(pictures, degraded, sharp), *errors))
        )
    kept, input_error, teacher_error = (np.concatenate(part) for part in zip(*found, strict=True))
    return kept, input_error, teacher_error


def _distance(pictures: Tensor, sharp: Tensor) -> Tensor:
    """Mean absolute difference of each picture, in levels."""
    return (pictures - sharp).abs().flatten(1).mean(dim=1)


def _read(path: Path) -> dict[str, Any]:
    """A JSON file's values; none where there is no such file, or a damaged one."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
