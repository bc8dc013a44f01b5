"""A teacher's lessons on a bank: made once, whole or not at all, gone on with after a kill; and our
own teacher, trained on that bank.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from vcsharp_training import bank as banks
from vcsharp_training import checkpoint, cli, teachers
from vcsharp_training.bank import Bank
from vcsharp_training.bank_settings import BankSettings
from vcsharp_training.errors import DataError, RecipeError
from vcsharp_training.recipe import read_toml
from vcsharp_training.teachers import cache, gate, measure, own, training
from vcsharp_training.teachers.settings import TeacherRecipe
from vcsharp_training.teachers.waifu2x import Upconv7

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "training" / "recipes" / "teachers" / "smoke.toml"
IDENTITY = cache.Identity("brighter", "0" * 64, "bank")


@pytest.fixture(scope="module")
def bank_folder(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank without a codec in it: quick."""
    folder = tmp_path_factory.mktemp("bank")
    settings = BankSettings(
        crop_px=48,
        window_px=96,
        crops_per_image={"half": 12, "soft": 4, "clean": 2},
        synthetic=4,
        magnify_share=0,
    )
    banks.build(folder, pictures, settings, seed=1)
    return folder


@pytest.fixture
def bank(bank_folder: Path, tmp_path: Path) -> Path:
    """A copy to write into."""
    folder = tmp_path / "bank"
    folder.mkdir()
    for path in bank_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def _brighter(pictures: measure.Pictures) -> measure.Pictures:
    return np.minimum(pictures, 252) + np.uint8(3)


def _quiet(done: int, total: int) -> None:
    """Says nothing."""


def _lessons(folder: Path) -> np.ndarray:
    lessons: np.ndarray = np.load(folder / cache.FILE)
    return lessons


def test_lessons_are_what_the_teacher_makes_of_every_crop_that_is_not_sharp(bank: Path) -> None:
    cache.build(bank, _brighter, IDENTITY, _quiet)
    crops, lessons = banks.load(bank), _lessons(bank)
    for row in range(len(crops.sharp)):
        degraded, sharp = crops.degraded[row], crops.sharp[row]
        wanted = sharp if np.array_equal(degraded, sharp) else _brighter(degraded)
        assert np.array_equal(lessons[row], wanted)
    assert (crops.degraded == crops.sharp).all(axis=(1, 2)).sum() >= 12


def test_the_bank_has_the_lessons_from_then_on(bank: Path) -> None:
    assert banks.load(bank).taught is None
    cache.build(bank, _brighter, IDENTITY, _quiet)
    taught = banks.load(bank).taught
    assert taught is not None
    assert np.array_equal(taught, _lessons(bank))


def test_the_truth_as_teacher_is_the_sharp_picture(bank: Path) -> None:
    cache.build(bank, None, cache.Identity("truth", "", "bank"), _quiet)
    assert np.array_equal(_lessons(bank), banks.load(bank).sharp)
    profiles = json.loads((bank / cache.REPORT).read_text())["profiles"]
    assert profiles["half"]["kept_share"] == 1
    assert profiles["half"]["teacher_error_levels"] == 0


def test_the_report_holds_the_gates_share_and_both_errors(bank: Path) -> None:
    cache.build(bank, _brighter, IDENTITY, _quiet)
    crops, lessons = banks.load(bank), _lessons(bank)
    report = json.loads((bank / cache.REPORT).read_text())
    for profile, figures in report["profiles"].items():
        rows = np.flatnonzero(crops.profile == profile)
        taught, degraded, sharp = (
            part[rows].astype(float) for part in (lessons, crops.degraded, crops.sharp)
        )
        kept = [
            np.mean((taught[i] - sharp[i]) ** 2) < np.mean((degraded[i] - sharp[i]) ** 2)
            for i in range(len(rows))
        ]
        assert figures["crops"] == len(rows)
        assert figures["kept_share"] == pytest.approx(np.mean(kept), abs=1e-4)
        errors = figures["input_error_levels"], figures["teacher_error_levels"]
        wanted = np.abs(degraded - sharp).mean(), np.abs(taught - sharp).mean()
        assert errors == pytest.approx(wanted, abs=1e-3)
    assert report["made_of"] == {"teacher": "brighter", "weights": "0" * 64, "bank": "bank"}


class _Killed(Exception):
    """Stands for a kill."""


def _dies_after(calls: int) -> Callable[[measure.Pictures], measure.Pictures]:
    left = calls

    def restore(pictures: measure.Pictures) -> measure.Pictures:
        nonlocal left
        left -= 1
        if left < 0:
            raise _Killed
        return _brighter(pictures)

    return restore


@pytest.fixture
def short_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "BATCH", 16)


@pytest.mark.usefixtures("short_batches")
def test_a_killed_cache_goes_on_and_ends_with_the_same_bytes(bank: Path) -> None:
    with pytest.raises(_Killed):
        cache.build(bank, _dies_after(3), IDENTITY, _quiet)
    assert not (bank / cache.FILE).exists()
    assert banks.load(bank).taught is None
    asked = list[int]()
    cache.build(bank, _brighter, IDENTITY, lambda done, total: asked.append(done))
    assert asked[0] == 4 * 16
    interrupted = _lessons(bank)
    cache.build(bank, _brighter, cache.Identity("again", "", "bank"), _quiet)
    assert np.array_equal(interrupted, _lessons(bank))
    assert {path.name for path in bank.glob("taught*")} == {cache.FILE, cache.REPORT}


@pytest.mark.usefixtures("short_batches")
def test_half_the_lessons_of_another_teacher_are_not_gone_on_with(bank: Path) -> None:
    with pytest.raises(_Killed):
        cache.build(bank, _dies_after(3), IDENTITY, _quiet)
    cache.build(bank, None, cache.Identity("truth", "", "bank"), _quiet)
    assert np.array_equal(_lessons(bank), banks.load(bank).sharp)


@pytest.mark.usefixtures("short_batches")
def test_a_damaged_half_is_made_anew(bank: Path) -> None:
    with pytest.raises(_Killed):
        cache.build(bank, _dies_after(3), IDENTITY, _quiet)
    (bank / cache.PART).write_bytes(b"damaged")
    cache.build(bank, _brighter, IDENTITY, _quiet)
    crops = banks.load(bank)
    assert np.array_equal(_lessons(bank)[0], _brighter(crops.degraded[0]))


def test_lessons_are_current_for_the_same_teacher_weights_and_bank_only(bank: Path) -> None:
    assert not cache.is_current(bank, IDENTITY)
    cache.build(bank, _brighter, IDENTITY, _quiet)
    assert cache.is_current(bank, IDENTITY)
    assert not cache.is_current(bank, cache.Identity("brighter", "1" * 64, "bank"))
    (bank / cache.REPORT).write_text("{")
    assert not cache.is_current(bank, IDENTITY)


def test_a_full_disk_is_one_line_and_keeps_the_lessons_before(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.build(bank, _brighter, IDENTITY, _quiet)
    before = _lessons(bank)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"No space left on device; make room") as refused:
        cache.build(bank, None, cache.Identity("truth", "", "bank"), _quiet)
    assert "\n" not in str(refused.value)
    assert np.array_equal(_lessons(bank), before)


def test_a_folder_without_a_bank_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="prepare"):
        cache.bank_fingerprint(tmp_path)


def _recipe(bank: Path, work: Path, **changes: object) -> TeacherRecipe:
    return TeacherRecipe(**{**read_toml(SMOKE), "bank": bank, "work": work, **changes})


def _train(recipe: TeacherRecipe) -> dict[str, torch.Tensor]:
    training.train(recipe, banks.load(recipe.bank), "bank", lambda report: None)
    weights: dict[str, torch.Tensor] = checkpoint.load(recipe.folder / own.FILE)["params"]
    return weights


def test_a_teachers_run_that_was_killed_ends_with_the_same_weights(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _train(_recipe(bank, tmp_path / "whole"))
    objective, calls = training.psnr_loss, 0

    def dies(output: torch.Tensor, sharp: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise _Killed
        return objective(output, sharp)

    monkeypatch.setattr(training, "psnr_loss", dies)
    recipe = _recipe(bank, tmp_path / "killed")
    with pytest.raises(_Killed):
        _train(recipe)
    assert not (recipe.folder / own.FILE).exists()
    monkeypatch.setattr(training, "psnr_loss", objective)
    resumed = _train(recipe)
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())


def test_a_teacher_learns_what_its_bank_shows(bank: Path, tmp_path: Path) -> None:
    smoke = read_toml(SMOKE)
    settings = {**smoke["train"], "steps": 40, "validate_every": 40, "learning_rate": 4e-3}
    recipe = _recipe(bank, tmp_path, train=settings)
    figures = training.train(recipe, banks.load(bank), "bank", lambda report: None)
    assert figures["score_db"] > 0.002
    assert figures["score_db"] == pytest.approx((figures["half"] + figures["soft"]) / 2)
    teacher = teachers.load("own", tmp_path)
    again = measure.gains(measure.by_teacher(teacher), banks.load(bank), 4)
    assert again["half"].gain_db == pytest.approx(figures["half"], abs=1e-6)


def test_a_teacher_is_not_trained_on_what_is_sharp_already(bank: Path) -> None:
    crops = banks.load(bank)
    rows = training.lessons_of(crops)
    assert set(crops.profile[rows]) == {"half", "soft"}
    assert not crops.held_out[rows].any()
    assert len(rows) == 5 * 16


def test_a_bank_of_sharp_crops_only_is_refused() -> None:
    sharp = np.zeros((2, 40, 40), np.uint8)
    crops = Bank(sharp, sharp, np.array(["clean", "synthetic"]), np.zeros(2, bool))
    with pytest.raises(DataError, match="no degraded crops"):
        training.lessons_of(crops)


def test_patches_of_both_pictures_are_of_one_place() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 200, (4, 40, 40, 3)).astype(np.uint8)
    marks = np.array(["half"] * 4), np.zeros(4, bool)
    recipe = TeacherRecipe(**read_toml(SMOKE))
    crops = Bank(sharp + 7, sharp, *marks)
    found = training.patches(crops, np.arange(4), recipe.train, (1, 2), 2)
    assert [tuple(part.shape) for part, _ in found] == [(4, 3, 32, 32)] * 2
    for degraded, truth in found:
        assert torch.allclose(degraded - truth, torch.tensor(7 / 255))
    again = training.patches(crops, np.arange(4), recipe.train, (1, 2), 2)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(found, again, strict=True))


def test_the_loss_is_minus_the_mean_psnr_but_for_its_scale() -> None:
    output, sharp = torch.rand(5, 1, 8, 8), torch.rand(5, 1, 8, 8)
    psnr = [
        10 * np.log10(1 / np.mean((a - b) ** 2))
        for a, b in zip(output.numpy(), sharp.numpy(), strict=True)
    ]
    wanted = -np.mean(psnr) / 20 * np.log(10)
    assert training.psnr_loss(output, sharp).item() == pytest.approx(wanted, rel=1e-5)
    assert torch.isfinite(training.psnr_loss(sharp, sharp))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"network": {"colour": True, "encoders": [1], "decoders": [1]}}, "holds luma"),
        ({"network": {"encoders": [1, 1], "decoders": [1]}}, "the same number"),
        ({"train": {"patch_px": 64}}, "crops have 48 px"),
        ({"train": {"patch_px": 34}}, "a multiple of 16"),
    ],
)
def test_a_recipe_that_does_not_fit_its_bank_is_refused(
    bank: Path, tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    recipe = TeacherRecipe(bank=bank, work=tmp_path, **changes)
    with pytest.raises(RecipeError, match=why):
        training.TeacherTask(recipe, banks.load(bank), "cpu")


def test_a_teacher_of_luma_learns_from_a_bank_of_colour() -> None:
    sharp = np.random.default_rng(0).integers(0, 255, (4, 40, 40, 3)).astype(np.uint8)
    crops = Bank(sharp, sharp, np.array(["half"] * 4), np.zeros(4, bool))
    task = training.TeacherTask(TeacherRecipe(**read_toml(SMOKE)), crops, "cpu")
    assert task.batch(0, 0, 1)["degraded"].shape == (4, 1, 32, 32)


def _command(*words: object) -> int:
    return cli.main(["teacher", *map(str, words)])


def _waifu(folder: Path) -> Path:
    torch.manual_seed(0)
    folder.mkdir()
    torch.save({"params": Upconv7().state_dict()}, folder / "noise3_scale2.0x.pth")
    return folder


def test_the_list_says_which_files_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = _waifu(tmp_path / "weights")
    assert _command("list", "--weights", weights) == 0
    rows = {line.split()[0]: line.rstrip() for line in capsys.readouterr().out.splitlines()}
    assert rows["waifu2x-photo"].endswith(" yes")
    assert rows["restormer-motion"].endswith(" no")
    assert "26,126,644" in rows["restormer-motion"]
    assert "non-commercial" in rows["restormer-motion"]


def test_check_prints_parameters_and_psnr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = _waifu(tmp_path / "weights")
    noise = np.random.default_rng(0).integers(0, 256, (200, 200)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    given = ("--weights", weights, "--dev", tmp_path, "--pictures", 1)
    assert _command("check", "waifu2x-photo", *given) == 0
    out = capsys.readouterr().out
    assert "552,483" in out
    assert "dB, restored" in out
    assert "| call | 1 |" in out


def test_check_on_pictures_that_are_too_small_is_one_line(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = _waifu(tmp_path / "weights")
    given = ("--weights", weights, "--dev", pictures, "--pictures", 1)
    assert _command("check", "waifu2x-photo", *given) == 1
    assert "has 128 px a side" in capsys.readouterr().err


def test_check_of_a_missing_teacher_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _command("check", "restormer-motion", "--weights", tmp_path) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "swz30/Restormer" in said.err


def test_our_own_teacher_is_trained_and_refused_until_it_is_ahead(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "teachers"
    assert _command("train", SMOKE, "--bank", bank, "--work", work, "--train.steps", 4) == 0
    assert "score_db" in capsys.readouterr().out
    given = ("cache", "own", "--bank", bank, "--weights", work)
    assert _command(*given) == 2
    assert "--student" in capsys.readouterr().err
    assert _command(*given, "--student", ROOT / "models" / "nano", "--crops", 4) == 1
    assert "ahead by 0.3 dB" in capsys.readouterr().err
    assert _command(*given, "--student", tmp_path) == 2
    assert "no student" in capsys.readouterr().err
    assert not (bank / cache.FILE).exists()
    monkeypatch.setattr(gate, "LEAST_LEAD_DB", -100.0)
    assert _command(*given, "--student", ROOT / "models" / "nano", "--crops", 4) == 0
    assert "kept_share" in capsys.readouterr().out
    assert _lessons(bank).shape == banks.load(bank).sharp.shape
    assert _command(*given) == 0
    assert "up to date" in capsys.readouterr().err


def test_a_larger_student_can_teach(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nano = ROOT / "models" / "nano"
    assert _command("check", nano) == 0
    assert "18,512" in capsys.readouterr().out
    assert _command("cache", nano, "--bank", bank) == 0
    crops = banks.load(bank)
    row = int(np.flatnonzero(crops.profile == "half")[0])
    wanted = measure.by_model(nano)(crops.degraded[row : row + 1])
    assert np.array_equal(_lessons(bank)[row], wanted[0])
