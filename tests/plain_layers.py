"""Layers written out in NumPy, slowly, and what tests of networks share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def random(net: nn.Module, seed: int = 0) -> Any:
    """Draws every weight and bias, so that none can be forgotten unnoticed. Returns the network;
    typed Any, because a test reaches for layers by their names.
    """
    torch.manual_seed(seed)
    for weight in net.parameters():
        nn.init.normal_(weight, 0.1, 0.3)
    return net.eval()


def silence(layer: nn.Module) -> None:
    """Sets every weight and bias to zero."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)


def shapes_of(net: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def below(shapes: dict[str, tuple[int, ...]], prefix: str) -> dict[str, tuple[int, ...]]:
    return {
        name.removeprefix(prefix): shape
        for name, shape in shapes.items()
        if name.startswith(prefix)
    }


def parameters_of(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


def on_meta(build: type[nn.Module], *arguments: object) -> nn.Module:
    """Full size without the memory."""
    with torch.device("meta"):
        return build(*arguments)


def point(x: np.ndarray, weight: Tensor, bias: Tensor | None = None) -> np.ndarray:
    """A 1x1 convolution, C x H x W."""
    out: np.ndarray = np.einsum("oc,chw->ohw", weight.detach().numpy()[:, :, 0, 0], x)
    return out if bias is None else out + bias.detach().numpy()[:, None, None]


def each(x: np.ndarray, weight: Tensor, bias: Tensor | None = None) -> np.ndarray:
    """A depthwise 3x3 convolution with zero padding, C x H x W."""
    kernel, padded = weight.detach().numpy(), np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros_like(x)
    for c, y, column in np.ndindex(x.shape):
        out[c, y, column] = (kernel[c, 0] * padded[c, y : y + 3, column : column + 3]).sum()
    return out if bias is None else out + bias.detach().numpy()[:, None, None]


def gelu(x: float) -> float:
    return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))


def softmax(scores: np.ndarray) -> np.ndarray:
    parts = np.exp(scores - scores.max(-1, keepdims=True))
    shares: np.ndarray = parts / parts.sum(-1, keepdims=True)
    return shares


def picture(channels: int, height: int, width: int) -> Tensor:
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(1))


def agrees(fast: Tensor, slow: np.ndarray) -> None:
    np.testing.assert_allclose(fast.detach().numpy(), slow, rtol=2e-4, atol=2e-4)
