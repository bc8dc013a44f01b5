"""How good a student is on the held-out crops: the figure that chooses the best checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vcsharp_training import sampling
from vcsharp_training.bank import Bank

if TYPE_CHECKING:
    from vcsharp_training.distil import Student

CLEAN = "clean"
CLEAN_WANTED_DB = 44.0
"""Above this, more fidelity on clean crops counts for nothing. Whole pictures are calmer: what
reaches this on crops reaches 45 dB there.
"""
MSE_FLOOR = (0.5 / 255) ** 2
"""Half a level: keeps untouched crops from counting as infinitely good."""
BATCH = 64


def _psnr_db(difference: Tensor) -> Tensor:
    """Per picture of a batch, after rounding to levels as the runtime does."""
    mse = difference.square().mean(dim=(1, 2, 3)).clamp_min(MSE_FLOOR)
    return -10 * torch.log10(mse)


@torch.no_grad()
def scores(
    student: Student,
    bank: Bank,
    stride: int,
    device: torch.device | None = None,
    size: int = BATCH,
) -> dict[str, float]:
    """Per profile, the mean PSNR gain in dB over held-out crops; for `clean`, the PSNR itself.

    `size` crops are taken at once.
    """
    found = dict[str, float]()
    held_out = bank.rows(held_out=True)
    for profile in sorted(set(bank.profile[held_out])):
        rows = held_out[bank.profile[held_out] == profile]
        gains = [
            _gain_db(student, degraded.to(device), sharp.to(device), profile)
            for degraded, sharp in sampling.in_order(bank, rows, size, stride)
        ]
        found[str(profile)] = torch.cat(gains).mean().item()
    return found


def _gain_db(student: Student, degraded: Tensor, sharp: Tensor, profile: str) -> Tensor:
    output = torch.round((degraded + student.residual(degraded)).clamp(0, 1) * 255) / 255
    after = _psnr_db(output - sharp)
    return after if profile == CLEAN else after - _psnr_db(degraded - sharp)


def summary_db(found: dict[str, float], shares: Mapping[str, float] | None = None) -> float:
    """One figure: the mean gain over the degraded profiles, less what clean pictures lack.

    Profiles count by their `shares`, 1 where nothing is said: what a recipe hardly trains for does
    not choose its weights.
    """
    gains = {profile: gain for profile, gain in found.items() if profile != CLEAN}
    counts = {profile: (shares or {}).get(profile, 1.0) for profile in gains}
    lack = min(0.0, found.get(CLEAN, CLEAN_WANTED_DB) - CLEAN_WANTED_DB)
    total = sum(counts[profile] * gain for profile, gain in gains.items())
    return total / (sum(counts.values()) or 1.0) + lack
