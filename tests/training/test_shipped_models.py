"""The models in `models/`: cards valid, files intact, greys left alone, both files of one mind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from vcsharp_training import export
from vcsharp_training.filters import OnnxFilter
from vcsharp_training.recipe import Recipe, read_toml

from vcsharp import catalogue
from vcsharp.engine.gate import GENERAL, Gate
from vcsharp.nets.plain import PlainStudent

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "models").glob("*/card.json"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def model(request) -> catalogue.Model:
    return catalogue.load(request.param)


WEIGHTS = [
    (folder, kind) for folder in FOLDERS for kind in ("", *catalogue.load(folder).card.experts)
]


@pytest.fixture(params=WEIGHTS, ids=lambda weights: f"{weights[0].name}-{weights[1] or 'student'}")
def network(request) -> catalogue.Model:
    """The student or an expert of a model."""
    folder, kind = request.param
    return catalogue.load(folder).expert(kind)


def _scene() -> np.ndarray:
    y, x = np.mgrid[0:96, 0:128]
    waves = 120 + 60 * np.sin(x / 5) * np.cos(y / 7) + 30 * (x % 32 < 16)
    return np.asarray(waves, np.uint8)


def test_nano_is_there():
    assert "nano" in [folder.name for folder in FOLDERS]


def test_every_file_matches_the_card(network):
    assert set(network.card.files) == {"int8", "fp32", "torch"}
    for kind, file in network.card.files.items():
        assert network.path(kind).stat().st_size == file.bytes


def test_a_gate_knows_the_experts_that_are_there(model):
    path = model.gate_path()
    if not model.card.experts:
        assert path is None
        return
    assert path is not None
    assert set(Gate.load(path).experts) == {GENERAL, *model.card.experts}


def test_the_tiers_have_an_expert_for_each_kind_that_is_measured():
    for tier in catalogue.tiers():
        assert set(tier.card.experts) >= set(tier.card.metrics) == {"half", "soft", "mjpeg", "call"}


def test_the_card_states_what_the_recipe_says(model):
    recipe = Recipe(**read_toml(ROOT / model.card.recipe))
    assert model.card.name == recipe.name == model.folder.name
    assert model.card.version == recipe.version
    assert model.card.architecture.channels == recipe.network.channels


def test_every_degradation_gains_and_clean_pictures_stay(model):
    for metrics in model.card.metrics.values():
        assert metrics.psnr_gain_db > 0
        assert metrics.ssim_gain > 0
        assert metrics.images > 100
    assert model.card.clean_psnr_db >= 42


@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_greys_of_every_level_stay(model, kind):
    """An expert gets no plain greys but those of spoilt pictures, so it may be a level off more."""
    assert export.flat_response(OnnxFilter(model.path(kind))) <= 1
    for name in model.card.experts:
        assert export.flat_response(OnnxFilter(model.expert(name).path(kind))) <= 2, name


@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_the_files_follow_torch(network, kind):
    architecture = network.card.architecture
    plain = PlainStudent(architecture.channels, architecture.stride)
    plain.load_state_dict(load_file(network.path("torch")))
    luma = _scene()
    with torch.no_grad():
        wanted = 255 * plain(torch.from_numpy(luma)[None, None] / 255)[0, 0].numpy()
    error = np.abs(OnnxFilter(network.path(kind))(luma) - wanted)
    assert error.max() <= (0.51 if kind == "fp32" else 8)
    roundings = len(architecture.channels) - 1
    assert error.mean() <= 0.75 * (roundings / 3) ** 0.5  # they add up as noise does


def test_parameters_and_cost_are_counted_not_claimed(network):
    weights = load_file(network.path("torch"))
    assert network.card.params == sum(weight.numel() for weight in weights.values())
    kernels = sum(weight.numel() for weight in weights.values() if weight.ndim == 4)
    assert network.card.mac_per_px == kernels // network.card.architecture.stride**2
