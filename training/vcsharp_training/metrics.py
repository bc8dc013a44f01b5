"""PSNR and SSIM of luma planes (uint8, H x W)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vcsharp_training.images import Plane

PSNR_CAP_DB = 60.0
"""Stands for equal planes, whose PSNR is infinite.

Without it one untouched picture would hide all others in a mean."""

SSIM_WINDOW_PX = 7
STRIP_PX = 32
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr_db(plane: Plane, truth: Plane) -> float:
    """Peak signal-to-noise ratio, peak 255, at most 60 dB."""
    error = float(np.mean((plane.astype(np.float32) - truth) ** 2))
    return min(PSNR_CAP_DB, 10 * float(np.log10(255**2 / max(error, 1e-12))))


def _local_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.blur(values, (SSIM_WINDOW_PX, SSIM_WINDOW_PX)), np.float64)


def _ssim_sum(plane: Plane, truth: Plane) -> float:
    """Sum of the map over all whole windows."""
    a, b = plane.astype(np.float64), truth.astype(np.float64)
    mean_a, mean_b = _local_mean(a), _local_mean(b)
    sample = SSIM_WINDOW_PX**2 / (SSIM_WINDOW_PX**2 - 1)
    variances = sample * (_local_mean(a * a + b * b) - mean_a**2 - mean_b**2)
    covariance = sample * (_local_mean(a * b) - mean_a * mean_b)
    top = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    bottom = (mean_a**2 + mean_b**2 + _C1) * (variances + _C2)
    pad = SSIM_WINDOW_PX // 2
    return float((top / bottom)[pad:-pad, pad:-pad].sum())


def ssim(plane: Plane, truth: Plane) -> float:
    """Structural similarity (Wang et al. 2004), as scikit-image defines it by default.

    A uniform 7 x 7 window, sample covariances, data range 255, borders left out. Equal to
    `skimage.metrics.structural_similarity` to rounding; strips that fit the cache make it faster.
    """
    lost = SSIM_WINDOW_PX - 1
    height, width = (side - lost for side in plane.shape)
    strips = [slice(y, y + STRIP_PX + lost) for y in range(0, height, STRIP_PX)]
    total = sum(_ssim_sum(plane[rows], truth[rows]) for rows in strips)
    return total / float(height * width)
