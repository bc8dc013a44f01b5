"""The virtual camera: module, kernel, devices, and who finds them; each with its planted fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vcsharp.doctor import desktop, loopback
from vcsharp.doctor.finding import Finding, Status
from vcsharp.doctor.world import World

from .conftest import KERNEL, Machine, only, worst

VIRTUAL = {"sink": ["virtual"]}
PREVIEW = {"sink": ["preview"]}
FULL_HD = "YU12:1920x1080@30"


@pytest.mark.parametrize(
    ("sinks", "status"),
    [
        (["auto"], Status.WARNING),
        (["virtual"], Status.FAILED),
        (["preview", "/dev/video10"], Status.FAILED),
        (["pyvirtualcam:/dev/video1"], Status.FAILED),
        (["preview", "a.mp4"], Status.OK),
    ],
)
def test_a_missing_module_is_as_bad_as_the_sinks_need_it(
    machine: Machine, sinks: list[str], status: Status
) -> None:
    assert only(loopback.check_module(machine.world(sink=sinks))).status is status


@pytest.mark.parametrize(
    ("release", "cure"),
    [
        ("", "sudo apt install v4l2loopback-dkms && "),
        ("ID=debian", "sudo apt install v4l2loopback-dkms && "),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "sudo apt install v4l2loopback-dkms && "),
        ("ID=fedora", "sudo dnf install akmod-v4l2loopback && "),
        ("ID=manjaro\nID_LIKE=arch", "sudo pacman -S v4l2loopback-dkms && "),
        ('ID="opensuse-leap"\nID_LIKE="suse"', "sudo zypper install v4l2loopback-kmp-default && "),
    ],
)
def test_the_module_is_installed_as_the_distribution_does_it(
    machine: Machine, release: str, cure: str
) -> None:
    machine.file("/etc/os-release", f"{release}\nnonsense\n")
    machine.file(f"/lib/modules/{KERNEL}/modules.dep", "kernel/other.ko:\n")
    finding = only(loopback.check_module(machine.world()))
    assert f"not installed for kernel {KERNEL}" in finding.what
    assert finding.cure == f"{cure}{loopback.LOAD}"


def test_an_installed_module_only_has_to_be_loaded(machine: Machine) -> None:
    machine.file(f"/lib/modules/{KERNEL}/modules.dep", "updates/dkms/v4l2loopback.ko.xz: a.ko\n")
    finding = only(loopback.check_module(machine.world()))
    assert "installed but not loaded" in finding.what
    assert finding.cure == loopback.LOAD


def test_a_kernel_without_modules_is_a_container_or_awaits_a_restart(machine: Machine) -> None:
    finding = only(loopback.check_module(machine.world()))
    assert f"'/lib/modules/{KERNEL}' does not exist" in finding.what
    assert "container" in finding.what


@pytest.mark.parametrize(
    ("version", "release", "words"),
    [
        ("0.12.7", KERNEL, "keeps the camera on"),
        ("0.13.2", KERNEL, "torn frames"),
        ("0.15.2", "6.18.1", "can crash kernel 6.18.1"),
        ("mine", KERNEL, "its version cannot be told"),
    ],
)
def test_old_versions_are_told_with_their_fault(
    machine: Machine, version: str, release: str, words: str
) -> None:
    machine.module(version)
    machine.facts["release"] = release
    finding = only(loopback.check_module(machine.world()))
    assert finding.status is Status.WARNING
    assert f"v4l2loopback {version} is loaded" in finding.what
    assert words in finding.what
    assert finding.cure


@pytest.mark.parametrize(
    ("version", "release"), [("0.14.0", KERNEL), ("0.15.3", "6.18.0"), ("0.15.4", "7.0")]
)
def test_good_versions_are_ok(machine: Machine, version: str, release: str) -> None:
    machine.module(version)
    machine.facts["release"] = release
    assert only(loopback.check_module(machine.world())).status is Status.OK


def test_release_0_12_which_does_not_name_itself_is_known_by_its_devices(machine: Machine) -> None:
    machine.loopback("video10", state="")
    machine.module("")
    finding = only(loopback.check_module(machine.world()))
    assert finding.status is Status.WARNING
    assert "v4l2loopback 0.12 is loaded" in finding.what
    assert "modprobe" in finding.cure


def test_an_update_makes_the_same_devices_again(machine: Machine) -> None:
    machine.loopback("video4", name="talk")
    machine.module("0.12.7")
    finding = only(loopback.check_module(machine.world()))
    assert finding.cure.endswith(
        "sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback devices=1 video_nr=4 "
        'card_label="talk" exclusive_caps=1'
    )


def test_a_module_that_goes_with_the_next_restart_is_told(machine: Machine) -> None:
    machine.module(lasting=False)
    machine.file("/etc/modules-load.d/other.conf", "# v4l2loopback\nloop\n")
    finding = worst(loopback.check_module(machine.world()))
    assert finding.status is Status.WARNING
    assert finding.cure == "echo v4l2loopback | sudo tee /etc/modules-load.d/vcsharp.conf"
    machine.file("/etc/modules", "v4l2loopback\n")
    assert worst(loopback.check_module(machine.world())).status is Status.OK


def test_a_module_without_devices(machine: Machine) -> None:
    assert not only(loopback.check_devices(machine.world())).checked
    machine.module()
    finding = only(loopback.check_devices(machine.world()))
    assert finding.status is Status.WARNING
    assert only(loopback.check_devices(machine.world(**VIRTUAL))).status is Status.FAILED


def test_a_sink_that_is_no_virtual_camera_fails(machine: Machine) -> None:
    machine.loopback()
    machine.camera()
    fine, bad = loopback.check_devices(machine.world(sink=["/dev/video10", "/dev/video0"]))
    assert fine.what == '/dev/video10 "vcsharp" is a virtual camera'
    assert bad.status is Status.FAILED
    assert bad.what == "sink '/dev/video0' is no virtual camera; there are: /dev/video10"
    assert bad.cure == "vcsharp run --sink /dev/video10"


@pytest.mark.parametrize(
    "check",
    [
        loopback.check_exclusive,
        loopback.check_readers,
        loopback.check_format,
        desktop.check_udev,
        desktop.check_pipewire,
    ],
)
def test_without_a_device_there_is_nothing_to_check(
    machine: Machine, check: Callable[[World], list[Finding]]
) -> None:
    machine.module()
    finding = only(check(machine.world()))
    assert finding.what == "not checked: there is no virtual camera"
    assert not finding.checked


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"captures": True, "outputs": True}, Status.WARNING),
        ({"captures": False, "outputs": True}, Status.OK),
        ({"captures": True, "outputs": False}, Status.OK),
        ({"error": 13}, Status.WARNING),
    ],
)
def test_exclusive_caps_is_seen_from_the_device_itself(
    machine: Machine, facts: dict[str, Any], status: Status
) -> None:
    machine.loopback(**facts)
    assert only(loopback.check_exclusive(machine.world())).status is status


def test_exclusive_caps_for_the_first_device_only(machine: Machine) -> None:
    machine.loopback("video10", name="one")
    machine.loopback("video11", name="two", captures=True)
    first, second = loopback.check_exclusive(machine.world())
    assert first.status is Status.OK
    assert "one value for each device" in second.what
    assert second.cure == (
        "sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback devices=2 video_nr=10,11 "
        'card_label="one,two" exclusive_caps=1,1'
    )


@pytest.mark.parametrize("numbers", ["10,11,-1", "-1,-1,-1"])
def test_a_reader_that_waits_does_not_hide_exclusive_caps(machine: Machine, numbers: str) -> None:
    for name in ("video10", "video11"):
        machine.loopback(name, captures=True)
        machine.program(int(name[5:]), "zoom", f"/dev/{name}")
    machine.file("/sys/module/v4l2loopback/parameters/exclusive_caps", "Y,N,N\n")
    machine.file("/sys/module/v4l2loopback/parameters/video_nr", f"{numbers}\n")
    found = loopback.check_exclusive(machine.world())
    assert [finding.status for finding in found] == [Status.OK, Status.WARNING]


def test_readers_and_places_are_counted(machine: Machine) -> None:
    machine.loopback()
    machine.program(3, "zoom", "/dev/video10")
    places, limit = loopback.check_readers(machine.world())
    assert places.what == '/dev/video10 "vcsharp" is open 1 times of 10: zoom (pid 3)'
    assert "one reader each" in limit.what


def test_an_unused_device_names_nobody(machine: Machine) -> None:
    machine.loopback(max_openers="unreadable")
    places, _ = loopback.check_readers(machine.world())
    assert places.what.endswith("is open 0 times of 10")


def test_before_0_13_several_programs_may_read(machine: Machine) -> None:
    machine.loopback()
    machine.module("0.12.7")
    assert "several programs can look" in loopback.check_readers(machine.world())[1].what


def test_a_device_without_a_place_left_fails(machine: Machine) -> None:
    machine.loopback(max_openers="2")
    machine.program(3, "zoom", "/dev/video10", "/dev/video10")
    finding = worst(loopback.check_readers(machine.world()))
    assert finding.status is Status.FAILED
    assert finding.cure == "kill 3"


def test_a_device_filled_by_vcsharp_alone_needs_more_places(machine: Machine) -> None:
    machine.loopback(max_openers="1")
    machine.program(3, "vcsharp", "/dev/video10")
    finding = worst(loopback.check_readers(machine.world()))
    assert finding.status is Status.FAILED
    assert finding.cure.endswith("max_openers=10")


def test_few_places_are_a_warning(machine: Machine) -> None:
    machine.loopback(max_openers="2")
    finding = worst(loopback.check_readers(machine.world()))
    assert finding.status is Status.WARNING
    assert finding.cure.endswith("exclusive_caps=1 max_openers=10")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "takes any format"),
        ({"format": FULL_HD, "state": "capture", "keep_format": True}, "is kept at"),
        ({"format": FULL_HD}, "is kept at"),
    ],
)
def test_a_free_or_fitting_format_is_ok(
    machine: Machine, facts: dict[str, Any], words: str
) -> None:
    machine.loopback(**facts)
    finding = only(loopback.check_format(machine.world(**VIRTUAL)))
    assert finding.status is Status.OK
    assert words in finding.what


def test_our_own_writer_is_ok_whatever_it_writes(machine: Machine) -> None:
    machine.loopback(format="YUYV:640x480@30", state="capture")
    machine.program(3, "vcsharp", "/dev/video10")
    assert only(loopback.check_format(machine.world(**VIRTUAL))).status is Status.OK


@pytest.mark.parametrize("holder", ["obs", None])
def test_another_writer_is_found_even_in_our_format(machine: Machine, holder: str | None) -> None:
    machine.loopback(format=FULL_HD, state="capture")
    if holder:
        machine.program(3, holder, "/dev/video10")
    finding = only(loopback.check_format(machine.world(**VIRTUAL)))
    assert finding.status is Status.FAILED
    assert f"writes {FULL_HD} to" in finding.what
    assert finding.cure == ("kill 3" if holder else "sudo fuser -v /dev/video10")


def test_keep_format_at_another_size_is_unset(machine: Machine) -> None:
    machine.loopback(format="BGR4:640x480@30", state="capture", keep_format=True)
    finding = only(loopback.check_format(machine.world()))
    assert finding.status is Status.WARNING
    assert "keep_format is set" in finding.what
    assert finding.cure == "v4l2-ctl -d /dev/video10 -c keep_format=0"


def test_a_reader_that_holds_another_format_is_named(machine: Machine) -> None:
    machine.loopback(format="YUYV:640x480@30")
    machine.program(3, "zoom", "/dev/video10")
    finding = only(loopback.check_format(machine.world(sink=["/dev/video10"])))
    assert finding.status is Status.FAILED
    assert "while zoom (pid 3) has it open" in finding.what
    assert finding.cure == "kill 3"


def test_a_hidden_owner_of_another_format_can_be_followed(machine: Machine) -> None:
    machine.loopback(format="YUYV:640x480@30", keep_format=None)
    machine.loopback("video11")
    finding = loopback.check_format(machine.world(**VIRTUAL))[0]
    assert finding.status is Status.WARNING
    assert finding.cure == ("vcsharp run --sink /dev/video10 --size 640x480 --pixel-format YUYV")
