"""Batches from the crop bank. Step number and seed decide everything, so a resumed run sees what it
would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcsharp_training.bank import Bank
from vcsharp_training.errors import DataError, RecipeError
from vcsharp_training.recipe import PhaseSettings

FLAT_PX = 32


def _turn(plane: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """One of the eight flips and quarter turns."""
    turned = np.rot90(plane, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """N x H x W, or N x H x W x 3, uint8 as float N x 1 x H x W, or N x 3 x H x W, in 0..1."""
    levels = torch.from_numpy(np.ascontiguousarray(pictures)).float() / 255
    return levels[:, None] if levels.ndim == 3 else levels.permute(0, 3, 1, 2).contiguous()


class Pairs(NamedTuple):
    """Patches of a batch, float batch x 1 x patch x patch in 0..1."""

    degraded: Tensor
    sharp: Tensor
    taught: Tensor | None
    """A teacher's, where the bank has them and they are asked for."""


def batch(
    bank: Bank,
    rows: NDArray[np.intp],
    phase: PhaseSettings,
    key: tuple[int, ...],
    part: int = 0,
    parts: int = 1,
    shares: NDArray[np.float64] | None = None,
) -> Pairs:
    """One of `parts` batches that together are one of `parts` times the size; `key` is the seed.

    Rows are drawn by their `shares`, which add up to one; evenly without. The teacher's patches are
    cut where the phase's loss looks at them.
    """
    rng = np.random.default_rng(key)
    span = bank.sharp.shape[1] - phase.patch_px + 1
    planes = [bank.degraded, bank.sharp, *_lessons(bank, phase)]
    mine = range(part * phase.batch, (part + 1) * phase.batch)
    found = []
    for number, row in enumerate(rng.choice(rows, phase.batch * parts, p=shares)):
        (y, x), turn = rng.integers(span, size=2), int(rng.integers(8))
        area = (row, slice(y, y + phase.patch_px), slice(x, x + phase.patch_px))
        if number in mine:
            found.append([_turn(plane[area], turn) for plane in planes])
    cut = [to_tensor(np.stack(patches)) for patches in zip(*found, strict=True)]
    return Pairs(cut[0], cut[1], cut[2] if len(cut) > 2 else None)


def shares(bank: Bank, rows: NDArray[np.intp], phase: PhaseSettings) -> NDArray[np.float64] | None:
    """How often each row is drawn; None for evenly. Raises RecipeError for an unknown profile."""
    if not phase.shares:
        return None
    profiles = bank.profile[rows]
    if unknown := phase.shares.keys() - set(profiles):
        raise RecipeError(
            f"no crops of profile '{min(unknown)}' in the bank, but the recipe has a share for it; "
            f"profiles are {', '.join(sorted(set(profiles)))}"
        )
    drawn = np.array([phase.shares.get(str(name), 1.0) for name in profiles])
    if not drawn.any():
        raise RecipeError("all shares are 0; leave one profile to train on")
    return np.asarray(drawn / drawn.sum(), np.float64)


def _lessons(bank: Bank, phase: PhaseSettings) -> list[NDArray[np.uint8]]:
    if not phase.loss.teacher:
        return []
    if bank.taught is None:
        raise DataError(
            "the recipe's loss follows a teacher (loss.teacher), but the crop bank holds no "
            "teacher's pictures; write them with 'vcsharp-train teacher', or set it to 0"
        )
    return [bank.taught]


def shown_once(
    crops: Mapping[str, NDArray[np.uint8]],
    rows: NDArray[np.intp],
    patch_px: int,
    seed: int,
    places: range,
) -> dict[str, Tensor]:
    """Patches in an order that shows every row once before any comes again.

    Args:
        crops: pictures of each kind, of which the same areas are cut, turned the same way.
        rows: those to show; every round has an order of its own.
        patch_px: side of a patch.
        seed: of order, areas and turns.
        places: of the batch in the whole sequence, which has no end.
    """
    span = next(iter(crops.values())).shape[1] - patch_px + 1
    found: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in crops}
    for place in places:
        lap, number = divmod(place, len(rows))
        row = np.random.default_rng([seed, lap]).permutation(rows)[number]
        rng = np.random.default_rng([seed, lap, number])
        (y, x), turn = rng.integers(span, size=2), int(rng.integers(8))
        for name, pictures in crops.items():
            patch = pictures[row, y : y + patch_px, x : x + patch_px]
            found[name].append(_turn(patch, turn))
    return {name: to_tensor(np.stack(patches)) for name, patches in found.items()}


def flats(count: int, key: tuple[int, ...]) -> Tensor:
    """Plain greys of `count` different levels, float count x 1 x 32 x 32."""
    levels = np.random.default_rng(key).permutation(256)[:count].astype(np.uint8)
    return to_tensor(np.broadcast_to(levels[:, None, None], (count, FLAT_PX, FLAT_PX)))


def in_order(
    bank: Bank, rows: NDArray[np.intp], size: int, multiple: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """All pairs of `rows`, `size` at a time, cut to a multiple of the stride."""
    side = bank.sharp.shape[1] // multiple * multiple
    for start in range(0, len(rows), size):
        area = (rows[start : start + size], slice(side), slice(side))
        yield to_tensor(bank.degraded[area]), to_tensor(bank.sharp[area])
