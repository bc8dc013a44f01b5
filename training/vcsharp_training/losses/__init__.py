"""What a student is asked to minimise, by name.

Every term takes what the network made and what it should have made, float N x C x H x W in 0..1,
and returns one number per picture, so that pictures can be weighted one by one. `pixels`,
`structure`, `features` and `distillation` hold the terms, `luma` the mix of our own students.
"""

from __future__ import annotations

from vcsharp_training.losses.distillation import (
    kl_divergence,
    output_distillation,
    temporal_difference,
)
from vcsharp_training.losses.features import Perceptual, feature_distance
from vcsharp_training.losses.luma import (
    FLAT_EPSILON,
    flat,
    perceived,
    recoverable,
    taught,
    total,
    weights,
)
from vcsharp_training.losses.pixels import charbonnier, edge, fourier, l1, mse
from vcsharp_training.losses.structure import amplitude, crispness, ms_ssim, ssim
from vcsharp_training.teachers.gate import keeps as teacher_gate

__all__ = [
    "FLAT_EPSILON",
    "Perceptual",
    "amplitude",
    "charbonnier",
    "crispness",
    "edge",
    "feature_distance",
    "flat",
    "fourier",
    "kl_divergence",
    "l1",
    "ms_ssim",
    "mse",
    "output_distillation",
    "perceived",
    "recoverable",
    "ssim",
    "taught",
    "teacher_gate",
    "temporal_difference",
    "total",
    "weights",
]
