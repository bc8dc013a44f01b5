"""A model is data: it is checked before it is loaded, and nothing in it is ever run."""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vcsharp
from vcsharp import catalogue
from vcsharp.errors import ModelError, ModelNotFoundError

PACKAGE = Path(vcsharp.__file__).parent
UNPICKLERS = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "yaml",
    "jsonpickle",
}
LOADERS = {"torch.load", "torch.jit.load", "torch.hub.load", "np.load", "numpy.load"}
RUNNERS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(catalogue.packaged_folder() / "nano", tmp_path / "nano"))


def rewritten(folder: Path, **changes: Any) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        spot = card
        for name in parents:
            spot = spot[name]
        spot[last] = value
    (folder / "card.json").write_text(json.dumps(card))
    return card


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        catalogue.load(folder).path("int8")
    text = str(caught.value)
    assert "\n" not in text
    return text


def modules() -> Iterator[tuple[Path, ast.AST]]:
    for path in PACKAGE.rglob("*.py"):
        yield path, ast.parse(path.read_text("utf-8"))


def findings(tree: ast.AST) -> Iterator[str]:
    """What could turn data into code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (n.name for n in node.names if n.name.partition(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = {f"{module}.{name.name}" for name in node.names}
            if module.partition(".")[0] in UNPICKLERS:
                yield module
            yield from names & LOADERS
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in LOADERS | RUNNERS or any(
                keyword.arg in ("allow_pickle", "shell")
                and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
                for keyword in node.keywords
            ):
                yield called


def test_no_module_of_the_program_can_turn_data_into_code():
    found = {str(path): names for path, tree in modules() if (names := list(findings(tree)))}
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import os, yaml",
        "from joblib import load",
        "from torch import load",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "other.load(path, allow_pickle=flag)",
        "subprocess.run(text, shell=True)",
        "eval(text)",
    ],
)
def test_the_search_for_such_modules_finds_them(code):
    assert list(findings(ast.parse(code)))


def test_a_shipped_model_is_taken(folder):
    assert catalogue.load(folder).path("int8") == folder / "model.int8.onnx"


@pytest.mark.parametrize(
    "name",
    ["../model.onnx", "/etc/passwd", "sub/model.onnx", "..", ".hidden", "", "a\\b", "x" * 101],
)
def test_a_file_name_is_no_path(folder, name):
    rewritten(folder, files__int8__name=name)
    assert "is not a model card: files.int8.name" in refusal(folder)


def test_a_link_out_of_the_folder_is_refused(folder, tmp_path):
    file = folder / "model.int8.onnx"
    file.rename(tmp_path / "elsewhere.onnx")
    file.symlink_to(tmp_path / "elsewhere.onnx")
    assert "is a link out of its model's folder" in refusal(folder)


def test_a_link_within_the_folder_and_a_link_to_the_folder_are_taken(folder, tmp_path):
    file = folder / "model.int8.onnx"
    file.rename(folder / "real.onnx")
    file.symlink_to("real.onnx")
    (tmp_path / "link").symlink_to(folder)
    assert catalogue.load(tmp_path / "link").path("int8").is_file()


def test_a_link_to_itself_is_refused(folder):
    file = folder / "model.int8.onnx"
    file.unlink()
    file.symlink_to(file)
    assert "cannot read" in refusal(folder)


def test_a_changed_byte_is_refused(folder):
    file = folder / "model.int8.onnx"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert "does not match the checksum in its card.json" in refusal(folder)


def test_a_file_of_another_size_is_refused_unread(folder, monkeypatch):
    os.truncate(folder / "model.int8.onnx", 2**40)  # sparse; reading it would take all memory
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("was read"))
    assert f"({2**40} bytes, expected" in refusal(folder)


@pytest.mark.parametrize(
    ("where", "value", "word"),
    [
        ("files__int8__bytes", catalogue.LARGEST_FILE_BYTES + 1, "less than or equal to"),
        ("architecture__channels", [16, 1025, 16], "less than or equal to 1024"),
        ("architecture__channels", [16] * 65, "at most 64"),
        ("architecture__channels", [16, *[1024] * 60, 16], "weights are larger than"),
        ("architecture__channels", [16, 0, 16], "greater than 0"),
        ("architecture__channels", [16, 32, 17], "begin and end with stride squared"),
        ("architecture__stride", 10**9, "less than or equal to 32"),
        ("halo_px", 513, "less than or equal to 512"),
        ("multiple_of", 0, "greater than 0"),
        ("name", "../nano", "pattern"),
        ("clean_psnr_db", float("nan"), "finite"),
        ("files__int8__sha256", "0" * 63, "pattern"),
        ("surprise", 1, "Extra inputs"),
    ],
)
def test_what_a_card_may_say_is_bounded(folder, where, value, word):
    rewritten(folder, **{where: value})
    text = refusal(folder)
    assert "is not a model card" in text
    assert word in text


def test_a_card_without_end_is_refused(folder):
    rewritten(folder, summary="x" * catalogue.LARGEST_CARD_BYTES)
    assert "larger than 64 KiB" in refusal(folder)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"[" * 60_000, b"null", b'{"name": 1e999}', b'{"a": ' * 10_000]
)
def test_a_card_that_breaks_the_reader_is_refused_in_one_line(folder, data):
    (folder / "card.json").write_bytes(data)
    assert "is not a model card" in refusal(folder)


def test_a_card_that_is_a_pipe_is_refused_before_it_can_block(folder):
    (folder / "card.json").unlink()
    os.mkfifo(folder / "card.json")
    assert "not a file" in refusal(folder)


@pytest.mark.parametrize(
    "name", ["\0", "./\0", "x" * 5000, "/" + "x" * 5000, "~no-such-user/m", "a b", "", "\ud800"]
)
def test_a_name_that_no_model_can_have_is_refused(name):
    with pytest.raises(ModelNotFoundError):
        catalogue.find(name)
