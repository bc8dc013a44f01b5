"""Teachers by name, their checkpoints, and everything that can be wrong with those."""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn
from vcsharp_training import teachers
from vcsharp_training.errors import CheckpointError, RecipeError
from vcsharp_training.teachers import own, registry
from vcsharp_training.teachers.nafnet import NAFNet, Shape
from vcsharp_training.teachers.restormer import Restormer
from vcsharp_training.teachers.restormer import Shape as RestormerShape
from vcsharp_training.teachers.waifu2x import Upconv7

from tests.plain_layers import on_meta, parameters_of

SMALL = RestormerShape(width=4, blocks=(1, 1, 1, 1), heads=(1, 1, 1, 1), refinement=1)
WAIFU, WAIFU_FILE = "waifu2x-photo", "noise3_scale2.0x.pth"


@pytest.fixture
def small_restormer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry's Restormer with a tenth of the width."""
    entry = dataclasses.replace(registry.ENTRIES["restormer-motion"], shape=(SMALL,))
    monkeypatch.setitem(registry.ENTRIES, "restormer-motion", entry)


def _refusal(name: str, folder: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        teachers.load(name, folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_every_entry_states_the_parameters_of_its_network() -> None:
    entries = {(entry.kind, entry.shape): entry for entry in registry.ENTRIES.values()}
    counted = {
        key: parameters_of(on_meta(key[0], *key[1]))  # type: ignore[arg-type]
        for key in entries
    }
    assert {key: entry.parameters for key, entry in entries.items()} == counted


def test_names_and_files_are_of_one_teacher_each() -> None:
    entries = registry.ENTRIES
    assert all(entry.name == name for name, entry in entries.items())
    assert len({entry.file for entry in entries.values()}) == len(entries)
    assert entries["restormer-motion"].file == "motion_deblurring.pth"
    assert entries["swinir-x4"].file == "001_classicalSR_DF2K_s64w8_SwinIR-M_x4.pth"
    assert {name for name, entry in entries.items() if entry.non_commercial} == {
        name for name in entries if name.startswith("restormer-")
    }


@pytest.mark.parametrize("wrap", ["params", "params_ema", "state_dict", "bare", "module."])
def test_published_weights_load_unchanged(tmp_path: Path, wrap: str) -> None:
    net = Upconv7()
    state = net.state_dict()
    wrapped = {
        "bare": state,
        "module.": {"params": {f"module.{name}": value for name, value in state.items()}},
    }.get(wrap, {wrap: state})
    (tmp_path / "below").mkdir()
    torch.save(wrapped, tmp_path / "below" / WAIFU_FILE)
    teacher = teachers.load(WAIFU, tmp_path)
    assert teacher.parameters == 552_483
    rgb = torch.rand(1, 3, 16, 20)
    small = nn.functional.avg_pool2d(rgb, 2)
    with torch.no_grad():
        assert torch.equal(teacher.restore(rgb), net(small).clamp(0, 1))


@pytest.mark.usefixtures("small_restormer")
def test_non_commercial_weights_are_said_to_be_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save({"params": Restormer(SMALL).state_dict()}, tmp_path / "motion_deblurring.pth")
    with caplog.at_level(logging.WARNING):
        assert teachers.load("restormer-motion", tmp_path).widths["latent"] == 32
    assert "non-commercial use only" in caplog.text


def test_free_weights_load_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save({"params": Upconv7().state_dict()}, tmp_path / WAIFU_FILE)
    teachers.load(WAIFU, tmp_path)
    assert caplog.text == ""


def test_a_missing_checkpoint_names_its_file_its_place_and_its_licence(tmp_path: Path) -> None:
    text = _refusal("restormer-motion", tmp_path)
    for part in ("'motion_deblurring.pth'", "swz30/Restormer", "non-commercial", str(tmp_path)):
        assert part in text


def test_a_folder_that_is_not_there_is_a_missing_checkpoint(tmp_path: Path) -> None:
    assert "no checkpoint" in _refusal("swinir-x4", tmp_path / "nowhere")


def test_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="but 'swinir-x4'"):
        teachers.load("swinr-x4", tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / WAIFU_FILE).write_bytes(content)
    assert "damaged or no PyTorch file" in _refusal(WAIFU, tmp_path)


def test_half_a_checkpoint_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / WAIFU_FILE
    torch.save({"params": Upconv7().state_dict()}, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "damaged or no PyTorch file" in _refusal(WAIFU, tmp_path)


class Code:
    """Something that a checkpoint must not bring along."""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (Code(), "damaged or no PyTorch file"),
        ([1, 2], "holds a list"),
        ({"params": 3}, "holds no weights"),
        ({"epoch": 3}, "holds no weights"),
        ({}, "holds no weights"),
    ],
)
def test_what_is_no_state_dict_is_one_line(tmp_path: Path, content: object, why: str) -> None:
    torch.save(content, tmp_path / WAIFU_FILE)
    assert why in _refusal(WAIFU, tmp_path)


@pytest.mark.usefixtures("small_restormer")
def test_a_checkpoint_of_another_network_names_the_first_keys(tmp_path: Path) -> None:
    torch.save({"params": Upconv7().state_dict()}, tmp_path / "motion_deblurring.pth")
    text = _refusal("restormer-motion", tmp_path)
    assert "missing: patch_embed.proj.weight, encoder_level1.0.norm1.body.weight" in text
    assert "unexpected: conv1.weight, conv1.bias, conv2.weight and 11 more" in text


def test_a_weight_of_another_shape_is_named(tmp_path: Path) -> None:
    state = Upconv7().state_dict() | {"conv2.bias": torch.zeros(3)}
    torch.save({"params": state}, tmp_path / WAIFU_FILE)
    assert "of another shape: conv2.bias (3,) for (32,)" in _refusal(WAIFU, tmp_path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    state = Upconv7().state_dict()
    state["conv3.bias"][5] = torch.nan
    torch.save({"params": state}, tmp_path / WAIFU_FILE)
    assert "conv3.bias not finite" in _refusal(WAIFU, tmp_path)


def test_our_own_teacher_is_built_as_its_file_says(tmp_path: Path) -> None:
    net = NAFNet(Shape(1, 4, (1, 2), 1, (1, 1), stride=2))
    own.save(tmp_path / own.FILE, net.shape, net.state_dict(), {"gain_db": 1.0})
    teacher = teachers.load("own", tmp_path)
    assert teacher.widths == net.widths
    assert (teacher.fit.channels, teacher.fit.multiple) == (1, 8)


@pytest.mark.parametrize("network", [None, {"width": 4, "depth": 2}])
def test_a_file_of_our_own_teacher_without_its_network_is_one_line(
    tmp_path: Path, network: object
) -> None:
    torch.save({"network": network, "params": {}}, tmp_path / own.FILE)
    assert "does not say what network" in _refusal("own", tmp_path)


def _spandrel(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    """A module that answers as spandrel does, for any file."""
    found = SimpleNamespace(
        model=nn.Upsample(scale_factor=2),
        input_channels=channels,
        output_channels=channels,
        scale=2,
        size_requirements=SimpleNamespace(multiple_of=4),
    )
    loader = SimpleNamespace(load_from_file=lambda path: found)
    module = ModuleType("spandrel")
    module.ModelLoader = lambda device: loader  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spandrel", module)


def test_any_other_checkpoint_loads_through_spandrel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spandrel(monkeypatch, 3)
    path = tmp_path / "other.pth"
    path.touch()
    teacher = teachers.load(str(path), tmp_path)
    assert teacher.name == "other"
    assert (teacher.fit.multiple, teacher.fit.reduce, teacher.fit.scale) == (4, 2, 2)
    assert teacher.restore(torch.rand(1, 3, 17, 18)).shape == (1, 3, 17, 18)


def test_a_network_that_is_not_for_rgb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spandrel(monkeypatch, 1)
    (tmp_path / "other.pth").touch()
    assert "1 channels in" in _refusal(str(tmp_path / "other.pth"), tmp_path)


def test_without_spandrel_the_cure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    (tmp_path / "other.pth").touch()
    assert "install spandrel" in _refusal(str(tmp_path / "other.pth"), tmp_path)


def test_a_path_to_nothing_is_one_line(tmp_path: Path) -> None:
    assert "no checkpoint" in _refusal(str(tmp_path / "other.pth"), tmp_path)
