"""Lines for the journal carry their priority; lines for people do not."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from vcsharp.console import setup_logging


@pytest.mark.parametrize(("is_journal", "prefixes"), [(True, ("<4>", "<3>")), (False, ("", ""))])
def test_priorities_are_written_where_the_journal_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_journal: bool, prefixes: tuple[str, str]
) -> None:
    path = tmp_path / "stderr"
    with path.open("w") as stream:
        facts = os.fstat(stream.fileno())
        inode = facts.st_ino if is_journal else facts.st_ino + 1  # another program's stream
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{inode}")
        setup_logging(Console(file=stream))
        logging.getLogger("vcsharp.test").warning("first")
        logging.getLogger("vcsharp.test").error("second")
        root = logging.getLogger()
        root.handlers = [h for h in root.handlers if type(h).__name__ != "_ConsoleHandler"]
    warning, error = path.read_text().splitlines()
    assert warning == f"{prefixes[0]}vcsharp: warning: first"
    assert error == f"{prefixes[1]}vcsharp: error: second"


def test_the_error_that_ends_a_run_is_an_error_in_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "stderr"
    with path.open("w") as stream:
        facts = os.fstat(stream.fileno())
        subprocess.run(
            [sys.executable, "-m", "vcsharp", "rum"],
            env={**os.environ, "JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"},
            stderr=stream,
            check=False,
        )
    assert path.read_text().startswith("<3>vcsharp: no command is called 'rum'")
