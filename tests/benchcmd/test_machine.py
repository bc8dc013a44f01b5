"""The machine's facts, read from a planted kernel and planted programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import vcsharp
from vcsharp.bench import machine
from vcsharp.bench.machine import run_quietly, this_machine

CPUINFO = """\
processor\t: 0
model name\t: Planted 9000 @ 3 GHz
flags\t\t: fpu avx2 fma avx512f avx512_vnni amx_tile amx_int8

processor\t: 1
model name\t: Another
flags\t\t: fpu
"""


def root_with(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def silent(_: Sequence[str]) -> str:
    return ""


def test_the_processor_and_the_flags_that_matter_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root_with(tmp_path, cpuinfo=CPUINFO)
    monkeypatch.setattr("vcsharp.engine.machine.CPUINFO", tmp_path / "cpuinfo")
    found = this_machine(tmp_path, silent)
    assert found.cpu == "Planted 9000 @ 3 GHz"
    assert found.flags == ("AVX2", "FMA", "AVX512", "AVX512-VNNI", "AMX", "AMX-INT8")


def test_an_arm_processors_flags_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root_with(tmp_path, cpuinfo="processor : 0\nFeatures : fp asimd asimddp i8mm\n")
    monkeypatch.setattr("vcsharp.engine.machine.CPUINFO", tmp_path / "cpuinfo")
    found = this_machine(tmp_path, silent)
    assert found.flags == ("NEON", "DOTPROD", "I8MM")
    assert found.cpu


def test_the_tightest_limit_of_the_control_groups_counts(tmp_path: Path) -> None:
    root = root_with(tmp_path, proc__self__cgroup="0::/a/b\n")
    for name, text in {"a": "150000 100000\n", "a/b": "max 100000\n"}.items():
        path = root / "sys/fs/cgroup" / name / "cpu.max"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert this_machine(root, silent).cpu_quota == 1.5


@pytest.mark.parametrize("text", ["max 100000", "nonsense", "", "5 0"])
def test_no_limit_or_an_unreadable_one_is_none(tmp_path: Path, text: str) -> None:
    root = root_with(tmp_path, proc__self__cgroup="0::/\n")
    path = root / "sys/fs/cgroup/cpu.max"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert this_machine(root, silent).cpu_quota is None


def test_an_empty_root_gives_a_machine_all_the_same(tmp_path: Path) -> None:
    found = this_machine(tmp_path, silent)
    assert found.cores >= 1
    assert found.commit is None
    assert isinstance(found.as_dict()["flags"], list)


def test_the_commit_is_of_the_checkout_that_the_package_lies_in(tmp_path: Path) -> None:
    here = Path(vcsharp.__file__).resolve().parents[1]

    def git(argv: Sequence[str]) -> str:
        return str(here) if "--show-toplevel" in argv else "0123456789ab-dirty"

    assert this_machine(tmp_path, git).commit == "0123456789ab-dirty"


def test_another_checkouts_commit_is_not_ours(tmp_path: Path) -> None:
    def git(argv: Sequence[str]) -> str:
        return str(tmp_path) if "--show-toplevel" in argv else "0123456789ab"

    assert this_machine(tmp_path, git).commit is None


def test_gpus_are_named_where_there_is_a_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "has_nvidia", lambda: True)
    found = this_machine(tmp_path, lambda _: "NVIDIA H200, 143771 MiB, 570.1\n")
    assert found.gpu == "NVIDIA H200, 143771 MiB, 570.1"


def test_a_program_that_is_missing_or_fails_says_nothing() -> None:
    assert run_quietly(["no-such-program-here"]) == ""
    assert run_quietly(["false"]) == ""
