"""The comparison in smoke mode, and its accounting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from vcsharp_training import cli, comparison_page, contest, drawn, entrants, students
from vcsharp_training.compare import Compare
from vcsharp_training.reference_recipe import Plain

from vcsharp.nets.plain import PlainStudent

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
NAMES = ["r1-light-cnn", "r2-unet-se", "r3-residual-unet", "r4-cnn-v3", "r5-shallow-cnn"]


def _settings(work: Path, **changes: Any) -> Compare:
    places: dict[str, Any] = {
        "data": Path("generated"),
        "dev": Path("generated"),
        "recipes": RECIPES,
    }
    return Compare(**{**places, "work": work, "docs": work / "docs", "smoke": True, **changes})


def test_the_five_references_and_ours_train_on_one_bank_and_stand_in_one_table(tmp_path, capsys):
    arguments = ["--data", "generated", "--dev", "generated", "--recipes", str(RECIPES)]
    arguments += ["--work", str(tmp_path / "w"), "--docs", str(tmp_path / "docs"), "--smoke"]
    arguments += ["--steps", "1", "--crop-px", "48", "--crops-per-profile", "1"]
    arguments += ["--dev-px", "64", "--images-per-category", "1"]
    assert cli.main(["compare", *arguments]) == 0
    printed = capsys.readouterr()
    assert "SMOKE RUN" in printed.err
    page = (tmp_path / "docs" / "comparison.md").read_text("utf-8")
    assert "{" not in page
    assert printed.out.strip() in page
    for name in [*NAMES, "nano", "small", "base", "nano420", "unsharp"]:
        assert f"| {name} |" in printed.out
    assert (tmp_path / "docs" / "images" / "comparison.png").stat().st_size > 1000
    assert "random weights" in page
    assert str(tmp_path) not in page
    nano = tmp_path / "w" / "nano" / "result.json"
    found = json.loads(nano.read_text("utf-8"))
    assert (found["steps"], found["crops_seen"]) == (1, 2)
    assert set(found["by_profile"]) == {"half", "soft", "mjpeg", "call", "clean"}
    nano.write_text(nano.read_text("utf-8").replace('"steps": 1', '"steps": 7'), "utf-8")
    assert contest._read(nano).steps == 7  # what is finished is not trained again


def test_a_missing_teacher_is_replaced_by_the_truth_and_the_page_can_say_so(tmp_path):
    found = {
        entrant.recipe.name: entrant
        for entrant in entrants.every(_settings(tmp_path, smoke=False, weights=tmp_path))
    }
    assert list(found)[:5] == NAMES
    unet = found["r2-unet-se"]
    assert unet.taught_by == "the ground truth in the place of restormer-motion, without VGG"
    assert unet.recipe.teacher.name == "truth"
    assert (unet.recipe.loss.feature, unet.recipe.loss.perceptual) == (0, 0)
    assert unet.recipe.loss.ssim == 10
    assert found["r4-cnn-v3"].taught_by == "the ground truth"
    banks = [entrant.recipe.bank for entrant in found.values()]
    assert all(bank == banks[0] for bank in banks)


@pytest.mark.parametrize("name", ["nano", "base"])
def test_cost_of_ours_is_that_of_what_ships(tmp_path, name):
    (entrant,) = [e for e in entrants.every(_settings(tmp_path)) if e.recipe.name == name]
    student = entrants.untrained(entrant)
    shape = entrant.recipe.student
    assert isinstance(shape, Plain)
    plain = PlainStudent(shape.channels, shape.stride)
    weights = contest.plain_weights(student, entrant)
    assert sum(map(torch.numel, weights)) == sum(map(torch.numel, plain.parameters()))
    kernels = sum(conv.weight.numel() for conv in plain.modules() if isinstance(conv, nn.Conv2d))
    assert contest.macs(student, entrant) == kernels // shape.stride**2


def test_cost_of_a_reference_is_counted_from_its_layers(tmp_path):
    entrant = entrants.every(_settings(tmp_path))[0]
    student = students.build("light", width=8, layers=3)
    assert contest.macs(student, entrant) == 9 * (3 * 8 + 8 * 8 + 8 * 3)


def test_seconds_become_steps_once(tmp_path, monkeypatch):
    wanted = _settings(tmp_path, seconds=10)
    (entrant,) = [e for e in entrants.every(wanted) if e.recipe.name == "nano"]
    crops = drawn.bank(5, 32, 0)
    monkeypatch.setattr(contest, "_step_s", lambda *_: 0.3)
    assert contest._steps(entrant, crops, wanted) == 33
    monkeypatch.setattr(contest, "_step_s", lambda *_: 99.0)
    assert contest._steps(entrant, crops, wanted) == 33


def test_the_mean_gain_leaves_clean_pictures_out():
    profiles = [*comparison_page.DEGRADED, "clean"]
    base = {name: contest.Figures(30, 0.9, 30, None) for name in profiles}
    better = {name: contest.Figures(31, 0.9, 30, None) for name in profiles}
    better["clean"] = contest.Figures(5, 0.9, 30, None)
    assert comparison_page.mean_gain_db(better, base) == 1


def test_a_folder_without_recipes_is_named(tmp_path, capsys):
    arguments = ["--data", "generated", "--dev", "generated", "--recipes", str(tmp_path)]
    assert cli.main(["compare", *arguments, "--work", str(tmp_path / "w")]) == 2
    assert f"no recipes 'r1-...toml' in '{tmp_path}'" in capsys.readouterr().err


def test_the_page_tells_who_is_worse_than_nothing_and_who_is_nothing():
    def profiles(psnr_db: float) -> dict[str, contest.Figures]:
        figures = contest.Figures(psnr_db, 0.9, psnr_db, None)
        return dict.fromkeys(comparison_page.DEGRADED, figures)

    def result(name: str, psnr_db: float) -> contest.Result:
        return contest.Result(name, "ours", "truth", 1, 1, 1.0, 1, 1, 1.0, profiles(psnr_db))

    base = profiles(30.0)
    found = [result("bad", 29.0), result("idle", 30.0), result("good", 31.0)]
    bad, idle = comparison_page._worse(base, found).splitlines()
    assert bad.endswith(": bad.")
    assert idle.endswith(": idle.")
    assert "All are better" in comparison_page._worse(base, found[2:])
