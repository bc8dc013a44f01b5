"""Generated pictures and a smoke run, so that the tests need no data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from vcsharp_training import bank, distil, perceptual, speed
from vcsharp_training.quant import QuantStudent
from vcsharp_training.recipe import Recipe, read_toml

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "training" / "recipes" / "smoke.toml"


def _picture(seed: int, height: int = 128, width: int = 160) -> bytes:
    """A PNG of soft hills, hard bars and fine grain: something of everything."""
    rng = np.random.default_rng(seed)
    hills = cv2.resize(
        rng.uniform(0, 255, (6, 8, 3)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    hills[:, ::17] = 20
    grain = np.zeros((height, width, 3))
    grain[height // 2 :] = rng.normal(0, 12, (height - height // 2, width, 3))
    hills = hills + grain
    return cv2.imencode(".png", np.clip(hills, 0, 255).astype(np.uint8))[1].tobytes()


@pytest.fixture(scope="package", autouse=True)
def _timed_in_passing() -> Iterator[None]:
    """A model's speed is taken over the fewest frames, for its figure proves nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "cost", partial(speed.cost, least_s=0.0))
        yield


@pytest.fixture(scope="session")
def smoke_path() -> Path:
    """The recipe of the smoke run."""
    return SMOKE


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six pictures in two categories."""
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(6):
        path = folder / ("people", "text")[index % 2] / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_picture(index))
    return folder


@pytest.fixture(scope="session")
def smoke_recipe(pictures: Path) -> Callable[..., Recipe]:
    """Makes the smoke recipe for a work folder, with changes."""

    def make(work: Path, **changes: object) -> Recipe:
        places = {"data": pictures, "dev": pictures, "work": work, "models": work / "models"}
        return Recipe(**{**read_toml(SMOKE), **places, **changes})

    return make


@pytest.fixture(scope="session")
def train() -> Callable[[Recipe], QuantStudent]:
    """Runs bank and both phases of training; goes on from what there is."""

    def run(recipe: Recipe) -> QuantStudent:
        if not (recipe.bank_folder / "index.json").is_file():
            bank.build(recipe.bank_folder, recipe.data, recipe.bank, seed=recipe.seed)
        crops = bank.load(recipe.bank_folder)
        plain = distil.train_float(recipe, crops, lambda report: None)
        return distil.train_quantised(recipe, crops, plain, lambda report: None)

    return run


@pytest.fixture(scope="session")
def trained(
    smoke_recipe: Callable[..., Recipe],
    train: Callable[[Recipe], QuantStudent],
    tmp_path_factory: pytest.TempPathFactory,
) -> Recipe:
    """A finished smoke run."""
    recipe = smoke_recipe(tmp_path_factory.mktemp("smoke"))
    train(recipe)
    return recipe


@pytest.fixture(scope="session")
def lpips_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of LPIPS under the published key names, in the published shapes."""
    folder = tmp_path_factory.mktemp("lpips")
    torch.manual_seed(0)
    model = perceptual.Lpips()
    state = {key: value for key, value in model.state_dict().items() if "features" in key}
    heads = {
        f"lin{index}.model.1.weight": torch.rand_like(head)
        for index, head in enumerate(model.heads)
    }
    torch.save(state, folder / "alex_features.pth")
    torch.save(heads, folder / "lin_alex.pth")
    return folder
