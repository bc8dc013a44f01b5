"""Finding cameras while they come and go."""

from __future__ import annotations

import os

from vcsharp.doctor.camera import lasting_name
from vcsharp.doctor.world import World
from vcsharp.sources import cameras


def _vanishing(path, *_, **__):
    raise FileNotFoundError(2, "No such file or directory", os.fspath(path))


def test_a_lasting_name_that_vanishes_while_it_is_read_is_no_name(tmp_path, monkeypatch):
    node = tmp_path / "video0"
    node.touch()
    folder = tmp_path / "v4l" / "by-id"
    folder.mkdir(parents=True)
    (folder / "usb-Lab-index0").symlink_to(node)
    monkeypatch.setattr(cameras, "_DEV", tmp_path)
    assert cameras.stable_path(node) == str(folder / "usb-Lab-index0")
    monkeypatch.setattr(os, "readlink", _vanishing)
    assert cameras.stable_path(node) is None


def test_doctor_lives_with_a_lasting_name_that_vanishes(tmp_path, monkeypatch):
    world = World(root=tmp_path)
    folder = tmp_path / "dev" / "v4l" / "by-id"
    folder.mkdir(parents=True)
    (folder / "usb-Lab-index0").symlink_to(tmp_path / "dev" / "video0")
    assert lasting_name(world, "video0") == "/dev/v4l/by-id/usb-Lab-index0"
    monkeypatch.setattr(os, "readlink", _vanishing)
    assert lasting_name(world, "video0") == ""
