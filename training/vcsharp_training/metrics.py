"""How near a plane is to its truth, how crisp it is, and what a filter does that it should not.

Planes are luma, uint8 H x W.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

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


def energy(plane: Plane) -> float:
    """High-frequency energy: the mean absolute Laplacian (4 neighbours), in levels."""
    return float(np.abs(cv2.Laplacian(plane.astype(np.float32), cv2.CV_32F)).mean())


def sharpness(plane: Plane, truth: Plane) -> float:
    """High-frequency energy relative to the truth's: 1 is as crisp, below it soft, above it harsh.

    Noise counts as well; a truth without any detail gives 1 if the plane has none either.
    """
    wanted = energy(truth)
    found = energy(plane)
    return found / wanted if wanted else 1.0 + found


def change(frames: Sequence[Plane]) -> float:
    """Mean absolute change from frame to frame, in levels."""
    steps = [np.abs(after.astype(np.int16) - before).mean() for before, after in pairwise(frames)]
    return float(np.mean(steps))


def flicker(output: Sequence[Plane], source: Sequence[Plane]) -> float:
    """Change from frame to frame of the output relative to the input's, for a scene that stands
    still: above 1 the filter makes the picture restless.
    """
    return change(output) / max(change(source), 1e-9)


def overshoot(plane: Plane, low: int, high: int) -> float:
    """How far a filtered edge leaves the range between its two greys, as a share of the step.

    The larger of both sides: 0 without ringing; 0.1 is a halo of a tenth of the step.
    """
    beyond = max(int(plane.max()) - high, low - int(plane.min()), 0)
    return beyond / (high - low)


def grain(output: Plane, source: Plane) -> float:
    """Deviation of a filtered flat plane relative to the noise that was put in: above 1 the filter
    makes more of the noise.
    """
    return float(output.std()) / max(float(source.std()), 1e-9)
