"""Rounding weights so that later ones make up for what earlier ones lost.

Rounded each to its nearest step, seven-bit weights cost a narrow student a third of its gain; the
eight bits of its activations cost next to nothing. Here each weight is rounded in turn, and those
of its output that are still free take over its error, as far as the inputs go along with it (GPTQ:
Frantar et al. 2022, arXiv 2210.17323, after Optimal Brain Surgeon: Hassibi and Stork 1992). Layers
follow one another: each sees what the rounded ones before it make.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcsharp.nets.plain import PlainStudent
from vcsharp_training import quant

DAMPING = 0.01
"""Of the mean variance, added to every input's: directions that hardly occur are not trusted."""
CROPS_AT_ONCE = 8
STEP_BITS = 5
"""Of a step, so that up to 63 of them are exact in the eleven bits of fp16. With any step, the same
count errs the same way in all weights of an output, and what errs together adds up.
"""


@torch.no_grad()
def round_weights(plain: PlainStudent, scales: Tensor, planes: Sequence[Tensor]) -> None:
    """Puts all weights on the steps that the int8 file has, in place.

    Args:
        plain: a student whose activations have been calibrated.
        scales: of its activations, from `quant.calibrate`.
        planes: example crops, float N x 1 x H x W in 0..1.
    """
    inputs = [quant.unshuffled(luma, plain.stride) for luma in planes]
    for conv, scale in zip(quant.convolutions(plain), scales, strict=True):
        steps = short_steps(quant.weight_scales(conv.weight))
        rounded = compensated(conv.weight.flatten(1), _correlation(inputs), steps)
        conv.weight.copy_(rounded.view_as(conv.weight))
        inputs = [_activations(conv, scale, x) for x in inputs]


def short_steps(steps: Tensor) -> Tensor:
    """The nearest steps of `STEP_BITS` binary digits: at most 1/32 more or less."""
    mantissa, exponent = torch.frexp(steps)
    return torch.ldexp((mantissa * 2**STEP_BITS).round() / 2**STEP_BITS, exponent)


def _activations(conv: nn.Module, scale: Tensor, x: Tensor) -> Tensor:
    """What the next layer gets to see."""
    return scale * torch.round(conv(x) / scale).clamp(0, 255)


def _correlation(inputs: Sequence[Tensor]) -> Tensor:
    """Mean product of each two of the values under a 3 x 3 kernel; double, inputs x inputs."""
    total, count = torch.zeros((), dtype=torch.float64), 0
    for x in inputs:
        for start in range(0, len(x), CROPS_AT_ONCE):
            crops = x[start : start + CROPS_AT_ONCE]
            seen = functional.unfold(crops, 3, padding=1).transpose(1, 2).flatten(0, 1)
            total = total + (seen.T @ seen).double()
            count += len(seen)
    return total / count


def compensated(weight: Tensor, correlation: Tensor, steps: Tensor) -> Tensor:
    """Each row's weights on multiples of its step, with the least error of the output.

    A row's largest weight becomes `WEIGHT_MAX` steps: it says to all who read it what a step is.

    Args:
        weight: outputs x inputs.
        correlation: of the inputs, double, inputs x inputs.
        steps: one per output; the largest weight of a row is about `WEIGHT_MAX` of them.
    """
    inverse = _inverse_root(correlation)
    largest = weight.abs() == weight.abs().amax(dim=1, keepdim=True)
    free, step = weight.double(), steps.double()
    most = quant.WEIGHT_MAX * step[:, None] * free.sign()
    rounded = torch.zeros_like(free)
    for place in range(weight.shape[1]):
        nearest = (free[:, place] / step).round().clamp(-quant.WEIGHT_MAX, quant.WEIGHT_MAX) * step
        rounded[:, place] = torch.where(largest[:, place], most[:, place], nearest)
        lost = (free[:, place] - rounded[:, place]) / inverse[place, place]
        free = free - lost[:, None] * inverse[place]
    return rounded.to(weight.dtype)


def _inverse_root(correlation: Tensor) -> Tensor:
    """Upper triangle R with R^T R the inverse; row i says how the inputs after i stand in for i."""
    damping = DAMPING * correlation.diagonal().mean()
    eye = torch.eye(len(correlation), dtype=correlation.dtype)
    root: Tensor = torch.linalg.cholesky(torch.linalg.inv(correlation + damping * eye), upper=True)
    return root
