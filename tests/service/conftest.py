"""What the tests of the service share: a systemd that is planned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from vcsharp.service.change import Change
from vcsharp.service.place import Answer, Place


class Systemd:
    """Answers by the words that a command holds; notes what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}

    def __call__(self, command: Sequence[str]) -> Answer:
        line = " ".join(command)
        self.asked.append(line)
        return next((said for words, said in self.answers.items() if words in line), Answer())

    @property
    def changes(self) -> list[str]:
        return [line for line in self.asked if line != "id -nG"]


class Desk:
    """A machine in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.systemd = Systemd()
        self.told: list[str] = []

    def place(self, system=False, instance="default", is_root=True, exe="/usr/bin/vcsharp"):
        return Place(system, instance, self.root, is_root, self.systemd, (exe,))

    def change(self, place: Place | None = None, **options: bool) -> Change:
        return Change(place or self.place(), self.told.append, **options)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    return Desk(tmp_path)
