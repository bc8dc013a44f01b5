"""Figures of whole coloured pictures, RGB, uint8 H x W x 3.

A filter works on limited-range luma; its change is added to red, green and blue alike, which holds
Cb and Cr, as the runtime does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vcsharp_training import images, metrics
from vcsharp_training.degrade import Pair
from vcsharp_training.images import Picture, Plane


def sharpened(rgb: Picture, sharpen: Callable[[Plane], Plane]) -> Picture:
    """The picture after a filter of luma."""
    luma = images.to_luma(rgb[..., ::-1], "limited")
    change = (sharpen(luma).astype(np.float32) - luma) * np.float32(255 / 219)
    return images.to_bytes(rgb + change[..., None])


def ssim(rgb: Picture, truth: Picture) -> float:
    """The mean of the channels' SSIM, as scikit-image does with `channel_axis`."""
    return float(np.mean([metrics.ssim(rgb[..., c], truth[..., c]) for c in range(3)]))


def scores(sharpen: Callable[[Plane], Plane], pair: Pair) -> tuple[float, float]:
    """PSNR over all three channels (at most 60 dB) and SSIM of the sharpened degraded picture."""
    output = sharpened(pair.degraded, sharpen)
    return metrics.psnr_db(output, pair.sharp), ssim(output, pair.sharp)
