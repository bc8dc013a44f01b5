"""The file of our own teacher: a NAFNet and the settings that it was built with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from vcsharp_training import checkpoint
from vcsharp_training.errors import CheckpointError
from vcsharp_training.teachers import loading
from vcsharp_training.teachers.nafnet import NAFNet, Shape
from vcsharp_training.teachers.teacher import Fit, Teacher

NAME = "own"
FILE = "own-teacher.pt"


def as_teacher(net: NAFNet, name: str = NAME) -> Teacher:
    """The network behind the promise of a teacher."""
    return Teacher(name, net, Fit(net.shape.channels, net.multiple))


def save(path: Path, shape: Shape, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Writes the file whole or not at all. `facts` are plain values that say how it was made."""
    network = {
        "channels": shape.channels,
        "width": shape.width,
        "encoders": list(shape.encoders),
        "middle": shape.middle,
        "decoders": list(shape.decoders),
        "stride": shape.stride,
    }
    checkpoint.save(path, {"network": network, "params": weights, "facts": facts})


def load(path: Path) -> Teacher:
    """The trained teacher. Raises CheckpointError if the file is damaged or something else."""
    network = loading.read(path).get("network")
    try:
        net = NAFNet(Shape(**network)) if isinstance(network, dict) else None
    except TypeError:
        net = None
    if net is None:
        raise CheckpointError(
            f"checkpoint '{path}' does not say what network it is of; "
            "train it again with 'vcsharp-train teacher train'"
        )
    loading.fill(net, loading.weights(path), path, "this NAFNet")
    return as_teacher(net)
