"""What a student has to beat: doing nothing, unsharp masking, and AMD's contrast-adaptive
sharpening.

`cas` is written from the published description of FidelityFX CAS, which is
Copyright (c) 2017-2020 Advanced Micro Devices, Inc., under the MIT licence:

    Permission is hereby granted, free of charge, to any person obtaining a copy of this software
    and associated documentation files (the "Software"), to deal in the Software without
    restriction, including without limitation the rights to use, copy, modify, merge, publish,
    distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
    Software is furnished to do so, subject to the following conditions: The above copyright notice
    and this permission notice shall be included in all copies or substantial portions of the
    Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED.

All functions take and return one luma plane, uint8 H x W.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vcsharp_training.images import Plane, to_bytes


def identity(luma: Plane) -> Plane:
    """The input itself."""
    return luma


def unsharp(luma: Plane, sigma_px: float = 1.0, amount: float = 1.0) -> Plane:
    """Adds `amount` times what a Gaussian of `sigma_px` removes."""
    levels = luma.astype(np.float32)
    soft = cv2.GaussianBlur(levels, (0, 0), sigma_px)
    return to_bytes(levels + np.float32(amount) * (levels - soft.astype(np.float32, copy=False)))


def _neighbours(levels: NDArray[np.float32]) -> list[list[NDArray[np.float32]]]:
    """The 3 x 3 neighbours of every pixel, edges repeated: rows of views, each H x W."""
    height, width = levels.shape
    padded = np.pad(levels, 1, mode="edge")
    return [[padded[y : y + height, x : x + width] for x in range(3)] for y in range(3)]


def cas(luma: Plane, sharpness: float = 0.0) -> Plane:
    """Contrast-adaptive sharpening without scaling, the variant that also looks at the diagonals.

    Args:
        luma: the plane.
        sharpness: 0 (mildest) to 1.
    """
    (a, b, c), (d, e, f), (g, h, i) = _neighbours(luma.astype(np.float32) / np.float32(255))
    cross_low, cross_high = np.minimum.reduce([b, d, e, f, h]), np.maximum.reduce([b, d, e, f, h])
    low = cross_low + np.minimum.reduce([cross_low, a, c, g, i])
    high = cross_high + np.maximum.reduce([cross_high, a, c, g, i])
    headroom = np.minimum(low, 2 - high) / np.maximum(high, np.float32(1e-6))
    weight = -np.sqrt(np.clip(headroom, 0, 1)) / np.float32(8 - 3 * sharpness)
    return to_bytes(255 * ((b + d + f + h) * weight + e) / (1 + 4 * weight))
