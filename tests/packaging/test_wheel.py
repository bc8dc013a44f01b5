"""What is shipped: the package and its models, and no other importable name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ["pyproject.toml", "README.md", "LICENSE", "vcsharp", "models", "systemd"]


def build(what: str, folder: Path) -> Path:
    """Runs the build backend in `folder`; returns the archive."""
    code = f"import setuptools.build_meta as b; print(b.build_{what}('dist'))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "dist" / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as a release is: tree -> sdist -> wheel."""
    tree = tmp_path_factory.mktemp("tree")
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SHIPPED:
        origin = ROOT / name
        if origin.is_dir():
            shutil.copytree(origin, tree / name, symlinks=True, ignore=skip)
        else:
            shutil.copy(origin, tree / name)
    with tarfile.open(build("sdist", tree)) as archive:
        archive.extractall(tree / "unpacked", filter="data")
    (source,) = (tree / "unpacked").iterdir()
    return build("wheel", source)


def test_the_wheel_holds_every_model_whole(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        cards = list((ROOT / "models").glob("*/card.json"))
        assert cards
        for card in cards:
            files = json.loads(card.read_text())["files"].values()
            folder = f"vcsharp/_models/{card.parent.name}"
            for name in ["card.json", "README.md", *(file["name"] for file in files)]:
                origin = (card.parent / name).read_bytes()
                assert archive.read(f"{folder}/{name}") == origin
    assert {"vcsharp/py.typed", "vcsharp/web/index.html"} <= names
    units = {f"vcsharp/service/units/{path.name}" for path in (ROOT / "systemd").iterdir()}
    assert "vcsharp/service/units/vcsharp@.service" in units
    assert units <= names


def test_the_wheel_makes_nothing_else_importable(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"vcsharp"}


@pytest.mark.parametrize("name", ["training", "models", "tests", "docs", "systemd"])
def test_the_repositorys_folders_are_not_importable(name, tmp_path):
    code = f"import importlib.util as u; raise SystemExit(u.find_spec('{name}') is not None)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == 0
