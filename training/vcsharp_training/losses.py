"""What a student is asked to minimise.

Charbonnier (Lai et al. 2017, arXiv 1704.03915) with an L1 on the spectra (weight 0.05 as SAFMN, Sun
et al., ICCV 2023). Terms take float planes N x 1 x H x W in 0..1 and return one number per crop.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vcsharp_training.recipe import LossSettings

FLAT_EPSILON = 1e-3
"""A quarter of a level: greys have to be exact, so even small residuals must pull."""

_SOBEL = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]]) / 8


def charbonnier(difference: Tensor, epsilon: float) -> Tensor:
    """A smooth L1: parabola below `epsilon`, line above."""
    return ((difference.square() + epsilon**2).sqrt() - epsilon).mean(dim=(1, 2, 3))


def fourier(difference: Tensor) -> Tensor:
    """L1 of the real and imaginary parts of the orthonormal spectrum."""
    return (
        torch.view_as_real(torch.fft.rfft2(difference, norm="ortho")).abs().mean(dim=(1, 2, 3, 4))
    )


def edge(difference: Tensor) -> Tensor:
    """L1 of the Sobel gradients."""
    kernels = torch.stack([_SOBEL, _SOBEL.T])[:, None]
    return functional.conv2d(difference, kernels).abs().mean(dim=(1, 2, 3))


def weights(source: Tensor, truth: Tensor, settings: LossSettings) -> Tensor:
    """Weight of each crop, up to 1: small for large errors of the input, and for clean crops."""
    levels = 255 * (source - truth).abs().mean(dim=(1, 2, 3))
    even = settings.even_levels
    weight = even / levels.clamp_min(even) if even else torch.ones_like(levels)
    return torch.where(levels > 0, weight, settings.clean)


def total(source: Tensor, residual: Tensor, truth: Tensor, settings: LossSettings) -> Tensor:
    """The weighted sum over a batch. The transforms are linear, so they are taken once, of the
    difference.
    """
    difference = source + residual - truth
    loss = charbonnier(difference, settings.charbonnier_epsilon)
    if settings.fourier:
        loss = loss + settings.fourier * fourier(difference)
    if settings.edge:
        loss = loss + settings.edge * edge(difference)
    return (weights(source, truth, settings) * loss).mean()


def flat(residual: Tensor) -> Tensor:
    """What is added to plain greys, where nothing should be."""
    return charbonnier(residual, FLAT_EPSILON).mean()
