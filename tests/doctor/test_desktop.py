"""Who of the desktop finds the virtual camera: udev, PipeWire, sandboxed browsers."""

from __future__ import annotations

import json

import pytest

from vcsharp.doctor import desktop
from vcsharp.doctor.finding import Status

from .conftest import Machine, only

VIRTUAL = {"sink": ["virtual"]}
PREVIEW = {"sink": ["preview"]}
FULL_HD = "YU12:1920x1080@30"


def test_udev_is_not_asked_where_it_does_not_run(machine: Machine) -> None:
    machine.loopback()
    assert not only(desktop.check_udev(machine.world())).checked


@pytest.mark.parametrize(
    ("state", "listed", "status", "words"),
    [
        ("capture", "E:ID_V4L_CAPABILITIES=:capture:\n", Status.OK, "as a camera"),
        ("capture", "E:ID_V4L_CAPABILITIES=:video_output:\n", Status.WARNING, "':video_output:'"),
        ("capture", "E:ID_V4L_VERSION=2\n", Status.WARNING, "'nothing'"),
        ("output", "E:ID_V4L_CAPABILITIES=:video_output:\n", Status.OK, "nobody writes"),
    ],
)
def test_udev_s_book_is_compared_with_the_device(
    machine: Machine, state: str, listed: str, status: Status, words: str
) -> None:
    machine.loopback(state=state)
    machine.file("/run/udev/data/c81:10", listed)
    finding = only(desktop.check_udev(machine.world()))
    assert finding.status is status
    assert words in finding.what
    if status is not Status.OK:
        assert finding.cure == "sudo udevadm trigger --action=change --name-match=/dev/video10"


def dump(*paths: str) -> str:
    nodes = [
        {"info": {"props": {"media.class": "Video/Source", "api.v4l2.path": path}}}
        for path in paths
    ]
    return json.dumps([*nodes, {"info": None}, {"info": {"props": {"media.class": "Audio/Sink"}}}])


def test_pipewire_sees_the_device_or_has_to_look_again(machine: Machine) -> None:
    machine.loopback(state="capture")
    machine.says("pw-dump", dump("/dev/video10"))
    assert only(desktop.check_pipewire(machine.world())).status is Status.OK
    machine.says("pw-dump", dump("/dev/video0"))
    finding = only(desktop.check_pipewire(machine.world()))
    assert finding.status is Status.WARNING
    assert finding.cure == "systemctl --user restart wireplumber"


def test_pipewire_is_not_blamed_while_nobody_writes(machine: Machine) -> None:
    machine.loopback()
    assert "nobody writes" in only(desktop.check_pipewire(machine.world())).what


def test_pipewire_may_be_missing_or_not_running(machine: Machine) -> None:
    machine.loopback(state="", captures=True)
    finding = only(desktop.check_pipewire(machine.world()))
    assert finding.what == "not checked: PipeWire is not installed (no pw-dump)"
    machine.says("pw-dump", "", 255, "can't connect: Host is down\n")
    finding = only(desktop.check_pipewire(machine.world()))
    assert finding.what.endswith("can't connect: Host is down")
    assert not finding.checked


SNAPS = """\
Interface  Plug             Slot     Notes
camera     chromium:camera  :camera  manual
camera     firefox:camera   -        -
network    firefox:network  :network -
"""


def test_sandboxes_that_are_not_installed_are_not_checked(machine: Machine) -> None:
    assert not only(desktop.check_sandbox(machine.world())).checked


def test_snaps_without_camera_are_told(machine: Machine) -> None:
    machine.says("snap connections --all", SNAPS)
    finding = only(desktop.check_sandbox(machine.world()))
    assert finding.status is Status.WARNING
    assert finding.cure == "sudo snap connect firefox:camera"
    machine.says("snap connections --all", SNAPS.replace("camera   -   ", "camera   :camera"))
    assert only(desktop.check_sandbox(machine.world())).status is Status.OK
    machine.says("snap connections --all", "", 1, "error: cannot communicate with server")
    assert not only(desktop.check_sandbox(machine.world())).checked


def test_flatpaks_that_were_refused_the_camera_are_told(machine: Machine) -> None:
    head = "Table   Object App                 Permissions Data\n"
    machine.says("flatpak permissions", f"{head}devices camera org.mozilla.firefox no 0x00\n")
    finding = only(desktop.check_sandbox(machine.world()))
    assert finding.status is Status.WARNING
    assert finding.cure == "flatpak permission-set devices camera org.mozilla.firefox yes"
    machine.says("flatpak permissions", f"{head}devices camera org.mozilla.firefox yes 0x00\n")
    assert only(desktop.check_sandbox(machine.world())).status is Status.OK
    machine.says("flatpak permissions", "", 1, "error: no session bus")
    assert not only(desktop.check_sandbox(machine.world())).checked
