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
from vcsharp.nets.plain import PlainStudent

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "models").glob("*/card.json"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def model(request) -> catalogue.Model:
    return catalogue.load(request.param)


def _scene() -> np.ndarray:
    y, x = np.mgrid[0:96, 0:128]
    waves = 120 + 60 * np.sin(x / 5) * np.cos(y / 7) + 30 * (x % 32 < 16)
    return np.asarray(waves, np.uint8)


def test_nano_is_there():
    assert "nano" in [folder.name for folder in FOLDERS]


def test_every_file_matches_the_card(model):
    assert set(model.card.files) == {"int8", "fp32", "torch"}
    for kind, file in model.card.files.items():
        assert model.path(kind).stat().st_size == file.bytes


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
    assert export.flat_response(OnnxFilter(model.path(kind))) <= 1


@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_the_files_follow_torch(model, kind):
    architecture = model.card.architecture
    plain = PlainStudent(architecture.channels, architecture.stride)
    plain.load_state_dict(load_file(model.path("torch")))
    luma = _scene()
    with torch.no_grad():
        wanted = 255 * plain(torch.from_numpy(luma)[None, None] / 255)[0, 0].numpy()
    error = np.abs(OnnxFilter(model.path(kind))(luma) - wanted)
    assert error.max() <= (0.51 if kind == "fp32" else 8)
    roundings = len(architecture.channels) - 1
    assert error.mean() <= 0.75 * (roundings / 3) ** 0.5  # they add up as noise does


def test_parameters_and_cost_are_counted_not_claimed(model):
    weights = load_file(model.path("torch"))
    assert model.card.params == sum(weight.numel() for weight in weights.values())
    kernels = sum(weight.numel() for weight in weights.values() if weight.ndim == 4)
    assert model.card.mac_per_px == kernels // model.card.architecture.stride**2
