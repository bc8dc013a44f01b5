"""Why v4l2loopback cannot be loaded: Secure Boot, DKMS, kernel headers.

None of it matters while the module is loaded, or where no sink wants it.
"""

from __future__ import annotations

from vcsharp.doctor.distribution import install
from vcsharp.doctor.finding import Finding, fault, ok, skipped, warning
from vcsharp.doctor.loopback import is_installed, is_loaded, needs_virtual, uses_virtual
from vcsharp.doctor.world import World

_SECURE_BOOT = (
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"  # EFI's own GUID
)
_OWNER_KEYS = ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub")


def check_secure_boot(world: World) -> list[Finding]:
    """Does the firmware make the kernel refuse modules that nobody signed?"""
    needless = _needless(world)
    if needless:
        return [skipped(needless)]
    if not world.path("/sys/firmware/efi").exists():
        return [ok("no UEFI, so no Secure Boot that could refuse v4l2loopback")]
    state = _secure_boot(world)
    if state is None:
        return [warning("cannot tell whether Secure Boot is on", "mokutil --sb-state")]
    if not state:
        return [ok("Secure Boot is off")]
    keys = [key for key in _OWNER_KEYS if world.path(key).exists()]
    what = "Secure Boot is on: the kernel refuses v4l2loopback unless its key is enrolled; enrol "
    cure = f"sudo mokutil --import {keys[0] if keys else _OWNER_KEYS[-1]}"
    return [warning(f"{what}it, restart, and confirm on the blue screen", cure)]


def check_dkms(world: World) -> list[Finding]:
    """Did DKMS build the module for the kernel that runs?"""
    needless = _needless(world)
    if needless:
        return [skipped(needless)]
    answer = world.run(["dkms", "status", "v4l2loopback"])
    if answer is None:
        return [skipped("DKMS is not installed")]
    if answer.code:
        return [warning(f"dkms answers: {answer.why}", "sudo dkms status v4l2loopback")]
    lines = [line.strip() for line in answer.out.splitlines() if line.strip()]
    return [_dkms_state(world, lines)]


def check_headers(world: World) -> list[Finding]:
    """Are there the headers that DKMS builds against?"""
    needless = _needless(world)
    if needless:
        return [skipped(needless)]
    if is_installed(world):
        return [ok("the module is built; no headers needed until the next kernel")]
    folder = f"/lib/modules/{world.release}"
    if not world.path(folder).exists():
        return [skipped(f"'{folder}' does not exist here")]
    if world.path(f"{folder}/build").exists():
        return [ok(f"the headers of kernel {world.release} are installed")]
    what = f"the headers of kernel {world.release} are missing: v4l2loopback cannot be built"
    return [fault(what, install(world, "headers"), needed=needs_virtual(world))]


def _needless(world: World) -> str:
    """Why there is no need to look; empty where there is."""
    if is_loaded(world):
        return "v4l2loopback is loaded"
    return "" if uses_virtual(world) else "no sink needs v4l2loopback"


def _secure_boot(world: World) -> bool | None:
    """From the firmware's variable (four bytes of attributes, then the value), else by mokutil."""
    try:
        return world.path(_SECURE_BOOT).read_bytes()[-1:] == b"\1"
    except OSError:
        answer = world.run(["mokutil", "--sb-state"])
    said = answer.out.lower() if answer else ""
    return None if "secureboot" not in said else "enabled" in said


def _dkms_state(world: World, lines: list[str]) -> Finding:
    """A line is `v4l2loopback/0.15.0, 6.8.0-45-generic, x86_64: installed`."""
    ours = [line for line in lines if f", {world.release}," in line]
    if any(line.rpartition(": ")[2].startswith("installed") for line in ours):
        return ok(f"DKMS: {ours[0]}")
    if not lines:
        return ok("DKMS has no v4l2loopback; it may come from elsewhere")
    what = f"DKMS did not install v4l2loopback for kernel {world.release}: {lines[0]}"
    log = sorted(world.path("/var/lib/dkms/v4l2loopback").glob("*/build/make.log"))
    if log:
        what += f"; the build's log is /{log[-1].relative_to(world.root)}"
    cure = f"sudo dkms autoinstall -k {world.release}"
    return fault(what, cure, needed=needs_virtual(world))
