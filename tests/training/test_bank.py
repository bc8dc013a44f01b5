"""The crop bank and its batches: repeatable, split by picture, refusing bad input in one line."""

from __future__ import annotations

import numpy as np
import pytest
from vcsharp_training import bank, images, preview, sampling
from vcsharp_training.errors import DataError
from vcsharp_training.recipe import PhaseSettings


def test_the_same_recipe_cuts_the_same_bytes(smoke_recipe, tmp_path):
    recipe = smoke_recipe(tmp_path)
    for name in ("one", "two"):
        bank.build(tmp_path / name, recipe.data, recipe.bank, seed=recipe.seed)
    for file in ("degraded.npy", "sharp.npy", "index.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_bank_holds_what_was_asked_for_and_knows_itself(trained):
    crops = bank.load(trained.bank_folder)
    assert crops.sharp.shape == crops.degraded.shape == (6 * 10 + 8, 64, 64)
    assert set(crops.profile) == {"half", "soft", "mjpeg", "call", "clean", bank.SYNTHETIC}
    untouched = np.isin(crops.profile, ["clean", bank.SYNTHETIC])
    same = (crops.sharp == crops.degraded).all(axis=(1, 2))
    assert same[untouched].all()
    assert not same[crops.profile == "half"].all()
    assert bank.is_current(trained.bank_folder, trained.data, trained.bank, trained.seed)
    assert not bank.is_current(trained.bank_folder, trained.data, trained.bank, trained.seed + 1)


def test_validation_pictures_are_whole_pictures_that_training_never_sees(trained):
    crops = bank.load(trained.bank_folder)
    by_picture = crops.held_out[: 6 * 10].reshape(6, 10)
    assert (by_picture == by_picture[:, :1]).all()
    assert 0 < by_picture[:, 0].sum() < 6
    assert not set(crops.rows(held_out=True)) & set(crops.rows(held_out=False))


def test_a_batch_depends_on_its_key_only_and_pairs_stay_together(trained):
    crops = bank.load(trained.bank_folder)
    rows = np.flatnonzero(crops.profile == "clean")
    phase = PhaseSettings(batch=6, patch_px=40)
    first, again, other = (sampling.batch(crops, rows, phase, (1, step)) for step in (4, 4, 5))
    assert first[0].shape == (6, 1, 40, 40)
    assert first[0].equal(again[0])
    assert not first[0].equal(other[0])
    assert first[0].equal(first[1])


def test_flats_are_different_greys():
    levels = sampling.flats(256, (0,))[:, 0, 0, 0] * 255
    assert sorted(levels.round().int().tolist()) == list(range(256))


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no pictures in '.*': it holds no pictures"):
        images.find_images(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        images.find_images(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_broken_picture_is_named(tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot decode '.*bad\.png'"):
        images.read_luma(tmp_path / "bad.png")


def test_a_missing_bank_names_the_cure(tmp_path):
    with pytest.raises(DataError, match="prepare"):
        bank.load(tmp_path)


def test_luma_ranges(tmp_path):
    white = np.full((2, 2, 3), 255, np.uint8)
    assert images.to_luma(white, "limited")[0, 0] == 235
    assert images.to_luma(white, "full")[0, 0] == 255
    assert images.to_luma(0 * white, "limited")[0, 0] == 16


def test_a_preview_shows_every_profile(trained, tmp_path):
    preview.draw(bank.load(trained.bank_folder), tmp_path / "grid.png")
    assert images.read_luma(tmp_path / "grid.png").shape == (6 * 64, 10 * 64)
