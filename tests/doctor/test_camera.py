"""Cameras: each way in which one can be missing, mute, slow, taken or forbidden."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from vcsharp.doctor import camera
from vcsharp.doctor.finding import Status
from vcsharp.doctor.machine import Group
from vcsharp.doctor.video import Mode

from .conftest import GOOD_MODES, Machine, worst

Plant = Callable[[Machine], None]


def test_a_camera_is_shown_with_its_lasting_name(machine: Machine) -> None:
    machine.camera()
    link = machine.root / "dev/v4l/by-id/usb-C920-video-index0"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../video0")
    (finding,) = camera.check_cameras(machine.world())
    assert finding.status is Status.OK
    assert finding.what == (
        '/dev/video0 "C920" is a camera; lasting name /dev/v4l/by-id/usb-C920-video-index0'
    )


def test_metadata_nodes_are_told_from_cameras(machine: Machine) -> None:
    machine.camera()
    machine.camera("video1", captures=False, modes=())
    machine.loopback()
    first, second = camera.check_cameras(machine.world())
    assert first.what == '/dev/video0 "C920" is a camera'
    assert second.status is Status.OK
    assert second.what.startswith("/dev/video1: belongs to a camera, carries no pictures")


def test_no_camera_is_a_warning_while_the_demo_can_stand_in(machine: Machine) -> None:
    (finding,) = camera.check_cameras(machine.world())
    assert finding.status is Status.WARNING
    assert "demo scene" in finding.what
    assert "docker" not in finding.what
    assert finding.cure == "vcsharp doctor --only cameras"


@pytest.mark.parametrize("mark", ["/.dockerenv", "/run/.containerenv"])
def test_in_a_container_the_camera_has_to_be_handed_in(machine: Machine, mark: str) -> None:
    machine.file(mark)
    (finding,) = camera.check_cameras(machine.world())
    assert "docker run --device /dev/video0" in finding.what


def test_a_usb_camera_without_driver_is_recognised(machine: Machine) -> None:
    machine.file("/sys/bus/usb/devices/1-2:1.0/bInterfaceClass", "0e\n")
    (finding,) = camera.check_cameras(machine.world())
    assert (finding.status, finding.cure) == (Status.WARNING, "sudo modprobe uvcvideo")
    (finding,) = camera.check_cameras(machine.world(source="0"))
    assert (finding.status, finding.cure) == (Status.FAILED, "sudo modprobe uvcvideo")


@pytest.mark.parametrize("source", ["rtsp://me:planted@host/x", "demo", "talk.mp4"])
def test_other_sources_need_no_camera_and_show_no_password(machine: Machine, source: str) -> None:
    (finding,) = camera.check_cameras(machine.world(source=source))
    assert finding.status is Status.OK
    assert "none needed" in finding.what
    assert "planted" not in finding.what


@pytest.mark.parametrize(
    ("source", "words", "cure"),
    [
        ("7", "is not there; cameras found: /dev/video0", "vcsharp run --source /dev/video0"),
        ("/dev/video1", "takes no pictures: a metadata", "vcsharp run --source /dev/video0"),
        ("/dev/v4l/by-id/gone", "is not there", "vcsharp run --source /dev/video0"),
    ],
)
def test_a_named_camera_that_is_none_fails(
    machine: Machine, source: str, words: str, cure: str
) -> None:
    machine.camera()
    machine.camera("video1", captures=False)
    (finding,) = camera.check_cameras(machine.world(source=source))
    assert finding.status is Status.FAILED
    assert words in finding.what
    assert finding.cure == cure


def test_a_named_camera_fails_where_there_is_none_at_all(machine: Machine) -> None:
    (finding,) = camera.check_cameras(machine.world(source="0"))
    assert (finding.status, finding.cure) == (Status.FAILED, "vcsharp devices")
    assert finding.what.endswith("cameras found: none")


def test_a_named_camera_that_is_there_is_ok(machine: Machine) -> None:
    machine.camera("video3")
    (finding,) = camera.check_cameras(machine.world(source="3"))
    assert finding.status is Status.OK


def test_full_hd_at_thirty_by_mjpg_is_ok(machine: Machine) -> None:
    machine.camera()
    (finding,) = camera.check_modes(machine.world())
    assert finding.what == "/dev/video0 offers 1920x1080 at 30 fps (MJPG)"


def test_full_hd_without_mjpg_gets_a_remark(machine: Machine) -> None:
    machine.camera(modes=(Mode("YUYV", 1920, 1080, 29.97),))
    (finding,) = camera.check_modes(machine.world())
    assert finding.status is Status.OK
    assert "without MJPG" in finding.what


@pytest.mark.parametrize(
    ("modes", "words", "cure"),
    [
        (
            (Mode("YUYV", 1920, 1080, 5.0), Mode("MJPG", 1280, 720, 30.0), GOOD_MODES[0]),
            "only at 5 fps (YUYV); best for it is MJPG 1280x720 at 30 fps",
            "vcsharp run --source /dev/video0 --size 1280x720 --fps 30",
        ),
        (
            (Mode("MJPG", 640, 480, 15.0), Mode("YUYV", 640, 480, 15.0)),
            "not in this size; best for it is MJPG 640x480 at 15 fps",
            "vcsharp run --source /dev/video0 --size 640x480 --fps 15",
        ),
    ],
)
def test_a_camera_too_slow_for_full_hd_is_told_with_its_best_mode(
    machine: Machine, modes: tuple[Mode, ...], words: str, cure: str
) -> None:
    machine.camera(modes=modes)
    (finding,) = camera.check_modes(machine.world())
    assert finding.status is Status.WARNING
    assert words in finding.what
    assert finding.cure == cure


def test_modes_are_measured_against_the_wanted_size(machine: Machine) -> None:
    machine.camera()
    (finding,) = camera.check_modes(machine.world(size="640x480", fps=30))
    assert finding.what.startswith("/dev/video0 offers 640x480 at 30 fps (YUYV)")
    machine.camera()
    (finding,) = camera.check_modes(machine.world(fps=60))
    assert finding.status is Status.WARNING


def test_modes_of_no_camera_are_not_checked(machine: Machine) -> None:
    machine.camera(captures=False, error=errno.EACCES, modes=())
    (finding,) = camera.check_modes(machine.world())
    assert not finding.checked


def test_a_free_camera_has_no_holder(machine: Machine) -> None:
    machine.camera()
    machine.program(5, "browser", "/dev/video0")
    (finding,) = camera.check_holders(machine.world())
    assert finding.status is Status.OK


def busy_by_zoom(machine: Machine) -> None:
    machine.camera(busy=True)
    machine.program(77, "zoom", "/dev/null", "/dev/video0", "/dev/video0")


def test_the_program_that_holds_the_camera_is_named(machine: Machine) -> None:
    busy_by_zoom(machine)
    (finding,) = camera.check_holders(machine.world())
    assert finding.status is Status.WARNING
    assert "in use by zoom (pid 77); close it" in finding.what
    assert finding.cure == "kill 77"


def test_a_named_camera_that_is_taken_fails(machine: Machine) -> None:
    busy_by_zoom(machine)
    (finding,) = camera.check_holders(machine.world(source="0"))
    assert finding.status is Status.FAILED


def test_another_user_s_program_can_only_be_found_by_root(machine: Machine) -> None:
    machine.camera(captures=False, busy=True, error=errno.EBUSY, card="")
    (finding,) = camera.check_holders(machine.world())
    assert finding.cure == "sudo fuser -v /dev/video0"


@pytest.mark.parametrize(
    "command",
    ["/home/me/.local/bin/vcsharp run", "python3 /x/bin/vcsharp run", "python3 -m vcsharp run"],
)
def test_vcsharp_itself_may_hold_the_camera(machine: Machine, command: str) -> None:
    machine.camera(busy=True)
    machine.program(9, "python3", "/dev/video0", command=command)
    (finding,) = camera.check_holders(machine.world(source="0"))
    assert finding.status is Status.OK
    assert "pid 9" in finding.what


def test_we_ourselves_are_no_holder(machine: Machine) -> None:
    machine.camera(busy=True)
    machine.program(9, "vcsharp", "/dev/video0")
    machine.facts["pid"] = 9
    (finding,) = camera.check_holders(machine.world())
    assert finding.status is Status.WARNING


def test_processes_that_end_or_are_another_user_s_are_passed_over(machine: Machine) -> None:
    machine.camera(busy=True)
    machine.program(5, "zoom", "/dev/video0")
    (machine.root / "proc/5/comm").unlink()
    (machine.root / "proc/6").mkdir()
    (machine.root / "proc/7/fd").mkdir(parents=True)
    (machine.root / "proc/7/fd/0").write_text("not a link")
    (finding,) = camera.check_holders(machine.world())
    assert "a program (pid 5)" in finding.what


def test_root_may_open_everything(machine: Machine) -> None:
    machine.camera()
    machine.facts["uid"] = 0
    (finding,) = camera.check_access(machine.world())
    assert finding.what == "root may open every device"


VIDEO = 44


@pytest.mark.parametrize(
    ("facts", "members", "words", "status"),
    [
        ({"gids": frozenset({VIDEO})}, (), "has the group video", Status.OK),
        ({"environ": {"DISPLAY": ":0"}}, (), "by sitting at the machine", Status.OK),
        ({"environ": {"WAYLAND_DISPLAY": "w"}}, (), "by sitting at the machine", Status.OK),
        ({}, (), "services and remote logins", Status.WARNING),
        ({}, ("me",), "after this login", Status.WARNING),
    ],
)
def test_membership_of_the_group_is_told_from_what_the_login_has(
    machine: Machine, facts: dict[str, Any], members: tuple[str, ...], words: str, status: Status
) -> None:
    machine.facts |= facts
    machine.groups["video"] = Group(VIDEO, members)
    (finding,) = camera.check_access(machine.world())
    assert finding.status is status
    assert words in finding.what


def test_cures_of_a_missing_group(machine: Machine) -> None:
    machine.groups["video"] = Group(VIDEO)
    assert worst(camera.check_access(machine.world())).cure == "sudo usermod -aG video me"
    machine.groups["video"] = Group(VIDEO, ("me",))
    assert worst(camera.check_access(machine.world())).cure == "newgrp video"


def test_a_system_without_the_group_is_no_fault(machine: Machine) -> None:
    machine.camera()
    (finding,) = camera.check_access(machine.world())
    assert finding.what == "this login may open /dev/video0; this system has no group video"


@pytest.mark.parametrize("name", ["video0", "nvidia0", "nvidiactl"])
def test_a_device_that_may_not_be_opened_fails(machine: Machine, name: str) -> None:
    machine.file(f"/dev/{name}")
    machine.closed = {name}
    (finding,) = camera.check_access(machine.world())
    assert finding.status is Status.FAILED
    assert f"no permission to open /dev/{name}" in finding.what
    assert finding.cure == "sudo usermod -aG video me"


def test_the_group_of_a_device_is_the_one_to_join(machine: Machine) -> None:
    machine.file("/dev/nvidia0")
    machine.closed = {"nvidia0"}
    machine.groups["render"] = Group(os.getgid())
    (finding,) = camera.check_access(machine.world())
    assert finding.cure == "sudo usermod -aG render me"
    machine.groups["render"] = Group(os.getgid(), ("me",))
    (finding,) = camera.check_access(machine.world())
    assert "you joined the group render after this login" in finding.what
    assert finding.cure == "newgrp render"
