"""The page of examples and what `prepare` says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from vcsharp_training import images, prepare, preview
from vcsharp_training.bank_settings import BankSettings
from vcsharp_training.errors import DataError
from vcsharp_training.recipe import Recipe


def _settings(**changes: object) -> BankSettings:
    small = {"crop_px": 32, "window_px": 96, "synthetic": 2, "crops_per_image": {"half": 1}}
    return BankSettings.model_validate({**small, **changes})


def _write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def _busy_picture(spot: tuple[int, int]) -> np.ndarray:
    """Grey, but for a checked square around one spot."""
    picture = np.full((240, 300, 3), 120, np.uint8)
    y, x = spot
    picture[y - 30 : y + 30 : 2, x - 30 : x + 30] = 250
    return picture


def test_the_page_has_a_band_for_every_profile_that_gets_crops(pictures, tmp_path):
    heights = list[int]()
    for counts in ({"half": 1}, {"half": 1, "clean": 4}, {"half": 1, "clean": 4, "soft": 0}):
        preview.draw(pictures, _settings(crops_per_image=counts), 0, tmp_path / "grid.png")
        heights.append(images.read_rgb(tmp_path / "grid.png").shape[0])
    assert heights[0] < heights[1] == heights[2]


def test_a_colour_page_is_in_colour_and_a_luma_page_is_grey(pictures, tmp_path):
    for colour in (False, True):
        preview.draw(pictures, _settings(colour=colour, synthetic=0), 0, tmp_path / "grid.png")
        page = images.read_rgb(tmp_path / "grid.png").astype(int)
        assert (np.ptp(page, axis=2).max() > 40) == colour


def test_the_busiest_spot_is_shown(tmp_path):
    _write(tmp_path / "a.png", _busy_picture((60, 220)))
    spot = preview._busiest(images.read_bgr(tmp_path / "a.png"))
    assert abs(spot.y - 60) < 30
    assert abs(spot.x - 220) < 30
    place = preview._place("a", images.read_bgr(tmp_path / "a.png"), 96, spot)
    assert place.window.shape == (96, 96, 3)
    assert place.window.std() > 30


def test_a_face_is_looked_for_among_colours_of_skin():
    rng = np.random.default_rng(0)
    scene = rng.integers(90, 110, (240, 300, 3)).astype(np.uint8)
    skin = np.array([120, 150, 210])
    scene[100:150, 180:230] = skin + rng.integers(-12, 12, (50, 50, 1))
    spot = preview._face(scene)
    assert abs(spot.y - 125) < 30
    assert abs(spot.x - 205) < 30


def test_pairs_are_shown_as_they_are(tmp_path):
    for index in range(3):
        _write(tmp_path / "data" / "sharp" / f"{index}.png", _busy_picture((60, 100)))
        _write(
            tmp_path / "data" / "blur" / f"{index}.png", cv2.blur(_busy_picture((60, 100)), (5, 5))
        )
    preview.draw(tmp_path / "data", _settings(synthetic=0), 0, tmp_path / "grid.png")
    assert images.read_rgb(tmp_path / "grid.png").shape[1] > 3 * 300


def test_nothing_to_show_and_nowhere_to_write_are_one_line_each(tmp_path, pictures):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"nothing to draw: no picture below .* can be used"):
        preview.draw(tmp_path, _settings(), 0, tmp_path / "grid.png")
    with pytest.raises(DataError, match=r"cannot write '.*grid\.png': No such file"):
        preview.draw(pictures, _settings(), 0, tmp_path / "nowhere" / "grid.png")


def test_prepare_cuts_draws_and_tells_what_it_skipped_and_what_was_slow(
    smoke_recipe, pictures, tmp_path, capsys
):
    for path in pictures.rglob("*.png"):
        (tmp_path / "data" / path.name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "data" / "torn.png").write_bytes(b"half a picture")
    recipe: Recipe = smoke_recipe(tmp_path / "work", data=tmp_path / "data")
    prepare.prepare(recipe, tmp_path / "grid.png")
    said = capsys.readouterr()
    assert said.out == ""
    assert "torn.png': cannot decode" in said.err
    assert "68 crops" in said.err
    assert "the bottleneck was" in said.err
    assert (tmp_path / "grid.png").is_file()
    prepare.prepare(recipe)
    assert "is up to date" in capsys.readouterr().err
