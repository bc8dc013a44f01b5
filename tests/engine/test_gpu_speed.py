"""What a real GPU makes of the students at 1080p: printed, not asserted.

    pytest -m gpu -s tests/engine/test_gpu_speed.py

The same loop runs on CPU tensors in `tests/benchcmd/test_gpu_rows.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vcsharp.bench.gpunetworks import MODES, GpuNetwork
from vcsharp.bench.networks import Network
from vcsharp.catalogue import Architecture, Model, find
from vcsharp.nets.plain import PlainStudent, halo_px, mac_per_px

from .conftest import write_card

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.timeout(600),
]
HD = (1920, 1080)
BASE = (16, *[64] * 8, 16)
"""The widths of a student of 17 kMAC per pixel; random weights cost what trained ones do."""


def untrained(folder: Path, channels: Sequence[int]) -> Model:
    """A student of that shape with random weights."""
    torch.manual_seed(1)
    save_file(PlainStudent(channels, 4).state_dict(), folder / "model.safetensors")
    made = write_card(folder, {"torch": "model.safetensors"})
    facts = {
        "architecture": Architecture(channels=tuple(channels), stride=4),
        "halo_px": halo_px(channels, 4),
        "mac_per_px": mac_per_px(channels, 4),
    }
    return Model(made.card.model_copy(update=facts), folder)


def student(name: str, folder: Path) -> Model:
    return untrained(folder, BASE) if name == "base-shaped" else find(name)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["nano", "small", "base-shaped"])
def test_frames_under_way(name: str, mode: str, tmp_path: Path) -> None:
    network = GpuNetwork(student(name, tmp_path), mode, HD)
    network.prepare()
    sample = network.turn(2.0)
    stages = ", ".join(f"{stage} {ms:.3f} ms" for stage, ms in network.stage_ms.items())
    network.close()
    print(f"\n{name} {mode}: {sample.frames / sample.wall_s:.0f} fps, {stages}")
    assert sample.frames > 0


@pytest.mark.parametrize("planes", [1, 4, 16])
def test_small_pictures_in_batches(planes: int) -> None:
    network = GpuNetwork(find("nano"), "graph", (640, 480), planes=planes)
    network.prepare()
    sample = network.turn(1.0)
    network.close()
    print(f"\nnano 640x480, {planes} a batch: {sample.frames / sample.wall_s:.0f} fps")
    assert sample.frames >= planes


@pytest.mark.parametrize("name", ["nano", "small"])
def test_one_frame_after_the_other(name: str) -> None:
    network = Network(find(name), ("torch", "cuda", "fp16"), HD)
    network.prepare()
    took_ms = sorted(network.turn(2.0).frame_ms)
    network.close()
    middle, late = took_ms[len(took_ms) // 2], took_ms[int(0.99 * len(took_ms))]
    print(f"\n{name}: latency p50 {middle:.2f} ms, p99 {late:.2f} ms")
    assert took_ms
