"""PSNR and SSIM of luma planes (uint8, H x W)."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

from vcsharp_training.images import Plane

PSNR_CAP_DB = 60.0
"""Stands for equal planes, whose PSNR is infinite; without it one untouched picture would hide all
others.
"""


def psnr_db(plane: Plane, truth: Plane) -> float:
    """Peak signal-to-noise ratio, peak 255, at most 60 dB."""
    error = float(np.mean((plane.astype(np.float32) - truth) ** 2))
    return min(PSNR_CAP_DB, 10 * float(np.log10(255**2 / max(error, 1e-12))))


def ssim(plane: Plane, truth: Plane) -> float:
    """Structural similarity as scikit-image computes it by default: a uniform 7 x 7 window, data
    range 255.
    """
    return float(structural_similarity(plane, truth, data_range=255))  # type: ignore[no-untyped-call]
