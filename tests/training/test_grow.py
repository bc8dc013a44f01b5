"""A student that starts where a smaller one ended."""

from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import save_file
from vcsharp_training import grow
from vcsharp_training.errors import CheckpointError
from vcsharp_training.exported import weights_sha256
from vcsharp_training.recipe import NetworkSettings
from vcsharp_training.reparam import RepStudent

from vcsharp.nets.plain import PlainStudent

SMALL, DEEP, WIDE = (16, 8, 8, 16), (16, 8, 8, 8, 8, 16), (16, 12, 8, 10, 9, 16)


@pytest.fixture
def exported(tmp_path):
    torch.manual_seed(3)
    student = PlainStudent(SMALL)
    save_file(student.state_dict(), tmp_path / "model.safetensors")
    return tmp_path, student


@pytest.mark.parametrize("channels", [SMALL, DEEP, WIDE])
def test_a_grown_student_begins_with_the_function_of_the_small_one(exported, channels):
    folder, small = exported
    deep = RepStudent(channels, 4)
    luma = torch.rand(2, 1, 32, 24)
    before = deep.residual(luma)
    grow.start_from(deep, folder)
    assert torch.allclose(deep.residual(luma), small.residual(luma), atol=1e-6)
    assert not torch.allclose(before, small.residual(luma), atol=1e-3)


@pytest.mark.parametrize("channels", [DEEP, WIDE])
def test_every_branch_of_a_grown_student_can_learn(exported, channels):
    folder, _ = exported
    deep = RepStudent(channels, 4)
    grow.start_from(deep, folder)
    deep.residual(torch.rand(2, 1, 32, 32)).square().mean().backward()
    for name, weight in deep.named_parameters():
        if name.endswith(("narrow", "direct")):
            assert weight.grad is not None
            assert weight.grad.abs().max() > 0


@pytest.mark.parametrize("channels", [(16, 8, 16), (16, 7, 8, 16), (16, 8, 6, 8, 16)])
def test_a_student_that_does_not_fit_is_one_line(exported, channels):
    with pytest.raises(CheckpointError, match=re.escape("16-8, 8-8, 8-16")) as caught:
        grow.start_from(RepStudent(channels, 4), exported[0])
    assert "\n" not in str(caught.value)


def test_a_wider_student_listens_to_its_new_channels_in_time(exported):
    folder, _ = exported
    wide = RepStudent(WIDE, 4)
    grow.start_from(wide, folder)
    wide.residual(torch.rand(2, 1, 32, 32)).square().mean().backward()
    last = dict(wide.named_parameters())[f"convs.{len(WIDE) - 2}.direct"]
    assert last.grad is not None
    assert last.grad[:, SMALL[2] :].abs().max() > 0


def test_an_expert_to_start_from_is_named_by_its_file(exported, tmp_path):
    expert = tmp_path / "call.safetensors"
    expert.write_bytes((exported[0] / "model.safetensors").read_bytes())
    grown, as_folder = RepStudent(DEEP, 4), RepStudent(DEEP, 4)
    grow.start_from(grown, expert)
    grow.start_from(as_folder, exported[0])
    luma = torch.rand(1, 1, 32, 32)
    assert torch.equal(grown.residual(luma), as_folder.residual(luma))


def test_a_missing_or_broken_student_is_one_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"model\.safetensors'.*network\.start"):
        grow.start_from(RepStudent(DEEP, 4), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="holds no student"):
        grow.start_from(RepStudent(DEEP, 4), tmp_path)


def test_what_a_run_starts_from_decides_by_its_weights_and_not_by_its_place(exported, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.safetensors").write_bytes((exported[0] / "model.safetensors").read_bytes())
    here, there = NetworkSettings(start=exported[0]), NetworkSettings(start=other)
    assert here.decides() == there.decides()
    assert here.decides()["start"] == weights_sha256(other)
    assert "start" not in NetworkSettings().decides()
