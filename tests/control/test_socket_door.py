"""The socket: for its owner only, one for each run."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
import threading
from pathlib import Path

import httpx
import pytest

from vcsharp.control import paths, servers
from vcsharp.control.doors import Doors
from vcsharp.control.guards import LARGEST_BODY
from vcsharp.control.paths import find_socket, instances, socket_path
from vcsharp.errors import SettingsError, VcsharpError

from .conftest import client_of


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def answers(path: Path) -> bool:
    with client_of(path) as client:
        return client.get("/api/state").status_code == 200


# ---- where it lies


def test_it_lies_in_the_users_runtime_folder(run_folder):
    assert socket_path("desk") == run_folder / "vcsharp" / "desk.sock"


def test_a_unit_has_its_own_folder(run_folder, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{run_folder}/unit:{run_folder}/more")
    assert socket_path("desk") == run_folder / "unit" / "desk.sock"


def test_without_a_runtime_folder_it_lies_among_the_temporary_files(run_folder, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(run_folder))
    monkeypatch.setattr(paths, "_user", lambda: 54321)
    assert socket_path("desk") == run_folder / "vcsharp-54321" / "desk.sock"


def test_the_runtime_folder_of_another_user_is_left_alone(run_folder, monkeypatch):
    """`sudo -E` keeps the variable."""
    monkeypatch.setattr(paths, "_user", lambda: 54321)
    assert run_folder not in socket_path("desk").parents


# ---- who may open it


def test_nobody_else_may_open_it(doors, run_folder):
    old = os.umask(0)
    try:
        doors.open()
    finally:
        os.umask(old)
    assert mode(run_folder / "vcsharp") == 0o700
    assert mode(socket_path("default")) == 0o600
    assert sorted(path.name for path in (run_folder / "vcsharp").iterdir()) == [
        ".default.lock",
        "default.sock",
    ]


def test_it_is_closed_to_others_before_it_can_be_connected_to(doors, run_folder, monkeypatch):
    """Even in a folder that everybody may enter."""
    (run_folder / "vcsharp").mkdir(mode=0o755)
    seen = []
    listen = socket.socket.listen

    def looking(self, *backlog):
        made = Path(self.getsockname())
        if made.exists():  # asyncio says it again when it is in its place
            seen.append((mode(made), mode(made.parent)))
        listen(self, *backlog)

    monkeypatch.setattr(socket.socket, "listen", looking)
    doors.open()
    assert seen == [(0o600, 0o700)]


def test_another_user_at_the_other_end_is_cut(doors, run_folder, monkeypatch):
    doors.open()
    monkeypatch.setattr(servers, "_user", lambda: 54321)
    monkeypatch.setattr(servers, "_ROOT", 54322)
    with client_of(socket_path("default")) as client, pytest.raises(httpx.TransportError):
        client.get("/api/state")


@pytest.mark.parametrize("kind", ["link", "file", "open to others", "another user's"])
def test_a_folder_that_another_user_could_have_made_is_refused(
    doors, run_folder, monkeypatch, kind
):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(run_folder))
    user = 54321
    monkeypatch.setattr(paths, "_user", lambda: user)
    folder = run_folder / f"vcsharp-{user}"
    if kind == "link":
        (run_folder / "elsewhere").mkdir()
        folder.symlink_to(run_folder / "elsewhere")
    elif kind == "file":
        folder.touch()
    else:
        folder.mkdir(mode=0o700)
    if kind == "open to others":
        monkeypatch.setattr(paths, "_owner", lambda _: user)
        folder.chmod(0o770)
    with pytest.raises(VcsharpError) as refusal:
        doors.open()
    assert str(folder) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    with pytest.raises(SettingsError):
        find_socket("default")


# ---- one for each run


def test_a_second_run_of_the_same_name_is_refused_with_a_cure(doors, runtime):
    doors.open()
    second = Doors(runtime, "default")
    with pytest.raises(SettingsError, match=r"runs already .* --instance NAME"):
        second.open()
    second.close()
    assert answers(socket_path("default"))


def test_runs_of_other_names_live_side_by_side(doors, runtime):
    doors.open()
    second = Doors(runtime, "desk")
    second.open()
    assert answers(socket_path("default"))
    assert answers(socket_path("desk"))
    assert instances() == ["default", "desk"]
    second.close()
    assert instances() == ["default"]


def test_the_socket_of_a_run_that_died_is_replaced(doors, run_folder):
    folder = run_folder / "vcsharp"
    folder.mkdir(mode=0o700)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(folder / "default.sock"))
    dead.close()
    (folder / ".default.lock").touch()
    doors.open()
    assert answers(socket_path("default"))


def test_closing_takes_it_away_and_lets_the_next_run_in(doors, runtime):
    before = set(threading.enumerate())
    doors.open()
    (thread,) = set(threading.enumerate()) - before
    assert thread.name == "vcsharp-control"
    doors.close()
    doors.close()
    assert not thread.is_alive()
    assert not socket_path("default").exists()
    again = Doors(runtime, "default")
    again.open()
    assert answers(socket_path("default"))
    again.close()


def test_a_path_too_long_for_a_socket_is_told(doors, run_folder, monkeypatch):
    deep = run_folder / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(VcsharpError, match=r"cannot open the socket .*too long"):
        doors.open()


def test_a_folder_that_cannot_be_written_is_told(doors, run_folder, monkeypatch):
    (run_folder / "vcsharp").touch()
    with pytest.raises(VcsharpError, match="cannot make the folder"):
        doors.open()


def test_a_system_units_socket_is_found_by_its_name(run_folder, runtime, monkeypatch):
    system = run_folder / "run"
    monkeypatch.setattr(paths, "SYSTEM_FOLDER", system)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(system / "desk"))
    doors = Doors(runtime, "desk")
    doors.open()
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    assert find_socket("desk") == system / "desk" / "desk.sock"
    assert find_socket("default") == run_folder / "vcsharp" / "default.sock"
    assert instances() == ["desk"]
    doors.close()


# ---- bounds


def test_a_long_body_is_refused_and_the_next_request_is_answered(api, runtime):
    reply = api.patch("/api/options", json={"source": "x" * LARGEST_BODY})
    assert reply.status_code == 413
    assert runtime.calls == []
    assert api.get("/api/state").status_code == 200
