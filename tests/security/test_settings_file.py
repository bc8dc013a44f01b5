"""Settings that another user could change are not taken."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from vcsharp import settings, tomlfile
from vcsharp.errors import SettingsError
from vcsharp.settings import RunSettings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("VCSHARP_CONFIG", raising=False)
    folder = tmp_path / "vcsharp"
    folder.mkdir(mode=0o755)
    path = folder / "config.toml"
    path.write_text("tile = 64\n")
    path.chmod(0o644)
    return path


def tile(path: Path) -> int:
    return settings.load(RunSettings, {"config": str(path)}).tile


def fault(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        tile(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_only_its_owner_can_change_is_taken(file):
    assert tile(file) == 64
    file.chmod(0o600)
    assert tile(file) == 64


@pytest.mark.parametrize("mode", [0o646, 0o602, 0o666, 0o777])
def test_a_file_that_everybody_can_change_is_refused_with_the_cure(file, mode):
    file.chmod(mode)
    assert fault(file).endswith(f"close it with: chmod go-w '{file}'")
    file.chmod(stat.S_IMODE(file.stat().st_mode) & ~0o022)  # what the cure does
    assert tile(file) == 64


def test_a_file_that_a_shared_group_can_change_is_refused(file, monkeypatch):
    file.chmod(0o664)
    monkeypatch.setattr(tomlfile, "_is_private_group", lambda gid: gid != file.stat().st_gid)
    assert "can be changed by other users" in fault(file)


def test_the_group_that_a_user_has_for_himself_is_nobody_else(file, monkeypatch):
    file.chmod(0o664)
    file.parent.chmod(0o775)
    monkeypatch.setattr(tomlfile, "_is_private_group", lambda gid: gid == file.stat().st_gid)
    assert tile(file) == 64


@pytest.mark.parametrize(
    ("primary", "name", "members", "private"),
    [
        (7, "anna", [], True),
        (7, "anna", ["anna"], True),
        (7, "anna", ["anna", "ben"], False),
        (7, "users", [], False),
        (8, "anna", [], False),
    ],
)
def test_a_private_group_has_the_users_name_and_nobody_else(
    monkeypatch, primary, name, members, private
):
    import grp
    import pwd
    from types import SimpleNamespace

    user = SimpleNamespace(pw_gid=primary, pw_name="anna")
    group = SimpleNamespace(gr_name=name, gr_mem=members)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: user)
    monkeypatch.setattr(grp, "getgrgid", lambda _: group)
    assert tomlfile._is_private_group(7) is private


def test_a_folder_in_which_others_can_replace_the_file_is_refused(file):
    file.parent.chmod(0o757)
    assert fault(file).endswith(f"chmod go-w '{file.parent}'")
    file.parent.chmod(0o1757)  # as /tmp is: others cannot remove it there
    assert tile(file) == 64


def test_a_link_is_as_safe_as_what_it_leads_to(file, tmp_path):
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    assert tile(link) == 64
    file.parent.chmod(0o777)
    assert "can be changed by other users" in fault(link)


def test_a_link_that_others_can_replace_is_refused(file, tmp_path):
    (tmp_path / "open").mkdir()
    link = tmp_path / "open" / "link.toml"
    link.symlink_to(file)
    link.parent.chmod(0o777)
    assert fault(link).endswith(f"chmod go-w '{link.parent}'")


def test_a_file_of_another_user_is_refused(file, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    if file.stat().st_uid == 0:  # what root owns is trusted
        os.chown(file, 4711, -1)
    text = fault(file)
    assert "belongs to another user" in text
    assert f"sudo chown $USER '{file}'" in text


def test_what_root_owns_is_trusted(file, monkeypatch):
    if file.stat().st_uid != 0:
        pytest.skip("only root can make such a file")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert tile(file) == 64


def test_a_pipe_or_device_is_refused_before_it_can_block(tmp_path):
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    assert fault(pipe) == f"config: '{pipe}' is not a file; name a TOML file"
    assert "is not a file" in fault(Path("/dev/zero"))


def test_a_file_without_end_is_refused(file):
    file.write_text("# " + "x" * tomlfile.LARGEST_FILE_BYTES)
    assert "larger than 256 KiB" in fault(file)


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "tile = " + "9" * 5000, "a = '\0'", 'a = "\\ud800"']
)
def test_text_that_breaks_the_reader_is_refused_in_one_line(file, text):
    file.write_text(text)
    assert "is not valid TOML" in fault(file)


def test_a_password_in_a_value_of_the_wrong_kind_is_not_echoed(file):
    file.write_text('source = ["rtsp://anna:planted-secret@cam/"]\nfps = "rtsp://a:planted-s@c"\n')
    with pytest.raises(SettingsError) as caught:
        tile(file)
    assert "rtsp://***@cam/" in str(caught.value)
    assert "planted" not in str(caught.value)
