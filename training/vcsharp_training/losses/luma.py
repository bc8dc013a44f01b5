"""The mix that our own students are trained with: Charbonnier and an L1 on the spectra, weighted
crop by crop, and plain greys that have to stay exact. Planes are float N x 1 x H x W in 0..1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vcsharp_training.losses.pixels import charbonnier, edge, fourier
from vcsharp_training.losses.structure import amplitude, crispness, energy
from vcsharp_training.perceptual import Lpips
from vcsharp_training.recipe import LossSettings
from vcsharp_training.teachers import gate

EYES_STRIDE = 4
LEAST_DETAIL = 0.25
"""Of the truth's mean absolute Laplacian."""
FLAT_EPSILON = 1e-3
"""A quarter of a level: greys have to be exact, so even small residuals must pull."""


def weights(source: Tensor, truth: Tensor, settings: LossSettings) -> Tensor:
    """Weight of each crop, up to 1: small for large errors of the input, and for clean crops."""
    levels = 255 * (source - truth).abs().mean(dim=(1, 2, 3))
    even = settings.even_levels
    weight = even / levels.clamp_min(even) if even else torch.ones_like(levels)
    return torch.where(levels > 0, weight, settings.clean)


def total(source: Tensor, residual: Tensor, truth: Tensor, settings: LossSettings) -> Tensor:
    """The weighted sum over a batch. The linear transforms are taken once, of the difference."""
    difference = source + residual - truth
    loss = charbonnier(difference, settings.charbonnier_epsilon)
    if settings.fourier:
        loss = loss + settings.fourier * fourier(difference)
    if settings.edge:
        loss = loss + settings.edge * edge(difference)
    if settings.amplitude or settings.crispness:
        loss = loss + recoverable(source, truth) * _detail(source + residual, truth, settings)
    return (weights(source, truth, settings) * loss).mean()


def recoverable(source: Tensor, truth: Tensor) -> Tensor:
    """Which crops may be asked for their detail: those that still have a quarter of its energy.

    Asked for more than a picture can tell, a network invents it: grain, or a grid of its own. One
    number per crop, 0 or 1.
    """
    return (energy(source) >= LEAST_DETAIL * energy(truth)).to(source.dtype)


def _detail(output: Tensor, truth: Tensor, settings: LossSettings) -> Tensor:
    """What is asked for the eye's sake."""
    asked = output.new_zeros(len(output))
    if settings.amplitude:
        asked = asked + settings.amplitude * amplitude(output, truth)
    if settings.crispness:
        asked = asked + settings.crispness * crispness(output, truth)
    return asked


def taught(
    source: Tensor, residual: Tensor, lesson: Tensor, truth: Tensor, settings: LossSettings
) -> Tensor:
    """Charbonnier to the teacher's picture, where the teacher came nearer to the truth than its
    input was; crops weigh as in `total`.
    """
    loss = charbonnier(source + residual - lesson, settings.charbonnier_epsilon)
    kept = gate.keeps(lesson, source, truth)
    return (weights(source, truth, settings) * kept * loss).mean()


def perceived(
    eyes: Lpips, source: Tensor, residual: Tensor, truth: Tensor, settings: LossSettings
) -> Tensor:
    """LPIPS of the output to the truth; crops weigh as in `total`, hopeless ones not at all.

    Sides of at least 66 px.
    """
    shown = (_shifted(plane).expand(-1, 3, -1, -1) for plane in (source + residual, truth))
    distance: Tensor = eyes(*shown)
    return (weights(source, truth, settings) * recoverable(source, truth) * distance).mean()


def _shifted(planes: Tensor) -> Tensor:
    """Each plane cut at another of the sixteen places where a step of four pixels can begin.

    LPIPS looks at every fourth pixel first, as a student does: looking always at the same ones, it
    lets a grid of four pixels pass.
    """
    height, width = (side - EYES_STRIDE + 1 for side in planes.shape[-2:])
    corners = (divmod(number % EYES_STRIDE**2, EYES_STRIDE) for number in range(len(planes)))
    cut = [p[:, y : y + height, x : x + width] for p, (y, x) in zip(planes, corners, strict=True)]
    return torch.stack(cut)


def flat(residual: Tensor) -> Tensor:
    """What is added to plain greys, where nothing should be."""
    return charbonnier(residual, FLAT_EPSILON).mean()
