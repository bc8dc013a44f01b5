"""What a restorer gains on a bank's crops, in luma, whatever the bank holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcsharp_training.bank import Bank
from vcsharp_training.errors import RecipeError
from vcsharp_training.filters import OnnxFilter
from vcsharp_training.teachers.teacher import LUMA_WEIGHTS, Teacher

Pictures = NDArray[np.uint8]
"""Luma N x H x W, or RGB N x H x W x 3."""
Restorer = Callable[[Pictures], Pictures]
"""Restores a batch; same shape."""

MULTIPLE = 8
"""Crops are cut to a multiple of this, which every student's stride divides."""
MSE_FLOOR = 0.25
"""Half a level squared: keeps untouched crops from counting as infinitely good."""
BATCH = 16
UNHARMED = frozenset({"clean", "synthetic"})
"""Profiles whose input is the ground truth: there is nothing to gain."""


class Gain(NamedTuple):
    """Of one profile."""

    crops: int
    gain_db: float
    """Mean PSNR gain over the input."""
    wins: float
    """Share of the crops that came nearer to the ground truth."""


def to_rgb(pictures: Pictures) -> Tensor:
    """uint8 pictures as float N x 3 x H x W in 0..1; luma becomes a grey picture, range as it is.

    The stored luma is mostly in limited range. A restorer takes that for a little less contrast.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).float() / 255
    if pictures.ndim == 4:
        return tensor.permute(0, 3, 1, 2)
    return tensor[:, None].expand(-1, 3, -1, -1)


def from_rgb(rgb: Tensor, *, colour: bool) -> Pictures:
    """The inverse of `to_rgb`; where luma is wanted, the BT.601 luma."""
    levels = 255 * rgb.float().cpu()
    if colour:
        planes = levels.permute(0, 2, 3, 1)
    else:
        planes = (levels * torch.tensor(LUMA_WEIGHTS)[:, None, None]).sum(dim=1)
    rounded: Pictures = planes.round().clamp(0, 255).byte().numpy()
    return rounded


def by_teacher(teacher: Teacher, device: str = "cpu") -> Restorer:
    """A teacher as a function of uint8 pictures, `BATCH` at a time."""
    teacher.to(device)

    def restore(pictures: Pictures) -> Pictures:
        parts = [
            from_rgb(
                teacher.restore(to_rgb(pictures[start : start + BATCH]).to(device)),
                colour=pictures.ndim == 4,
            )
            for start in range(0, len(pictures), BATCH)
        ]
        return np.concatenate(parts)

    return restore


def is_model(name: str) -> bool:
    """Whether a teacher's name is the folder of an exported student."""
    return (Path(name) / "card.json").is_file()


def by_model(folder: Path) -> Restorer:
    """An exported student (fp32 file) on the luma of what it is given; returns luma.

    Raises RecipeError if there is none in the folder.
    """
    path = folder / "model.onnx"
    if not path.is_file():
        raise RecipeError(f"no student '{path}'; name the folder of an exported model")
    student = OnnxFilter(path)

    def restore(pictures: Pictures) -> Pictures:
        return np.stack([student(np.ascontiguousarray(plane)) for plane in luma(pictures)])

    return restore


def luma(pictures: Pictures) -> Pictures:
    """BT.601 luma of RGB pictures; luma as it is."""
    return pictures if pictures.ndim == 3 else from_rgb(to_rgb(pictures), colour=False)


def _psnr_db(pictures: Pictures, sharp: Pictures) -> NDArray[np.float64]:
    """Per picture, in luma."""
    difference = luma(pictures).astype(np.float64) - luma(sharp)
    error = np.maximum(np.square(difference).mean(axis=(1, 2)), MSE_FLOOR)
    return np.asarray(10 * np.log10(255**2 / error))


def gain_of(restore: Restorer, degraded: Pictures, sharp: Pictures) -> Gain:
    """What `restore` gains on crops of one profile."""
    side = degraded.shape[1] // MULTIPLE * MULTIPLE
    degraded, sharp = degraded[:, :side, :side], sharp[:, :side, :side]
    gained = _psnr_db(restore(degraded), sharp) - _psnr_db(degraded, sharp)
    return Gain(len(gained), float(gained.mean()), float((gained > 0).mean()))


def gains(restore: Restorer, bank: Bank, crops: int) -> dict[str, Gain]:
    """What `restore` gains on at most `crops` held-out crops of each profile."""
    held_out, found = bank.rows(held_out=True), dict[str, Gain]()
    for profile in sorted({str(name) for name in bank.profile[held_out]}):
        rows = held_out[bank.profile[held_out] == profile]
        rows = rows[:: -(-len(rows) // crops)]
        found[profile] = gain_of(restore, bank.degraded[rows], bank.sharp[rows])
    return found


def mean_gain_db(found: Mapping[str, Gain]) -> float:
    """One figure: the mean over the degraded profiles. What a teacher does to clean crops does not
    count: the gate keeps those out.
    """
    gained = [gain.gain_db for profile, gain in found.items() if profile not in UNHARMED]
    return sum(gained) / max(len(gained), 1)
