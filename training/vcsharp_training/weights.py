"""A trained student's numbers as the files need them: float, or integers with scales."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vcsharp.nets.plain import PlainStudent
from vcsharp_training.quant import (
    INPUT_SCALE,
    RESIDUAL_ZERO,
    WEIGHT_MAX,
    QuantStudent,
    convolutions,
    weight_scales,
)


class FloatLayer(NamedTuple):
    """One convolution."""

    weight: NDArray[np.float32]
    """outputs x inputs x 3 x 3."""
    bias: NDArray[np.float32]


class IntLayer(NamedTuple):
    """One convolution in integers."""

    weight: NDArray[np.int8]
    """outputs x inputs x 3 x 3, -63..63."""
    weight_scale: NDArray[np.float32]
    """One per output."""
    bias: NDArray[np.int32]
    """In steps of input scale x weight scale."""
    output_scale: float
    output_zero: int


def float_layers(plain: PlainStudent) -> list[FloatLayer]:
    """The convolutions, from stem to head."""
    return [
        FloatLayer(conv.weight.detach().numpy(), _bias(conv).numpy())
        for conv in convolutions(plain)
    ]


def _bias(conv: nn.Conv2d) -> torch.Tensor:
    assert conv.bias is not None
    return conv.bias.detach()


def int_layers(model: QuantStudent) -> list[IntLayer]:
    """The convolutions in integers, rounded as in training."""
    layers, source_scale = list[IntLayer](), INPUT_SCALE
    convs = convolutions(model.plain)
    for index, conv in enumerate(convs):
        scale = weight_scales(conv.weight)
        steps = torch.round(conv.weight.detach() / scale[:, None, None, None]).clamp(
            -WEIGHT_MAX, WEIGHT_MAX
        )
        bias = torch.round(_bias(conv).double() / (scale.double() * source_scale))
        output_scale = float(model.scales[index])
        zero = 0 if index < len(convs) - 1 else RESIDUAL_ZERO
        layers.append(
            IntLayer(
                steps.to(torch.int8).numpy(),
                scale.numpy(),
                bias.to(torch.int32).numpy(),
                output_scale,
                zero,
            )
        )
        source_scale = output_scale
    return layers
