"""What the tests of the command line share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from vcsharp.console import setup_logging


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No variables or settings file of the person who runs the tests, and no log handler left."""
    for name in [name for name in os.environ if name.upper().startswith("VCSHARP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config-home"))
    yield
    setup_logging(Console(file=StringIO()))
