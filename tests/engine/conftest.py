"""A student with random weights, in all three file kinds, and slow plain references."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from vcsharp_training.onnx_graph import float_model, int8_model
from vcsharp_training.weights import FloatLayer, IntLayer

from vcsharp.catalogue import Architecture, Card, Model, ModelFile, load
from vcsharp.frame import Bytes
from vcsharp.nets.plain import PlainStudent, halo_px, mac_per_px, receptive_field_px

CHANNELS, STRIDE = (16, 32, 32, 16), 4
RESIDUAL_SCALE = 0.47 / 255  # halves would make every other sum a tie


def random_int_layers(rng: np.random.Generator) -> list[IntLayer]:
    """Weights that drive every activation through its whole range."""
    layers = []
    scales = [1 / 255, 4 / 255, 4 / 255, RESIDUAL_SCALE]
    last = len(CHANNELS) - 2
    for index, (count_in, count_out) in enumerate(pairwise(CHANNELS)):
        layers.append(
            IntLayer(
                weight=rng.integers(-63, 64, (count_out, count_in, 3, 3)).astype(np.int8),
                weight_scale=rng.uniform(0.5e-3, 2e-3, count_out).astype(np.float32),
                bias=rng.integers(-2000, 2000, count_out).astype(np.int32),
                output_scale=scales[index + 1],
                output_zero=128 if index == last else 0,
            )
        )
    return layers


def convs(net: PlainStudent) -> list:
    """The convolutions, with their weights and biases."""
    return list(net.convs)


def random_net(seed: int) -> PlainStudent:
    """A student whose residuals are large."""
    torch.manual_seed(seed)
    net = PlainStudent(CHANNELS, STRIDE)
    with torch.no_grad():
        for conv in convs(net):
            conv.weight.mul_(2)
    return net.eval()


def write_card(folder: Path, names: dict) -> Model:
    """A card for the files in a folder."""
    files = {}
    for kind, name in names.items():
        content = (folder / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        files[kind] = ModelFile(name=name, sha256=digest, bytes=len(content))
    card = Card(
        name="random",
        version="0",
        summary="random weights",
        architecture=Architecture(channels=CHANNELS, stride=STRIDE),
        params=1,
        mac_per_px=mac_per_px(CHANNELS, STRIDE),
        receptive_field_px=receptive_field_px(CHANNELS, STRIDE),
        halo_px=halo_px(CHANNELS, STRIDE),
        multiple_of=STRIDE,
        files=files,
        teacher="none",
        data="none",
        recipe="none",
        metrics={},
        clean_psnr_db=0,
        licence="none",
    )
    (folder / "card.json").write_text(card.model_dump_json(), "utf-8")
    return load(folder)


@pytest.fixture(scope="session")
def int_layers() -> list[IntLayer]:
    """Of the random int8 model."""
    return random_int_layers(np.random.default_rng(5))


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory, int_layers: list[IntLayer]) -> Model:
    """int8, fp32 and torch files; fp32 and torch are the same network, int8 is another one."""
    folder = tmp_path_factory.mktemp("random")
    net = random_net(3)
    layers = [
        FloatLayer(conv.weight.detach().numpy(), conv.bias.detach().numpy()) for conv in convs(net)
    ]
    onnx.save(int8_model("random", int_layers, STRIDE), folder / "model.int8.onnx")
    onnx.save(float_model("random", layers, STRIDE), folder / "model.onnx")
    save_file(net.state_dict(), folder / "model.safetensors")
    names = {"int8": "model.int8.onnx", "fp32": "model.onnx", "torch": "model.safetensors"}
    return write_card(folder, names)


def unshuffled(plane: np.ndarray) -> np.ndarray:
    """(16, H/4, W/4) from (H, W)."""
    height, width = plane.shape
    blocks = plane.reshape(height // STRIDE, STRIDE, width // STRIDE, STRIDE)
    return blocks.transpose(1, 3, 0, 2).reshape(STRIDE**2, height // STRIDE, width // STRIDE)


def shuffled(channels: np.ndarray) -> np.ndarray:
    """The other way."""
    _, height, width = channels.shape
    blocks = channels.reshape(STRIDE, STRIDE, height, width).transpose(2, 0, 3, 1)
    return blocks.reshape(height * STRIDE, width * STRIDE)


def convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """3x3 cross-correlation with zero padding, one tap at a time."""
    _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((weight.shape[0], height, width), np.result_type(x, weight))
    for dy in range(3):
        for dx in range(3):
            window = padded[:, dy : dy + height, dx : dx + width]
            out += np.tensordot(weight[:, :, dy, dx], window, 1)
    return out


def slow_int8(plane: Bytes, layers: list[IntLayer], strength: float) -> Bytes:
    """The int8 student in integers and doubles; sizes must be multiples of the stride."""
    x, scale = unshuffled(plane.astype(np.int64)) - 128, 1 / 255
    for layer in layers:
        total = convolved(x, layer.weight.astype(np.int64)) + layer.bias[:, None, None]
        factor = scale * layer.weight_scale[:, None, None] / layer.output_scale
        levels = np.clip(np.rint(total * factor) + layer.output_zero, 0, 255)
        x = (levels - layer.output_zero).astype(np.int64)
        scale = layer.output_scale
    summed = plane / 255 + shuffled(x) * scale * strength
    out: Bytes = np.clip(np.rint(summed * 255), 0, 255).astype(np.uint8)
    return out


def slow_fp32(plane: Bytes, net: PlainStudent, strength: float) -> Bytes:
    """The float student in doubles; sizes must be multiples of the stride."""
    x = unshuffled((plane.astype(np.float64) - 128) / 255)
    for index, conv in enumerate(convs(net)):
        weight = conv.weight.detach().double().numpy()
        bias = conv.bias.detach().double().numpy()
        x = convolved(x, weight) + bias[:, None, None]
        x = np.maximum(x, 0) if index < len(net.convs) - 1 else x
    out: Bytes = np.clip(np.rint(plane + 255 * strength * shuffled(x)), 0, 255).astype(np.uint8)
    return out
