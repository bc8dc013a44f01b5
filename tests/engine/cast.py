"""A small student with experts and a gate, and backends that say what became of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
from safetensors.torch import save_file
from vcsharp_training.onnx_graph import float_model, int8_model
from vcsharp_training.weights import FloatLayer, IntLayer

from vcsharp.catalogue import Model, load
from vcsharp.engine.backend import NullBackend
from vcsharp.engine.gate import FEATURES
from vcsharp.frame import Bytes

from .conftest import STRIDE, convs, random_int_layers, random_net, write_card

KINDS = ("call", "soft")
SUFFIXES = {"int8": "int8.onnx", "fp32": "onnx", "torch": "safetensors"}


def flat(height: int = 96, width: int = 160) -> Bytes:
    """Nothing in it: the student's."""
    return np.full((height, width), 90, np.uint8)


def loud(height: int = 96, width: int = 160, seed: int = 0) -> Bytes:
    """Noise of every frequency: for `call`."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width)).astype(np.uint8)


def blurred(height: int = 96, width: int = 160, seed: int = 0) -> Bytes:
    """The same without its high frequencies: for `soft`."""
    return np.asarray(cv2.GaussianBlur(loud(height, width, seed), (0, 0), 1.0), np.uint8)


def gate_table() -> dict:
    """Goes by the mean logarithm of all energies: flat about -3, blurred about 2, loud about 8."""
    slopes, offsets = np.array([0.0, 10.0, 20.0]), np.array([0.0, 10.0, -40.0])
    weight = np.repeat(slopes[:, None] / FEATURES, FEATURES, axis=1)
    return {
        "kinds": ["nothing", "blur", "noise"],
        "mean": [0.0] * FEATURES,
        "scale": [1.0] * FEATURES,
        "layers": [{"weight": weight.tolist(), "bias": offsets.tolist()}],
        "gains_db": {"": [1, 0, 0], "soft": [0, 1, 0], "call": [0, 0, 1]},
    }


def write_model(folder: Path, table: dict | None = None) -> Model:
    """A student and its experts, random but calm, in all kinds of files; and the gate."""
    names = {kind: f"model.{suffix}" for kind, suffix in SUFFIXES.items()}
    for seed, name in enumerate(("model", *KINDS)):
        _write_weights(folder, name, seed)
    (folder / "gate.json").write_text(json.dumps(table or gate_table()), "utf-8")
    card = json.loads(write_card(folder, names).card.model_dump_json())
    card["gate"] = entry(folder / "gate.json")
    card["experts"] = {
        name: {kind: entry(folder / f"{name}.{suffix}") for kind, suffix in SUFFIXES.items()}
        for name in KINDS
    }
    (folder / "card.json").write_text(json.dumps(card), "utf-8")
    return load(folder)


def entry(path: Path) -> dict:
    """What a card says of a file."""
    data = path.read_bytes()
    return {"name": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _write_weights(folder: Path, name: str, seed: int) -> None:
    net = random_net(seed)
    convs(net)[-1].weight.data.mul_(0.3)  # plain grey has to stay nearly what it is
    layers = [
        FloatLayer(conv.weight.detach().numpy(), conv.bias.detach().numpy()) for conv in convs(net)
    ]
    onnx.save(float_model(name, layers, STRIDE), folder / f"{name}.onnx")
    onnx.save(int8_model(name, _calm(seed), STRIDE), folder / f"{name}.int8.onnx")
    save_file(net.state_dict(), folder / f"{name}.safetensors")


def _calm(seed: int) -> list[IntLayer]:
    layers = random_int_layers(np.random.default_rng(seed))
    layers[-1].weight_scale[:] *= 0.03
    layers[-1].bias[:] = 0
    return layers


class Adding(NullBackend):
    """Adds so many levels as its name has letters, and is on a list while it is open."""

    def __init__(self, name: str, alive: list[str]) -> None:
        self.expert, self._alive, self._open = name, alive, True
        alive.append(name)

    def sharpen(self, plane, plan, strength, out) -> None:
        assert self._open, "used after it was closed"
        super().sharpen(plane + np.uint8(len(self.expert)), plan, strength, out)

    def close(self) -> None:
        if self._open:
            self._alive.remove(self.expert)
        self._open = False
