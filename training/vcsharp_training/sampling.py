"""Batches from the crop bank. Step number and seed decide everything, so a resumed run sees what it
would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcsharp_training.bank import Bank
from vcsharp_training.recipe import PhaseSettings

FLAT_PX = 32


def _turn(plane: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """One of the eight flips and quarter turns."""
    turned = np.rot90(plane, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned


def to_tensor(planes: NDArray[np.uint8]) -> Tensor:
    """N x H x W uint8 as float N x 1 x H x W in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(planes)).float()[:, None] / 255


def batch(
    bank: Bank, rows: NDArray[np.intp], phase: PhaseSettings, key: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Degraded and sharp patches, float batch x 1 x patch x patch; `key` is the seed."""
    rng = np.random.default_rng(key)
    span = bank.sharp.shape[1] - phase.patch_px + 1
    pairs = []
    for row in rng.choice(rows, phase.batch):
        (y, x), turn = rng.integers(span, size=2), int(rng.integers(8))
        area = (row, slice(y, y + phase.patch_px), slice(x, x + phase.patch_px))
        pairs.append((_turn(bank.degraded[area], turn), _turn(bank.sharp[area], turn)))
    degraded, sharp = (np.stack(planes) for planes in zip(*pairs, strict=True))
    return to_tensor(degraded), to_tensor(sharp)


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
