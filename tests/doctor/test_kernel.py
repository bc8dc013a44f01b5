"""What keeps the kernel from loading the module; each reason planted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vcsharp.doctor import kernel
from vcsharp.doctor.finding import Finding, Status
from vcsharp.doctor.world import World

from .conftest import KERNEL, Machine, only

VIRTUAL = {"sink": ["virtual"]}
PREVIEW = {"sink": ["preview"]}
FULL_HD = "YU12:1920x1080@30"


KERNEL_CHECKS = [kernel.check_secure_boot, kernel.check_dkms, kernel.check_headers]


SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@pytest.mark.parametrize("check", KERNEL_CHECKS)
def test_the_kernel_matters_only_while_a_wanted_module_is_missing(
    machine: Machine, check: Callable[[World], list[Finding]]
) -> None:
    assert not only(check(machine.world(**PREVIEW))).checked
    machine.module()
    assert only(check(machine.world())).what == "not checked: v4l2loopback is loaded"


def test_secure_boot_without_uefi_and_switched_off_is_ok(machine: Machine) -> None:
    assert "no UEFI" in only(kernel.check_secure_boot(machine.world())).what
    machine.file(SECURE_BOOT, "\6\0\0\0\0")
    assert only(kernel.check_secure_boot(machine.world())).what == "Secure Boot is off"


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (None, "/var/lib/dkms/mok.pub"),
        ("/var/lib/dkms/mok.pub", "/var/lib/dkms/mok.pub"),
        ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/shim-signed/mok/MOK.der"),
    ],
)
def test_secure_boot_wants_the_key_enrolled(machine: Machine, key: str | None, named: str) -> None:
    machine.file(SECURE_BOOT, "\6\0\0\0\1")
    if key:
        machine.file(key)
    finding = only(kernel.check_secure_boot(machine.world()))
    assert finding.status is Status.WARNING
    assert finding.cure == f"sudo mokutil --import {named}"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("SecureBoot enabled\n", "Secure Boot is on"),
        ("SecureBoot disabled\n", "Secure Boot is off"),
        ("EFI variables are not supported\n", "cannot tell"),
        (None, "cannot tell"),
    ],
)
def test_mokutil_is_asked_where_the_firmware_s_variable_is_hidden(
    machine: Machine, said: str | None, words: str
) -> None:
    machine.file("/sys/firmware/efi/systab")
    if said is not None:
        machine.says("mokutil --sb-state", said)
    assert words in only(kernel.check_secure_boot(machine.world())).what


def test_dkms_that_is_not_there_or_has_no_such_module_is_ok(machine: Machine) -> None:
    assert not only(kernel.check_dkms(machine.world())).checked
    machine.says("dkms status", "\n")
    assert only(kernel.check_dkms(machine.world())).status is Status.OK


def test_dkms_built_for_this_kernel_is_ok(machine: Machine) -> None:
    line = f"v4l2loopback/0.15.0, {KERNEL}, x86_64: installed"
    machine.says("dkms status", f"v4l2loopback/0.15.0, 5.1, x86_64: built\n{line}\n")
    finding = only(kernel.check_dkms(machine.world()))
    assert finding.what == f"DKMS: {line}"


@pytest.mark.parametrize(
    "line",
    [
        "v4l2loopback/0.12.7, 6.1.0, x86_64: installed",
        f"v4l2loopback/0.12.7, {KERNEL}, x86_64: built",
        "v4l2loopback/0.12.7: added",
    ],
)
def test_dkms_that_did_not_build_for_this_kernel_is_a_fault(machine: Machine, line: str) -> None:
    machine.says("dkms status", line)
    finding = only(kernel.check_dkms(machine.world(**VIRTUAL)))
    assert finding.status is Status.FAILED
    assert finding.cure == f"sudo dkms autoinstall -k {KERNEL}"
    assert "log" not in finding.what.replace("v4l2loopback", "")
    machine.file("/var/lib/dkms/v4l2loopback/0.12.7/build/make.log")
    finding = only(kernel.check_dkms(machine.world()))
    assert finding.status is Status.WARNING
    assert "/var/lib/dkms/v4l2loopback/0.12.7/build/make.log" in finding.what


def test_dkms_that_fails_is_told(machine: Machine) -> None:
    machine.says("dkms status", "", 2, "Error!\nCould not open tree\n")
    assert only(kernel.check_dkms(machine.world())).what == "dkms answers: Could not open tree"


def test_missing_headers_are_told_unless_the_module_is_built(machine: Machine) -> None:
    assert not only(kernel.check_headers(machine.world())).checked
    dep = machine.file(f"/lib/modules/{KERNEL}/modules.dep")
    finding = only(kernel.check_headers(machine.world(**VIRTUAL)))
    assert finding.status is Status.FAILED
    assert finding.cure == f"sudo apt install linux-headers-{KERNEL}"
    assert only(kernel.check_headers(machine.world())).status is Status.WARNING
    machine.file(f"/lib/modules/{KERNEL}/build/Makefile")
    assert only(kernel.check_headers(machine.world())).status is Status.OK
    dep.write_text("v4l2loopback.ko:")
    assert "no headers needed" in only(kernel.check_headers(machine.world())).what
