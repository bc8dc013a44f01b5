"""Installing and removing: what is written, run, told, and left alone."""

from __future__ import annotations

import pytest

from vcsharp.errors import SettingsError, VcsharpError
from vcsharp.service.files import UNITS, is_ours, quoted
from vcsharp.service.place import Answer

UNIT = "home/systemd/user/vcsharp.service"
SYSTEM_FILES = {
    "etc/systemd/system/vcsharp@.service",
    "etc/modprobe.d/vcsharp.conf",
    "etc/modules-load.d/vcsharp.conf",
    "etc/udev/rules.d/70-vcsharp.rules",
    "etc/sysusers.d/vcsharp.conf",
}


def test_a_users_service_is_written_enabled_and_started(desk):
    desk.change().install()
    text = (desk.root / UNIT).read_text()
    assert desk.files() == {UNIT}
    assert "\nExecStart=/usr/bin/vcsharp run\n" in text
    assert is_ours(text)
    assert desk.systemd.changes == [
        "systemctl --user daemon-reload",
        "systemctl --user enable vcsharp.service",
        "systemctl --user restart vcsharp.service",
    ]


def test_what_only_root_can_do_is_told_as_commands_and_not_done(desk):
    desk.systemd.answers["id -nG"] = Answer(out="anna audio\n")
    desk.change().install()
    commands = [line for line in desk.told if line.startswith("  sudo")]
    assert len(commands) == 5
    for name in ("vcsharp.modprobe.conf", "vcsharp.modules-load.conf", "70-vcsharp.rules"):
        assert any(str(UNITS / name) in line for line in commands)
    assert any("modprobe v4l2loopback" in line for line in commands)
    assert any("usermod -aG video" in line for line in commands)
    assert not any("sudo" in line for line in desk.systemd.asked)


def test_what_is_there_already_is_not_asked_of_root(desk):
    desk.systemd.answers["id -nG"] = Answer(out="anna video\n")
    (desk.root / "sys/module/v4l2loopback").mkdir(parents=True)
    for name in SYSTEM_FILES:
        (desk.root / name).parent.mkdir(parents=True, exist_ok=True)
        (desk.root / name).touch()
    desk.change().install()
    assert not any("sudo" in line for line in desk.told)


def test_a_dry_run_shows_everything_and_touches_nothing(desk):
    desk.change(dry_run=True).install()
    assert desk.files() == set()
    assert desk.systemd.changes == []
    assert any("ExecStart=/usr/bin/vcsharp run" in line for line in desk.told)
    assert "would run systemctl --user enable vcsharp.service" in desk.told


def test_installing_twice_changes_nothing(desk):
    desk.change().install()
    desk.told.clear()
    desk.change().install()
    assert f"as it should be: {desk.root / UNIT}" in desk.told


def test_a_unit_of_an_older_version_is_replaced(desk):
    desk.change(desk.place(exe="/old/vcsharp")).install()
    desk.change().install()
    assert "/usr/bin/vcsharp" in (desk.root / UNIT).read_text()


def test_a_unit_changed_by_hand_stays_and_the_difference_is_shown(desk):
    desk.change().install()
    path = desk.root / UNIT
    path.write_text(path.read_text() + "Nice=5\n")
    with pytest.raises(VcsharpError, match=r"changed by hand.*--force"):
        desk.change().install()
    assert "  -Nice=5" in desk.told
    desk.change().remove()
    assert "Nice=5" in path.read_text()
    desk.change(force=True).install()
    assert "Nice=5" not in path.read_text()


def test_removing_undoes_installing(desk):
    (desk.root / "home/vcsharp").mkdir(parents=True)
    (desk.root / "home/vcsharp/config.toml").touch()
    before = desk.files()
    desk.change().install()
    desk.systemd.asked.clear()
    desk.change().remove()
    assert desk.files() == before
    assert desk.systemd.changes == [
        "systemctl --user disable --now vcsharp.service",
        "systemctl --user daemon-reload",
    ]
    desk.change().remove()  # again does no harm


def test_without_now_nothing_is_started_or_stopped(desk):
    desk.change(now=False).install()
    desk.change(now=False).remove()
    assert not any("restart" in line or "--now" in line for line in desk.systemd.asked)


def test_a_second_service_of_a_user_has_its_own_unit_and_settings(desk):
    desk.change(desk.place(instance="desk")).install()
    text = (desk.root / "home/systemd/user/vcsharp-desk.service").read_text()
    assert f"run --config {desk.root}/home/vcsharp/desk.toml --instance desk\n" in text


def test_root_installs_all_of_the_machines_files(desk):
    place = desk.place(system=True, instance="desk")
    desk.change(place).install()
    assert desk.files() == SYSTEM_FILES
    assert "systemctl enable vcsharp@desk.service" in desk.systemd.asked
    # Without settings there is nothing to start; it is told how.
    assert not any("restart" in line for line in desk.systemd.asked)
    assert "  sudo systemctl start vcsharp@desk.service" in desk.told
    desk.change(place).remove()
    assert desk.files() == set()


def test_the_machines_files_stay_while_another_camera_needs_them(desk):
    desk.change(desk.place(system=True, instance="desk")).install()
    wants = desk.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / "vcsharp@door.service").touch()
    desk.change(desk.place(system=True, instance="desk")).remove()
    assert desk.files() >= SYSTEM_FILES
    assert any("vcsharp@door.service" in line for line in desk.told)


def test_only_root_changes_the_machine(desk):
    place = desk.place(system=True, is_root=False)
    with pytest.raises(VcsharpError, match="sudo"):
        desk.change(place).install()
    desk.change(place, dry_run=True).install()
    assert desk.files() == set()


def test_a_system_unit_cannot_run_what_lies_in_a_home(desk):
    with pytest.raises(SettingsError, match="/opt/vcsharp"):
        desk.change(desk.place(system=True, exe="/home/anna/.local/bin/vcsharp")).install()


def test_a_module_that_is_not_installed_does_not_stop_the_rest(desk):
    desk.systemd.answers["modprobe"] = Answer(1, err="FATAL: Module v4l2loopback not found")
    desk.change(desk.place(system=True, instance="desk")).install()
    assert any("not found; vcsharp doctor" in line for line in desk.told)
    assert "systemctl enable vcsharp@desk.service" in desk.systemd.asked


@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        (Answer(127, err="systemctl: No such file or directory"), "start vcsharp run yourself"),
        (Answer(1, err="Failed to connect to bus: No medium found"), "log in as this user"),
    ],
)
def test_a_refusing_systemd_is_one_line_with_a_cure(desk, answer, cure):
    desk.systemd.answers["systemctl"] = answer
    with pytest.raises(VcsharpError, match=cure) as told:
        desk.change().install()
    assert "\n" not in str(told.value)


def test_a_folder_that_cannot_be_written_is_one_line(desk):
    (desk.root / "home").touch()
    with pytest.raises(VcsharpError, match=r"cannot (read|write)"):
        desk.change().install()


@pytest.mark.parametrize(
    ("word", "first", "written"),
    [
        ("/usr/bin/vcsharp", True, "/usr/bin/vcsharp"),
        ("/a b/vcsharp", True, '"/a b/vcsharp"'),
        ("/50%/$x", True, '"/50%%/$x"'),
        ("/50%/$x", False, '"/50%%/$$x"'),
        ('/"\\', False, '"/\\"\\\\"'),
    ],
)
def test_words_are_written_as_systemd_reads_them(word, first, written):
    assert quoted(word, first=first) == written


def test_a_path_that_systemd_cannot_start_is_refused():
    with pytest.raises(VcsharpError, match="plainer"):
        quoted("/a\nb", first=True)
