"""Experts, each for one kind of picture, and the gate that chooses between them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from vcsharp_training import bank as banks
from vcsharp_training import cli, distil, export, gating, loop, verbs
from vcsharp_training.bank import Bank
from vcsharp_training.errors import CheckpointError, DataError, RecipeError
from vcsharp_training.recipe import Recipe

from vcsharp import catalogue
from vcsharp.engine.gate import GENERAL, Gate, energies, summary

KIND = "half"


@pytest.fixture(scope="module")
def crops(trained: Recipe) -> Bank:
    """The smoke run's."""
    return banks.load(trained.bank_folder)


@pytest.fixture(scope="module")
def made(trained: Recipe, crops: Bank) -> export.Trained:
    """The smoke student, its one expert and a gate."""
    plain = distil.train_expert(trained, crops, KIND, loop.no_listener)
    expert = distil.train_quantised(trained, crops, plain, loop.no_listener, KIND)
    student = distil.load_quantised(trained)
    gate = gating.train(trained, crops, {GENERAL: student, KIND: expert})
    return export.Trained(student, {KIND: expert}, gate.table)


def _weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def test_an_expert_is_another_network_and_repeats_bit_for_bit(trained, crops, made, tmp_path):
    expert = made.experts[KIND]
    assert not torch.equal(_weights(made.student), _weights(expert))
    again = trained.model_copy(update={"work": tmp_path})
    distil.train_float(again, crops, loop.no_listener)
    plain = distil.train_expert(again, crops, KIND, loop.no_listener)
    repeated = distil.train_quantised(again, crops, plain, loop.no_listener, KIND)
    assert torch.equal(_weights(repeated), _weights(expert))


def test_an_expert_sees_its_own_kind_above_all(trained, crops):
    settings = distil.settings_of(f"expert-{KIND}", trained, crops)
    assert settings.shares[KIND] == 1
    assert settings.steps == trained.experts.steps
    assert {settings.shares[name] for name in settings.shares if name != KIND} == {0.02}
    assert set(settings.shares) == set(crops.profile)


def test_the_score_of_an_expert_is_its_own_gain(trained, crops):
    phase = distil.Phase(f"expert-{KIND}", trained, crops, distil._rep_student(trained))
    scores = phase.validate(phase.objective.student)
    assert scores[loop.SCORE] == scores[KIND]


def _with(recipe: Recipe, table: str, **changes: object) -> Recipe:
    return Recipe(**{**recipe.model_dump(), table: getattr(recipe, table).model_dump() | changes})


def test_only_what_decides_an_experts_weights_names_its_run(trained):
    def ids(recipe: Recipe) -> list[str]:
        return [
            distil.run_id(recipe, phase) for phase in ("float", "qat", "expert-half", "qat-half")
        ]

    before = ids(trained)
    assert len({*before}) == 4
    assert ids(_with(trained, "experts", kinds=["half", "call"])) == before
    assert ids(_with(trained, "gate", steps=7)) == before
    longer = ids(_with(trained, "experts", steps=11))
    assert [a == b for a, b in zip(before, longer, strict=True)] == [True, True, False, False]
    assert ids(_with(trained, "experts", steps_of={"call": 11})) == before
    assert ids(_with(trained, "experts", steps_of={"half": 11})) == longer
    finished = ids(_with(trained, "finish", kinds=["half"]))
    assert [a == b for a, b in zip(before, finished, strict=True)] == [True, True, True, False]


def test_a_finished_expert_is_trained_on_with_terms_of_its_own(trained, crops, made, tmp_path):
    losses = {KIND: {"crispness": 1.0}}
    last = {"kinds": [KIND], "steps": 5, "batch": 4, "patch_px": 32, "losses": losses}
    recipe = _with(trained.model_copy(update={"work": tmp_path}), "finish", **last)
    distil.train_float(recipe, crops, loop.no_listener)
    plain = distil.train_expert(recipe, crops, KIND, loop.no_listener)
    settings = distil.settings_of("qat-half", recipe, crops)
    assert settings.loss.crispness == 1.0
    assert not torch.equal(_weights(plain), _weights(made.experts[KIND].plain))


def test_a_kind_that_the_bank_lacks_is_named(trained, crops):
    with pytest.raises(RecipeError, match=r"no crops of profile 'fog'.*profiles are call, clean"):
        distil.train_expert(trained, crops, "fog", loop.no_listener)


def test_a_finish_without_an_expert_is_refused(smoke_path, capsys):
    assert cli.main(["distil", str(smoke_path), "--finish.kinds", '["call"]']) == 2
    assert "finish.kinds names 'call', experts.kinds does not" in capsys.readouterr().err


def test_the_folder_holds_experts_and_gate_that_the_catalogue_takes(trained, made, tmp_path):
    export.write_bare(tmp_path / "smoke", trained, "", made)
    model = catalogue.load(tmp_path / "smoke")
    assert {file.name for file in model.card.experts[KIND].values()} == {
        "half.int8.onnx",
        "half.onnx",
        "half.safetensors",
    }
    assert model.expert(KIND).path("int8").read_bytes() != model.path("int8").read_bytes()
    path = model.gate_path()
    assert path is not None
    gate = Gate.load(path)
    assert set(gate.experts) == {GENERAL, KIND}


def test_export_without_a_gate_says_what_to_run(trained, made, tmp_path):
    assert set(made.experts) == set(trained.experts.kinds)
    with pytest.raises(CheckpointError, match=r"cannot read the gate '.*gate\.json'.*distil"):
        verbs.with_gate(trained.model_copy(update={"work": tmp_path}), made)


def test_the_gate_learns_to_tell_kinds_apart(trained, made):
    """Noise that was blurred a little and much; two crops make a sample."""
    sharp = np.random.default_rng(3).integers(0, 256, (48, 64, 64)).astype(np.uint8)
    sigmas = {"half": 0.8, "call": 3.0}
    names = np.repeat([*sigmas], 24)
    degraded = [
        cv2.GaussianBlur(crop, (0, 0), sigmas[k]) for crop, k in zip(sharp, names, strict=True)
    ]
    held_out = np.tile(np.arange(24) >= 16, 2)
    crops = Bank(np.stack(degraded), sharp, names, held_out)
    recipe = _with(trained, "gate", steps=300, others=26)
    gate = gating.train(recipe, crops, {GENERAL: made.student, KIND: made.experts[KIND]})
    assert gate.table.kinds == ("call", "half", "other")
    assert gate.accuracy > 0.75
    told = Gate(gate.table).likelihoods(summary(energies(degraded[-1])))
    assert max(told, key=told.__getitem__) == "call"


def test_a_gate_that_cannot_be_kept_is_one_line_and_leaves_the_one_before(made, tmp_path):
    assert made.gate is not None
    file = tmp_path / "gate.json"
    gating.save(file, made.gate)
    (tmp_path / "gate.part").mkdir()  # as good as a full disk
    with pytest.raises(CheckpointError, match=r"cannot write the gate '.*gate\.json': .*make room"):
        gating.save(file, made.gate.model_copy(update={"kinds": ()}))
    assert gating.load(file) == made.gate


def test_too_small_a_bank_for_a_gate_is_refused(trained, made, crops):
    few = Bank(crops.degraded[:1], crops.sharp[:1], crops.profile[:1], crops.held_out[:1])
    with pytest.raises(DataError, match="too small to train a gate"):
        gating.train(trained, few, {GENERAL: made.student})


def test_other_pictures_are_spoilt_crops_of_the_bank(crops):
    found = gating.others(crops, 2, 26, seed=1)
    assert set(found.profile) == {gating.OTHER}
    assert found.degraded.shape == found.sharp.shape
    assert (found.degraded != found.sharp).any(axis=(1, 2)).mean() > 0.9
    again = gating.others(crops, 2, 26, seed=1)
    assert np.array_equal(again.degraded, found.degraded)


def test_distil_ships_a_model_with_experts(tmp_path: Path, smoke_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["distil", str(smoke_path), "--export", "false"]) == 0
    assert "gate: tells the kind of" in capsys.readouterr().err
    assert (tmp_path / "runs" / "smoke" / "gate.json").is_file()
    assert (tmp_path / "runs" / "smoke" / "expert-half" / "curves.png").is_file()
