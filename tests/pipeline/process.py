"""The program in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "vcsharp", "run", *map(str, arguments)]


def environment(tmp_path: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("VCSHARP_")}
    return clean | {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def vcsharp(tmp_path: Path, *arguments: object, timeout_s: float = 60):
    """Runs to the end; returns (exit status, stderr)."""
    done = subprocess.run(
        command(*arguments),
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def spawned(tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    """A run in the background; its stderr can be read."""
    return subprocess.Popen(
        command(*arguments),
        cwd=tmp_path,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def started(tmp_path: Path, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run in the background and its line about the sink, as soon as that was said."""
    with spawned(tmp_path, *arguments) as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if line.startswith("sink: "))
            yield process, line
        finally:
            process.kill()
