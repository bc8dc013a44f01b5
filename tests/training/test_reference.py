"""The reference projects' recipes: their numbers, a smoke run of each, and that a kill changes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from vcsharp_training import cli, drawn, lessons, loop, reference, students
from vcsharp_training.errors import DataError, RecipeError
from vcsharp_training.losses import teacher_gate
from vcsharp_training.recipe import Recipe, read_toml
from vcsharp_training.reference_recipe import ReferenceRecipe

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
NAMES = ("r1-light-cnn", "r2-unet-se", "r3-residual-unet", "r4-cnn-v3", "r5-shallow-cnn")


def _recipe(name: str, **changes) -> ReferenceRecipe:
    return ReferenceRecipe(**{**read_toml(RECIPES / f"{name}.toml"), **changes})


def _smoke(name: str, work: Path, **changes):
    return reference.shrunk(_recipe(name, work=work, **changes))


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_runs_in_smoke_mode_and_says_that_it_is_of_no_use(name, tmp_path, capsys):
    arguments = ["distil", str(RECIPES / f"{name}.toml"), "--smoke", "--work", str(tmp_path)]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr()
    assert "SMOKE RUN" in shown.err
    assert "RANDOM weights" in shown.err
    assert "the bottleneck was" in shown.err
    assert shown.out == ""
    folder = tmp_path / f"{name}-smoke"
    small, _ = _smoke(name, tmp_path)
    settings = small.student.model_dump()
    student = students.build(settings.pop("kind"), **settings)
    student.load_state_dict(load_file(folder / "student.safetensors"))
    assert (folder / "train" / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("name", "parameters"),
    list(zip(NAMES, (20_259, 25_460_189, 2_925_315, 298_755, 114_307), strict=True)),
)
def test_recipes_build_students_of_the_stated_size(name, parameters):
    settings = _recipe(name).student.model_dump()
    with torch.device("meta"):
        assert students.parameters(students.build(settings.pop("kind"), **settings)) == parameters


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_is_one(path):
    values = read_toml(path)
    recipe = (ReferenceRecipe if "student" in values else Recipe)(**values)
    assert recipe.name == path.stem


def _weights(name: str) -> dict[str, float]:
    values = _recipe(name).loss.model_dump(exclude={"vgg", "temperature", "charbonnier_epsilon"})
    return {term: weight for term, weight in values.items() if weight}


def test_recipes_carry_the_references_own_numbers():
    assert _weights("r1-light-cnn") == {"teacher_l1": 1.0}
    two = {"l1": 1.0, "perceptual": 0.01, "feature": 1.0, "kl": 0.01, "ssim": 10.0}
    assert _weights("r2-unet-se") == two
    assert _recipe("r2-unet-se").loss.temperature == 4.0
    assert _weights("r3-residual-unet") == {"l1": 0.8, "teacher_l1": 0.2}
    assert _weights("r4-cnn-v3") == {"mse": 0.8, "ms_ssim": 0.2, "edge": 1.0}
    assert set(_weights("r5-shallow-cnn")) == {"l1", "perceptual", "feature"}
    crops = {name: _recipe(name).bank.crop_px for name in NAMES}
    assert (crops["r2-unet-se"], crops["r3-residual-unet"]) == (512, 256)
    four = _recipe("r4-cnn-v3").train
    assert (four.epochs, four.batch, four.learning_rate) == (30, 2, 1e-4)


def test_epochs_become_steps():
    two = _recipe("r2-unet-se").train.loop(2103)
    assert (two.accumulate, two.optimiser, two.ema) == (4, "adam", 0.999)
    assert two.steps == 50 * (2103 // 4)
    assert (two.schedule, two.restart_factor) == ("warm_restarts", 2)
    assert two.restart_steps == 10 * (2103 // 4)
    assert (two.learning_rate, two.final_learning_rate) == (2e-4, 1e-6)
    assert two.clip_norm == float("inf")
    assert _recipe("r2-unet-se").train.loop(2103, processes=2).steps == 50 * (2103 // 8)


@pytest.mark.parametrize("name", ["r2-unet-se", "r5-shallow-cnn"])
def test_a_killed_run_goes_on_to_the_same_weights(name, tmp_path, monkeypatch):
    batch_norm = {"student": {"kind": "shallow", "batch_norm": True}}
    changes = batch_norm if name == "r5-shallow-cnn" else {}
    small, bank = _smoke(name, tmp_path / "whole", **changes)
    phase = {"steps": 4, "validate_every": 2, "accumulate": 2, "batch": 1}
    small = small.model_copy(update={"train": small.train.model_copy(update=phase)})
    whole = reference.train(small, bank=bank)
    small = small.model_copy(update={"work": tmp_path / "killed"})
    advance = loop.Loop._advance

    def killed(self: loop.Loop, batches: Sequence[loop.Batch]) -> dict[str, float]:
        if self.step == 3:
            raise KeyboardInterrupt
        return advance(self, batches)

    monkeypatch.setattr(loop.Loop, "_advance", killed)
    with pytest.raises(KeyboardInterrupt):
        reference.train(small, bank=bank)
    monkeypatch.setattr(loop.Loop, "_advance", advance)
    resumed = reference.train(small, bank=bank).state_dict()
    for folder in ("whole", "killed"):
        last = tmp_path / folder / small.name / "train" / "last.pt"
        assert "projections.convs.0.weight" in loop.load(last, _run(small, bank))["helpers"]
    assert all(torch.equal(weight, resumed[key]) for key, weight in whole.state_dict().items())


def _run(small: ReferenceRecipe, bank) -> str:
    return reference.run_id(small, small.train.loop(len(bank.rows(held_out=False))))


def test_a_round_shows_every_crop_once_in_an_order_of_its_own(tmp_path):
    small, bank = _smoke("r3-residual-unet", tmp_path)
    task = reference.ReferenceTask(small, bank, reference.objective(small))
    rows = bank.rows(held_out=False)
    assert len(rows) == 12
    means = bank.sharp[rows].mean(axis=(1, 2, 3)) / 255
    shown = [task.batch(step, 0, 1)["sharp"].mean(dim=(1, 2, 3)).numpy() for step in range(12)]
    places = [abs(means[:, None] - batch).argmin(axis=0).tolist() for batch in shown]
    first, second = ([*chain(*half)] for half in (places[:6], places[6:]))
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    halves = [task.batch(0, part, 2)["degraded"] for part in range(2)]
    assert torch.equal(
        torch.cat(halves), torch.cat([task.batch(i, 0, 1)["degraded"] for i in (0, 1)])
    )


def _terms(recipe: ReferenceRecipe, bank) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    wanted: Any = reference.objective(recipe)
    batch = reference.ReferenceTask(recipe, bank, wanted).batch(0, 0, 1)
    found = {name: term.item() for name, term in wanted(**batch).items()}
    with torch.no_grad():
        output = wanted.student(batch["degraded"])
        taught = wanted._frozen[0].restore(batch["degraded"])
    return found, {**batch, "output": output, "taught": taught}


def test_the_loss_is_the_weighted_sum_of_its_terms(tmp_path):
    small, bank = _smoke("r3-residual-unet", tmp_path)
    found, seen = _terms(small, bank)
    assert found["l1"] == pytest.approx(functional.l1_loss(seen["output"], seen["sharp"]).item())
    lesson = functional.l1_loss(seen["output"], seen["taught"]).item()
    assert found["teacher_l1"] == pytest.approx(lesson)
    assert found["loss"] == pytest.approx(0.8 * found["l1"] + 0.2 * lesson)
    two, bank = _smoke("r2-unet-se", tmp_path)
    found, _ = _terms(two, bank)
    weights = {name: getattr(two.loss, name) for name in found if name != "loss"}
    assert weights == _weights("r2-unet-se")
    total = sum(weight * found[name] for name, weight in weights.items())
    assert found["loss"] == pytest.approx(total, rel=1e-5)


def test_a_gated_teacher_is_followed_only_where_it_came_nearer(tmp_path):
    gated = {"teacher": {"name": "restormer-motion", "gate": True}}
    small, bank = _smoke("r3-residual-unet", tmp_path, **gated)
    found, seen = _terms(small, bank)
    kept = teacher_gate(seen["taught"], seen["degraded"], seen["sharp"]).float()
    each = (seen["output"] - seen["taught"]).abs().mean(dim=(1, 2, 3))
    assert found["teacher_l1"] == pytest.approx((kept * each).mean().item())


def test_a_teachers_pictures_in_the_bank_are_used_instead_of_the_teacher(tmp_path):
    small, bank = _smoke("r3-residual-unet", tmp_path)
    taught = 255 - bank.sharp
    with_lessons = type(bank)(**{**bank.__dict__, "taught": taught})
    found, seen = _terms(small, with_lessons)
    assert torch.allclose(seen["taught"] - seen["taught"], torch.zeros(1))
    wanted = (seen["output"] - (1 - seen["sharp"])).abs().mean().item()
    assert found["teacher_l1"] == pytest.approx(wanted, rel=1e-5)


def test_a_temporal_term_looks_at_the_frame_before(tmp_path):
    still = {"loss": {"temporal": 1.0, "l1": 1.0}, "teacher": {"name": "truth"}}
    small, bank = _smoke("r3-residual-unet", tmp_path, **still)
    wanted = reference.objective(small)
    batch = reference.ReferenceTask(small, bank, wanted).batch(0, 0, 1)
    found = wanted(**batch)
    with torch.no_grad():
        change = wanted.student(batch["degraded"]) - wanted.student(batch["before_degraded"])
    real = batch["sharp"] - batch["before_sharp"]
    assert found["temporal"].item() == pytest.approx((change - real).abs().mean().item(), rel=1e-5)
    with pytest.raises(DataError, match=r"set bank\.temporal"):
        reference.train(
            small, bank=type(bank)(bank.degraded, bank.sharp, bank.profile, bank.held_out)
        )


def test_compare_can_shorten_a_run(tmp_path):
    small, bank = _smoke("r4-cnn-v3", tmp_path)
    student = reference.train(small, steps=1, bank=bank)
    assert student(torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    assert not student.training


def test_what_does_not_fit_is_said_before_training(tmp_path):
    small, bank = _smoke("r4-cnn-v3", tmp_path)
    luma = type(bank)(bank.degraded[..., 0], bank.sharp[..., 0], bank.profile, bank.held_out)
    with pytest.raises(DataError, match="needs a bank of RGB crops"):
        reference.train(small, bank=luma)
    large = small.model_copy(update={"train": small.train.model_copy(update={"patch_px": 64})})
    with pytest.raises(RecipeError, match="'64' is larger than the bank's crops"):
        reference.train(large, bank=bank)
    alone = {"teacher": {"name": "truth"}, "loss": {"feature": 1.0}}
    with pytest.raises(RecipeError, match=r"loss\.feature needs a teacher"):
        reference.train(_smoke("r5-shallow-cnn", tmp_path, **alone)[0], bank=bank)
    wrong = {"teacher": {"name": "swinir-x4", "levels": {"tail": "conv_after_body"}}}
    with pytest.raises(RecipeError, match="no level 'tail'; it has body"):
        reference.train(_smoke("r5-shallow-cnn", tmp_path, **wrong)[0], bank=bank)


def test_a_random_teacher_has_the_levels_that_are_asked_for():
    teacher = lessons.RandomTeacher({"a": "x", "b": "y"})
    rgb = torch.rand(1, 3, 16, 16)
    restored, maps = teacher.features(rgb)
    assert set(maps) == set(teacher.widths) == {"x", "y"}
    assert restored.shape == rgb.shape
    assert not restored.equal(rgb)


def test_drawn_pictures_repeat(tmp_path):
    first, second = (drawn.write(tmp_path / name, 4, seed=3) for name in ("one", "two"))
    files = sorted(path.relative_to(first) for path in first.rglob("*.png"))
    assert {path.parts[0] for path in files} == {"shapes", "writing"}
    assert all((first / path).read_bytes() == (second / path).read_bytes() for path in files)
    assert len({(first / path).read_bytes() for path in files}) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--loss.ssims", "1"], ["loss", "ssims"]),
        (["--loss.ssim", "-1"], ["loss.ssim", "greater than or equal to 0"]),
        (["--student.kind", "huge"], ["student", "huge"]),
        (["--teacher.name", "nobody", "--no-smoke"], ["nobody"]),
        (["--smoke", "--train.patch-px", "4"], ["train.patch_px"]),
    ],
)
def test_bad_values_give_one_line(tmp_path, capsys, arguments, words):
    recipe, work = RECIPES / "r3-residual-unet.toml", ["--work", str(tmp_path / "w")]
    data = ["--data", str(drawn.write(tmp_path / "p", 2, 0)), "--bank.crop-px", "64"]
    data += ["--bank.window-px", "120"] + (
        [] if "--train.patch-px" in arguments else ["--train.patch-px", "64"]
    )
    assert cli.main(["distil", str(recipe), *data, *work, *arguments]) != 0
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("vcsharp-train: ")
    assert all(word in error for word in words), error


def test_missing_weights_of_a_teacher_or_of_vgg_are_one_line(tmp_path, capsys):
    common = ["--work", str(tmp_path / "w"), "--bank.crop-px", "64", "--bank.window-px", "120"]
    common += ["--data", str(drawn.write(tmp_path / "p", 2, 0)), "--train.patch-px", "64"]
    common += ["--teacher.folder", str(tmp_path), "--workers", "1"]
    for name, words in (
        ("r3-residual-unet", ["motion_deblurring.pth", "non-commercial"]),
        ("r5-shallow-cnn", ["no VGG-19 weights", "loss.vgg"]),
    ):
        assert cli.main(["distil", str(RECIPES / f"{name}.toml"), *common]) != 0
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert all(word in error for word in words), error


def test_verbs_that_are_not_for_a_reference_are_named(capsys):
    assert cli.main(["export", str(RECIPES / "r4-cnn-v3.toml")]) == 2
    assert "can be given to prepare and distil" in capsys.readouterr().err
