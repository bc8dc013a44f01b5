"""Models are found in order, trusted by checksum, and refused with a cure."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from vcsharp import catalogue
from vcsharp.errors import ModelError, ModelNotFoundError


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The user's own models; empty at first."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    models: Path = tmp_path / "vcsharp" / "models"
    return models


def copied(home: Path, name: str = "nano") -> Path:
    shutil.copytree(catalogue.packaged_folder() / "nano", home / name)
    return home / name


def test_every_shipped_model_is_whole(home):
    models = catalogue.every()
    assert "nano" in [model.card.name for model in models]
    for model in models:
        assert model.card.halo_px <= model.card.receptive_field_px
        for kind in model.card.files:
            assert model.path(kind).is_file()


def test_auto_chooses_from_tiers_and_not_from_variants(home):
    card = json.loads((copied(home, "nano-crisp") / "card.json").read_text("utf-8"))
    card["name"] = "nano-crisp"
    (home / "nano-crisp" / "card.json").write_text(json.dumps(card), "utf-8")
    names = [model.card.name for model in catalogue.every()]
    assert "nano-crisp" in names
    tiers = [model.card.name for model in catalogue.tiers()]
    assert tiers == [name for name in ("nano", "small", "base") if name in names]


def test_a_users_model_goes_before_the_packages(home):
    folder = copied(home)
    assert catalogue.find("nano").folder == folder


def test_a_path_is_taken_as_it_is(home, tmp_path):
    folder = copied(tmp_path, "mine")
    assert catalogue.find(str(folder)).folder == folder


def test_an_unknown_name_tells_the_known_ones_and_the_places(home):
    with pytest.raises(ModelNotFoundError, match=r"'nani'; known: .*nano.*looked in: .*vcsharp"):
        catalogue.find("nani")


def test_a_path_without_a_card_is_refused(home, tmp_path):
    with pytest.raises(ModelNotFoundError, match="no model in"):
        catalogue.find(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "nano"}'])
def test_a_broken_card_is_one_line(home, text):
    folder = copied(home)
    (folder / "card.json").write_text(text)
    with pytest.raises(ModelError, match="is not a model card") as caught:
        catalogue.load(folder)
    assert "\n" not in str(caught.value)


def test_one_broken_card_does_not_hide_the_others(home, caplog):
    (copied(home, "broken") / "card.json").write_text("{")
    assert "nano" in [model.card.name for model in catalogue.every()]
    assert "is not a model card" in caplog.text


def test_a_changed_file_is_refused(home):
    folder = copied(home)
    path = folder / json.loads((folder / "card.json").read_text())["files"]["int8"]["name"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="does not match the checksum"):
        catalogue.load(folder).path("int8")


def test_a_missing_file_is_named(home):
    folder = copied(home)
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match="cannot read"):
        catalogue.load(folder).path("fp32")


def test_a_card_without_the_kind_of_file_says_what_it_has(home):
    folder = copied(home)
    card = json.loads((folder / "card.json").read_text())
    del card["files"]["int8"]
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="has no int8 file; its card lists: fp32, torch"):
        catalogue.load(folder).path("int8")


def test_a_lost_symbolic_link_is_explained(home, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    with pytest.raises(ModelNotFoundError, match="symbolic link"):
        catalogue.packaged_folder()


def with_experts(folder: Path, **changes: object) -> Path:
    """The model with itself as the only expert, `half`, and a gate that no reader looks into."""
    (folder / "gate.json").write_bytes(b"{}")
    card = json.loads((folder / "card.json").read_text("utf-8"))
    card["gate"] = {
        "name": "gate.json",
        "sha256": hashlib.sha256(b"{}").hexdigest(),
        "bytes": 2,
    }
    card["experts"] = {"half": {"int8": card["files"]["int8"]}}
    (folder / "card.json").write_text(json.dumps(card | changes), "utf-8")
    return folder


def without_experts(folder: Path) -> Path:
    """The general student alone."""
    card = json.loads((folder / "card.json").read_text("utf-8"))
    del card["experts"], card["gate"]
    (folder / "card.json").write_text(json.dumps(card), "utf-8")
    return folder


def test_a_model_without_experts_has_no_gate(home):
    model = catalogue.load(without_experts(copied(home)))
    assert model.gate_path() is None
    assert model.expert("") is model
    with pytest.raises(ModelError, match="'nano' has no expert 'half'; its experts are: none"):
        model.expert("half")


def test_an_expert_is_the_model_with_other_files(home):
    model = catalogue.load(with_experts(copied(home)))
    expert = model.expert("half")
    assert expert.path("int8") == model.folder / "model.int8.onnx"
    assert list(expert.card.files) == ["int8"]
    same: dict[str, object] = {"files": {}, "experts": {}, "gate": None}
    assert expert.card.model_copy(update=same) == model.card.model_copy(update=same)
    with pytest.raises(ModelError, match="no expert 'call'; its experts are: half"):
        model.expert("call")


def test_a_gate_is_checked_as_the_weights_are(home):
    model = catalogue.load(with_experts(copied(home)))
    assert model.gate_path() == model.folder / "gate.json"
    (model.folder / "gate.json").write_bytes(b"[]")
    with pytest.raises(ModelError, match="does not match the checksum"):
        model.gate_path()
    (model.folder / "gate.json").unlink()
    with pytest.raises(ModelError, match="cannot read"):
        model.gate_path()


@pytest.mark.parametrize("name", ["auto", "off"])
def test_no_expert_has_the_name_of_a_wish(home, name):
    files = json.loads((copied(home) / "card.json").read_text("utf-8"))["files"]
    folder = with_experts(home / "nano", experts={name: files})
    with pytest.raises(ModelError, match=f"no expert may be called '{name}'"):
        catalogue.load(folder)


@pytest.mark.parametrize("without", [{"experts": {}}, {"gate": None}])
def test_experts_and_gate_come_together_or_not_at_all(home, without):
    with pytest.raises(ModelError, match="a gate needs experts"):
        catalogue.load(with_experts(copied(home), **without))
