"""Folders of devices, which come and go while they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from vcsharp.videodev import listed


def test_what_matches_is_listed_in_order(tmp_path: Path) -> None:
    for name in ("video2", "video1", "media0"):
        (tmp_path / name).touch()
    assert [path.name for path in listed(tmp_path, "video*")] == ["video1", "video2"]


def test_a_folder_that_goes_away_while_it_is_read_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(self: Path, pattern: str) -> list[Path]:
        raise FileNotFoundError(2, "No such file or directory", str(self))

    monkeypatch.setattr(Path, "glob", vanish)
    assert listed(tmp_path, "*") == []
    assert listed(tmp_path / "never", "*") == []
