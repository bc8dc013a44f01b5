"""The unit files themselves: systemd takes them, and they are as closed as they are said to be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vcsharp.service.files import UNITS

ROOT = Path(__file__).parents[2]
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
HIGHEST = 35
"""Tenths of the exposure that the system unit may have."""


def analyze(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_the_package_and_the_repository_have_the_same_files() -> None:
    assert UNITS.resolve() == (ROOT / "systemd").resolve()


@needs_systemd
@pytest.mark.parametrize("name", ["vcsharp.service", "vcsharp@.service"])
def test_systemd_finds_no_fault(tmp_path: Path, name: str) -> None:
    text = re.sub(r"=\S+/vcsharp run", "=/bin/true run", (UNITS / name).read_text())
    unit = tmp_path / name.replace("@", "@desk")
    unit.write_text(text)
    manager = [] if "@" in name else ["--user"]
    done = analyze("verify", "--man=no", *manager, str(unit), XDG_RUNTIME_DIR=str(tmp_path))
    complaints = [line for line in done.stderr.splitlines() if name.partition(".")[0] in line]
    assert complaints == []
    assert done.returncode == 0, done.stderr


@needs_systemd
def test_the_system_unit_is_closed_as_far_as_cameras_and_gpus_allow() -> None:
    done = analyze(
        "security", "--offline=true", f"--threshold={HIGHEST}", str(UNITS / "vcsharp@.service")
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge a file")
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


@pytest.mark.parametrize("name", ["vcsharp.service", "vcsharp@.service"])
def test_a_unit_keeps_its_promises(name: str) -> None:
    lines = (UNITS / name).read_text().splitlines()
    assert {
        "Type=notify",
        "Restart=always",
        "RestartPreventExitStatus=2",
        "WatchdogSec=10",
        "ExecReload=/bin/kill -HUP $MAINPID",
    } <= set(lines)
