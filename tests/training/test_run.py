"""Whole runs: deterministic, resumable, safe against NaN, and exported by one command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from vcsharp_training import (
    bank,
    checkpoint,
    cli,
    distil,
    evaluate,
    export,
    loop,
    prepare,
    schedule,
)
from vcsharp_training.errors import CheckpointError, DataError, DivergedError
from vcsharp_training.filters import OnnxFilter
from vcsharp_training.images import read_rgb
from vcsharp_training.mos.command import Mos
from vcsharp_training.recipe import PhaseSettings, Recipe
from vcsharp_training.teachers.command import Teacher

import vcsharp.cli
from vcsharp import catalogue
from vcsharp.nets.plain import PlainStudent


def _same(first, second) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_two_runs_give_the_same_weights_bit_for_bit(trained, smoke_recipe, train, tmp_path):
    assert _same(train(smoke_recipe(tmp_path)), distil.load_quantised(trained))


@pytest.mark.parametrize(("phase", "killed_at"), [("float", 14), ("qat", 7)])
def test_a_killed_run_goes_on_to_the_same_weights(
    trained, smoke_recipe, train, tmp_path, monkeypatch, phase, killed_at
):
    advance = loop.Loop._advance

    def killed(self: loop.Loop, batches: Sequence[loop.Batch]) -> dict[str, float]:
        if self.name == phase and self.step == killed_at:
            raise KeyboardInterrupt
        return advance(self, batches)

    recipe = smoke_recipe(tmp_path)
    monkeypatch.setattr(loop.Loop, "_advance", killed)
    with pytest.raises(KeyboardInterrupt):
        train(recipe)
    monkeypatch.setattr(loop.Loop, "_advance", advance)
    assert 0 < checkpoint.load(recipe.phase_folder(phase) / "last.pt")["step"] < killed_at
    assert _same(train(recipe), distil.load_quantised(trained))


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_good_state(
    smoke_recipe, train, tmp_path, monkeypatch
):
    recipe, batch = smoke_recipe(tmp_path), distil.Phase.batch

    def bad(self: distil.Phase, step: int, part: int, parts: int) -> loop.Batch:
        found = batch(self, step, part, parts)
        return {**found, "sharp": found["sharp"] * torch.nan} if step == 13 else found

    monkeypatch.setattr(distil.Phase, "batch", bad)
    with pytest.raises(DivergedError, match=r"diverged at step 13.*last good state"):
        train(recipe)
    state = checkpoint.load(recipe.phase_folder("float") / "last.pt")
    assert state["step"] == 10
    assert all(torch.isfinite(weight).all() for weight in state["model"].values())


def test_checkpoints_of_another_recipe_are_refused(trained):
    other = trained.model_copy(update={"seed": trained.seed + 1})
    with pytest.raises(CheckpointError, match="other settings"):
        distil.load_quantised(other)


def test_runs_that_older_versions_began_can_be_gone_on_with(smoke_recipe, tmp_path):
    """Keys that came later do not rename a run while they are at their defaults.

    (The int8 phase was renamed twice, each time that the way of rounding changed.)
    """
    recipe = smoke_recipe(tmp_path)
    assert distil.run_id(recipe, "float").startswith("67024991d78d")
    assert distil.run_id(recipe, "qat").startswith("f1eb4a50deba")
    other = {**recipe.model_dump(), "train": recipe.train.model_dump() | {"accumulate": 2}}
    assert distil.run_id(Recipe(**other), "float") != distil.run_id(recipe, "float")


def _teaching(recipe: Recipe, work: Path) -> Recipe:
    loss = recipe.train.loss.model_copy(update={"teacher": 0.5})
    phase = recipe.train.model_copy(update={"loss": loss, "steps": 4})
    return recipe.model_copy(update={"train": phase, "work": work})


def test_a_teachers_pictures_in_the_bank_change_what_is_learnt_where_it_is_right(trained, tmp_path):
    crops, weights = bank.load(trained.bank_folder), []
    lessons = {"right": crops.sharp, "again": crops.sharp, "wrong": 255 - crops.sharp}
    for name, taught in lessons.items():
        recipe = _teaching(trained, tmp_path / name)
        learnt = distil.train_float(recipe, replace(crops, taught=taught), loop.no_listener)
        weights.append(learnt)
    right, again, wrong = weights
    assert _same(right, again)
    assert not _same(right, wrong)
    with pytest.raises(DataError, match=r"loss\.teacher.*holds no teacher's pictures"):
        distil.train_float(_teaching(trained, tmp_path / "none"), crops, loop.no_listener)


def test_missing_and_damaged_checkpoints_are_named(smoke_recipe, tmp_path):
    recipe = smoke_recipe(tmp_path)
    with pytest.raises(CheckpointError, match=r"no checkpoint '.*best\.pt'; run"):
        distil.load_quantised(recipe)
    path = recipe.phase_folder("qat") / "best.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="damaged"):
        distil.load_quantised(recipe)


def test_the_learning_rate_warms_up_and_falls_to_its_end():
    phase = PhaseSettings(steps=100, warmup_steps=10, learning_rate=1e-3, final_learning_rate=1e-6)
    rates = [schedule.learning_rate(phase, step) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert rates[100] == pytest.approx(1e-6)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_distil_alone_makes_a_model_that_sharpens_a_picture_from_nothing(
    smoke_path, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["distil", str(smoke_path)]) == 0
    assert capsys.readouterr().out == ""
    (picture,) = (tmp_path / "runs" / "smoke" / "pictures" / "dev" / "shapes").glob("0.png")
    command = ["image", "--model", "runs/models/smoke", str(picture), "--output", "sharp"]
    assert vcsharp.cli.main(command) == 0
    assert read_rgb(tmp_path / "sharp" / "0.png").shape == read_rgb(picture).shape
    for phase in ("float", "qat"):
        assert (tmp_path / "runs" / "smoke" / phase / "curves.png").stat().st_size > 1000
    _check_model(tmp_path / "runs" / "models" / "smoke", (tmp_path, smoke_path))


def _check_model(folder: Path, places: tuple[Path, ...]) -> None:
    """The catalogue takes it, both files run, and the card names no place of this machine."""
    model = catalogue.load(folder)
    assert set(model.card.metrics) == {"half", "soft", "mjpeg", "call"}
    assert model.card.metrics["call"].images == 2
    luma = np.random.default_rng(0).integers(0, 256, (32, 48)).astype(np.uint8)
    for kind in ("int8", "fp32"):
        session = onnxruntime.InferenceSession(model.path(kind), providers=["CPUExecutionProvider"])
        assert [node.name for node in session.get_inputs()] == ["y", "strength"]
        assert OnnxFilter(model.path(kind))(luma).shape == luma.shape
        assert np.array_equal(OnnxFilter(model.path(kind), 0.0)(luma), luma)
    architecture = model.card.architecture
    plain = PlainStudent(architecture.channels, architecture.stride)
    plain.load_state_dict(load_file(model.path("torch")))
    page = (model.folder / "README.md").read_text("utf-8")
    assert model.card.recipe == "training/recipes/smoke.toml"
    assert not any(str(place) in page for place in places)


@pytest.mark.parametrize("verbs", [cli.App, cli.ReferenceApp, Mos, Teacher])
def test_help_says_of_every_verb_what_it_does(verbs):
    described = {name: field.description for name, field in verbs.model_fields.items()}
    assert [name for name, text in described.items() if not text] == []


def test_evaluate_prints_tables_and_writes_json(trained, pictures, tmp_path, capsys):
    export.write_bare(
        tmp_path / "smoke", trained, "", export.Trained(distil.load_quantised(trained))
    )
    file = tmp_path / "figures.json"
    arguments = ["--model", str(tmp_path / "smoke"), "--dev", str(pictures)]
    assert cli.main(["evaluate", *arguments, "--json-file", str(file)]) == 0
    assert "| call |" in capsys.readouterr().out
    figures = json.loads(file.read_text("utf-8"))
    assert set(figures) == {"half", "soft", "mjpeg", "call", "clean"}
    assert set(figures["call"]) == {"people", "text", evaluate.ALL}
    assert figures["clean"]["all"]["input"]["psnr_db"] == 60


def test_the_bank_is_cut_once(trained, capsys):
    before = (trained.bank_folder / "index.json").stat().st_mtime_ns
    prepare.prepare(trained)
    assert (trained.bank_folder / "index.json").stat().st_mtime_ns == before
    assert "up to date" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["distil", "nowhere.toml"], ["cannot read recipe 'nowhere.toml'"]),
        (["distil", "{smoke}", "--train.steps", "many"], ["train.steps", "'many'"]),
        (["distil", "{smoke}", "--train.batch", "0"], ["train.batch", "greater than 0"]),
        (["prepare", "{smoke}", "--data", "{tmp}", "--work", "{tmp}/w"], ["no pictures in"]),
        (["distil", "{smoke}", "--data", "{tmp}/w", "--work", "{tmp}/w"], ["no pictures in"]),
        (["distil", "{smoke}", "--dev", "{tmp}/none", "--work", "{tmp}/w"], ["--dev", "--export"]),
        (["distil", "{smoke}", "--train.step", "3"], ["unrecognized arguments: --train.step"]),
        (["distil", "{smoke}", "--network.channels", "4,4"], ["network", "stride squared (16)"]),
        (["export", "{smoke}", "--work", "{tmp}/w"], ["no checkpoint", "distil"]),
        (
            ["distil", "{smoke}", "--qat.loss.lpips", "1", "--qat.loss.lpips-weights", "{tmp}"],
            ["alex_features.pth", "(--qat.loss.lpips-weights FOLDER)"],
        ),
        (["distil", "{tmp}/typo.toml"], ["train.stepz", "not permitted"]),
        (["distil", "{tmp}/broken.toml"], ["is not TOML"]),
        (["evaluate", "--model", "{tmp}", "--dev", "{tmp}"], ["no pictures in"]),
    ],
)
def test_bad_input_gives_one_line(smoke_path, tmp_path, capsys, arguments, words):
    (tmp_path / "typo.toml").write_text("[train]\nstepz = 3\n", "utf-8")
    (tmp_path / "broken.toml").write_text("train = [\n", "utf-8")
    filled = [text.format(smoke=smoke_path, tmp=tmp_path) for text in arguments]
    assert cli.main(filled) != 0
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("vcsharp-train: ")
    assert all(word in error for word in words), error


def test_a_bank_of_one_picture_is_refused(pictures, smoke_recipe, tmp_path):
    only = tmp_path / "one"
    only.mkdir()
    (only / "0.png").write_bytes((pictures / "people" / "0.png").read_bytes())
    recipe = smoke_recipe(tmp_path, data=only)
    with pytest.raises(DataError, match="at least two pictures"):
        bank.build(recipe.bank_folder, recipe.data, recipe.bank, seed=recipe.seed)
