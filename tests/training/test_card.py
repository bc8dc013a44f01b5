"""Cards and their pages hold what was measured, and a model stays whole until its successor is."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from vcsharp_training import cli, distil, export
from vcsharp_training.errors import DataError
from vcsharp_training.measuring import Extras
from vcsharp_training.recipe import Recipe

from vcsharp import catalogue


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set5 of one small picture."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "Set5").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (36, 48, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / "Set5" / "1.png"), cv2.GaussianBlur(noise, (0, 0), 1))
    return folder


@pytest.fixture(scope="module")
def model(
    trained: Recipe, lpips_folder: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory
) -> catalogue.Model:
    """The smoke student with every figure that there is."""
    recipe = trained.model_copy(update={"models": tmp_path_factory.mktemp("models")})
    extras = Extras(lpips=lpips_folder, bench=sets, rgb=True, images_per_category=1)
    export.write_model(
        recipe, "recipes/smoke.toml", export.Trained(distil.load_quantised(trained)), extras=extras
    )
    return catalogue.load(recipe.model_folder)


def test_the_card_holds_looks_side_effects_benchmarks_and_speed(model):
    card = model.card
    for metrics in card.metrics.values():
        assert metrics.images == 2
        assert metrics.lpips_in is not None
        assert metrics.lpips_out == pytest.approx(metrics.lpips_in, abs=0.01)
        assert metrics.sharpness_out == pytest.approx(metrics.sharpness_in, abs=0.05)
        assert metrics.psnr_rgb_gain_db == pytest.approx(0, abs=0.1)
    assert card.side_effects is not None
    assert 0.5 < card.side_effects.flicker < 1  # what hardly moves is held
    assert list(card.benchmarks) == ["Set5 x2", "Set5 x3", "Set5 x4"]
    figures = card.benchmarks["Set5 x2"]
    assert figures.psnr_out_db == pytest.approx(figures.psnr_in_db, abs=0.2)
    assert card.speed is not None
    assert card.speed.fps_512 > card.speed.fps_1080p_tiled > 0
    assert (card.speed.precision, card.speed.threads) == ("int8", 1)
    assert card.int8_loss_db is not None
    assert abs(card.int8_loss_db) < 0.1


def test_the_page_shows_the_figures_of_the_card_beside_published_ones(model):
    page = (model.folder / "README.md").read_text("utf-8")
    figures = model.card.benchmarks["Set5 x2"]
    assert f"| smoke int8 | 1,152 | {figures.psnr_out_db:.2f} |" in page
    assert "| VDSR | 665,000 | 37.53 |" in page
    assert f"{model.card.speed.fps_512:.1f}" in page
    assert f"{model.card.side_effects.flicker:.3f}" in page
    assert "- smoke int8, half: not " in page
    assert "RGB: PSNR dB / SSIM" in page
    assert "not measured" not in page


def test_evaluate_writes_tables_figures_and_a_plot(model, pictures, tmp_path, capsys):
    arguments = ["--models", str(model.folder), "--data", str(pictures), "--precisions", "int8"]
    arguments += ["--images-per-category", "1", "--out", str(tmp_path / "out")]
    assert cli.main(["evaluate", *arguments]) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "out" / "evaluation.md").read_text("utf-8") == printed
    assert "smoke fp32" not in printed
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    assert found["scores"]["half"]["all"]["smoke int8"]["images"] == 2
    assert found["scores"]["half"]["all"]["smoke int8"]["lpips"] is None
    assert found["probes"]["input"]["flicker"] == 1
    assert cv2.imread(str(tmp_path / "out" / "gains.png")) is not None


def test_a_measurement_that_fails_leaves_the_model_that_was_there(model, trained, monkeypatch):
    before = {path.name: path.read_bytes() for path in model.folder.iterdir()}

    def fail(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "find", fail)
    recipe = trained.model_copy(update={"models": model.folder.parent, "version": "9.9.9"})
    with pytest.raises(KeyboardInterrupt):
        export.write_model(
            recipe, "recipes/smoke.toml", export.Trained(distil.load_quantised(trained))
        )
    assert {path.name: path.read_bytes() for path in model.folder.iterdir()} == before


def test_the_card_says_who_taught_as_the_bank_has_it(trained, tmp_path):
    assert export._teacher(trained) == "none: trained on the ground truth"
    loss = trained.train.loss.model_copy(update={"teacher": 0.3})
    train = trained.train.model_copy(update={"loss": loss})
    recipe = trained.model_copy(update={"train": train, "work": tmp_path})
    with pytest.raises(DataError, match=r"cannot tell who taught 'smoke'.*taught\.json"):
        export._teacher(recipe)
    recipe.bank_folder.mkdir(parents=True)
    record = '{"made_of": {"teacher": "nafnet32"}}'
    (recipe.bank_folder / "taught.json").write_text(record, "utf-8")
    assert export._teacher(recipe) == "nafnet32, weight 0.3 beside the ground truth"


def test_the_card_says_that_a_student_was_trained_for_lpips(trained):
    loss = trained.qat.loss.model_copy(update={"lpips": 0.1})
    recipe = trained.model_copy(update={"qat": trained.qat.model_copy(update={"loss": loss})})
    assert export._teacher(recipe).endswith("and for LPIPS itself (weight 0.1)")


def test_a_card_of_before_still_loads(model):
    old = model.card.model_dump(
        exclude={"int8_loss_db", "side_effects", "benchmarks", "speed"}, exclude_none=True
    )
    loaded = catalogue.Card.model_validate(old)
    assert loaded.benchmarks == {}
    assert loaded.speed is None
