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

from vcsharp_training.images import Plane, to_bytes

STRIP_PX = 32
"""Rows worked on at once, so that the intermediate planes stay in the cache."""


def identity(luma: Plane) -> Plane:
    """The input itself."""
    return luma


def unsharp(luma: Plane, sigma_px: float = 1.0, amount: float = 1.0) -> Plane:
    """Adds `amount` times what a Gaussian of `sigma_px` removes."""
    levels = luma.astype(np.float32)
    soft = cv2.GaussianBlur(levels, (0, 0), sigma_px)
    return to_bytes(levels + np.float32(amount) * (levels - soft.astype(np.float32, copy=False)))


def cas(luma: Plane, sharpness: float = 0.0) -> Plane:
    """Contrast-adaptive sharpening without scaling, the variant that also looks at the diagonals.

    Args:
        luma: the plane; its edges are repeated.
        sharpness: 0 (mildest) to 1.
    """
    padded = np.pad(luma, 1, mode="edge")
    starts = range(0, luma.shape[0], STRIP_PX)
    return np.concatenate([_cas_strip(padded[y : y + STRIP_PX + 2], sharpness) for y in starts])


def _cas_strip(padded: Plane, sharpness: float) -> Plane:
    """The inner pixels of a strip that carries one more pixel on every side."""
    levels = padded.astype(np.float32) / np.float32(255)
    height, width = levels.shape[0] - 2, levels.shape[1] - 2
    a, b, c, d, e, f, g, h, i = (levels[y : y + height, x : x + width] for y, x in np.ndindex(3, 3))
    cross_low, cross_high = np.minimum.reduce([b, d, e, f, h]), np.maximum.reduce([b, d, e, f, h])
    low = cross_low + np.minimum.reduce([cross_low, a, c, g, i])
    high = cross_high + np.maximum.reduce([cross_high, a, c, g, i])
    headroom = np.minimum(low, 2 - high) / np.maximum(high, np.float32(1e-6))
    weight = -np.sqrt(np.clip(headroom, 0, 1)) / np.float32(8 - 3 * sharpness)
    return to_bytes(255 * ((b + d + f + h) * weight + e) / (1 + 4 * weight))
