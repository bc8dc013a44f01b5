"""A student that starts where a smaller one ended: deeper and wider, after Net2Net (Chen et al.
2015, arXiv 1511.05641).

New layers pass on what they get: an identity is one of the functions of a 3x3 convolution, and
behind a ReLU, where nothing is below zero, the next ReLU changes nothing. New channels see what
their random first weights show them, and nobody listens to them yet. (Net2Net copies channels
instead; copies have to be told apart by noise, random ones are different already.) Training then
begins with the smaller student's function, not with none.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from vcsharp_training.errors import CheckpointError
from vcsharp_training.exported import file_of, weights
from vcsharp_training.reparam import RepConv, RepStudent


def start_from(model: RepStudent, start: Path) -> None:
    """Gives `model` the function of an exported student, to rounding.

    Args:
        model: at least as deep and nowhere narrower; its layers beyond the smaller student's follow
            the stem.
        start: folder of the exported student, or a file of weights (an expert's) in it.

    Raises:
        CheckpointError: there is no such student, or it does not fit in.
    """
    small = _layers(start)
    convs = [conv for conv in model.convs if isinstance(conv, RepConv)]
    added = len(convs) - len(small)
    wanted = [conv.direct.shape for conv in [convs[0], *convs[1 + max(added, 0) :]]]
    found = [weight.shape for weight, _ in small]
    if added < 0 or not _holds(wanted, found):
        raise CheckpointError(
            f"the student in '{start}' does not fit into channels '{model.channels}': "
            f"its layers are {_text(found)}, {_text(wanted)} are there for them; "
            f"change network.channels or network.start"
        )
    width = found[0][0]
    passing = [(_identity(width), torch.zeros(width))] * added
    for conv, (weight, bias) in zip(convs, [small[0], *passing, *small[1:]], strict=True):
        _take(conv, weight, bias)


def _holds(wanted: list[torch.Size], found: list[torch.Size]) -> bool:
    """Whether each layer is at least as wide, and pictures have as many channels as before."""
    ends = wanted[0][1] == found[0][1] and wanted[-1][0] == found[-1][0]
    pairs = zip(wanted, found, strict=True)
    return ends and all(w[0] >= f[0] and w[1] >= f[1] for w, f in pairs)


@torch.no_grad()
def _take(conv: RepConv, weight: Tensor, bias: Tensor) -> None:
    """All of it in the direct branch; the others begin at zero, and learn."""
    outputs, inputs = weight.shape[:2]
    conv.direct[:outputs, :inputs] = weight
    conv.direct[:outputs, inputs:] = 0
    conv.bias[:outputs] = bias
    conv.narrow.zero_()
    conv.point.zero_()


def _identity(width: int) -> Tensor:
    kernel = torch.zeros(width, width, 3, 3)
    kernel[:, :, 1, 1] = torch.eye(width)
    return kernel


def _layers(start: Path) -> list[tuple[Tensor, Tensor]]:
    try:
        state = load(weights(start))
        count = sum(name.endswith(".weight") for name in state)
        return [(state[f"convs.{i}.weight"], state[f"convs.{i}.bias"]) for i in range(count)]
    except (SafetensorError, KeyError) as error:
        raise CheckpointError(
            f"'{file_of(start)}' holds no student: {error}; name another in network.start"
        ) from error


def _text(shapes: list[torch.Size]) -> str:
    return ", ".join(f"{shape[1]}-{shape[0]}" for shape in shapes)
