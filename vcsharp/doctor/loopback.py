"""The virtual camera: v4l2loopback, its version, and each of its devices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vcsharp.doctor.camera import is_loopback, wanted_size
from vcsharp.doctor.distribution import install
from vcsharp.doctor.finding import Finding, failed, fault, ok, skipped, warning
from vcsharp.doctor.processes import Program, names
from vcsharp.doctor.video import VideoNode
from vcsharp.doctor.world import World

LOAD = "sudo modprobe v4l2loopback video_nr=10 card_label=vcsharp exclusive_caps=1"
MODULE = "/sys/module/v4l2loopback"
NO_DEVICE = "there is no virtual camera"

_FEWEST_OPENERS = 4
"""vcsharp itself opens a device twice; one reader, and PipeWire which looks at it."""
_FORMAT = re.compile(r"(\S+):(\d+)x(\d+)(?:@\S*)?")


@dataclass(frozen=True, slots=True)
class Loopback:
    """A device of v4l2loopback, as sysfs and the device itself describe it."""

    node: VideoNode
    label: str
    state: str
    """`capture` while a program writes or keep_format is set, else `output`; of no use in 0.12."""
    format: str
    """`YU12:1920x1080@30`; empty while nobody owns it."""
    openers: Sequence[Program]
    max_openers: int

    @property
    def ours(self) -> bool:
        """Whether a vcsharp has it open."""
        return any(program.is_vcsharp for program in self.openers)

    @property
    def others(self) -> list[Program]:
        """Programs that have it open, vcsharp left out."""
        return [program for program in self.openers if not program.is_vcsharp]

    def __str__(self) -> str:
        return f'{self.node.path} "{self.label}"' if self.label else self.node.path


def loopbacks(world: World) -> list[Loopback]:
    """All devices of v4l2loopback."""
    return [_loopback(world, node) for node in world.nodes() if is_loopback(world, node)]


def needs_virtual(world: World) -> bool:
    """Whether the settings ask for a virtual camera; `auto` can do without."""
    return any(
        sink in ("virtual", "pyvirtualcam") or sink.startswith(("/dev/", "pyvirtualcam:"))
        for sink in world.settings.sink
    )


def uses_virtual(world: World) -> bool:
    """Whether a run would take a virtual camera if there was one."""
    return needs_virtual(world) or "auto" in world.settings.sink


def is_loaded(world: World) -> bool:
    """Whether the kernel has the module now."""
    return world.path(MODULE).exists()


def is_installed(world: World) -> bool:
    """Whether the running kernel could load the module."""
    modules = world.text(f"/lib/modules/{world.release}/modules.dep") or ""
    return "v4l2loopback.ko" in modules


def version_of(text: str) -> tuple[int, ...]:
    """(0, 15, 3) for `0.15.3`; as far as it is made of numbers."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, match[0].split("."))) if match else ()


def check_module(world: World) -> list[Finding]:
    """Is v4l2loopback loaded, and is it a version to live with?"""
    if is_loaded(world):
        return [_version(world), *_after_restart(world)]
    if not uses_virtual(world):
        return [ok("v4l2loopback is not loaded, and not needed by these sinks")]
    return [fault(*_absence(world), needed=needs_virtual(world))]


def _absence(world: World) -> tuple[str, str]:
    told = "no program can choose vcsharp as its camera: v4l2loopback is"
    if is_installed(world):
        return f"{told} installed but not loaded", LOAD
    folder = f"/lib/modules/{world.release}"
    if not world.path(folder).exists():
        what = f"{told} not loaded, and '{folder}' does not exist (a container, or the kernel was "
        return f"{what}updated and awaits a restart); load it on the host", LOAD
    return f"{told} not installed for kernel {world.release}", f"{_install(world)} && {LOAD}"


def _install(world: World) -> str:
    return install(world, "v4l2loopback")


def _version(world: World) -> Finding:
    text = world.text(f"{MODULE}/version") or _old_release(world)
    version, kernel = version_of(text), version_of(world.release)
    said = f"v4l2loopback {text} is loaded"
    if not version:
        return warning(f"{said}; its version cannot be told", "modinfo -F version v4l2loopback")
    found = loopbacks(world)
    update = f"{_install(world)} && {_reload(found) if found else LOAD}"
    if version < (0, 13):
        what = f"{said}; before 0.13 any program that has a virtual camera open keeps the camera on"
        return warning(f"{what}; 0.14 or newer is advised", update)
    if version < (0, 14):
        what = f"{said}; before 0.14 programs that map its buffers may see torn frames"
        return warning(what, update)
    if kernel >= (6, 18) and version < (0, 15, 3):
        what = f"{said}; before 0.15.3 it can crash kernel {world.release} (6.18 and newer)"
        return warning(what, update)
    return ok(said)


def _old_release(world: World) -> str:
    """0.12 does not say which release it is; its devices lack a file that later ones have."""
    return "0.12" if any(not device.state for device in loopbacks(world)) else "unknown"


def _after_restart(world: World) -> list[Finding]:
    folders = ("/etc/modules-load.d", "/usr/lib/modules-load.d", "/lib/modules-load.d")
    paths = [path for folder in folders for path in world.path(folder).glob("*.conf")]
    lines = "\n".join(path.read_text("utf-8", "replace") for path in paths).splitlines()
    lines += (world.text("/etc/modules") or "").splitlines()
    if "v4l2loopback" in map(str.strip, lines):
        return []
    what = "v4l2loopback is loaded now, but will not be after a restart"
    return [warning(what, "echo v4l2loopback | sudo tee /etc/modules-load.d/vcsharp.conf")]


def check_devices(world: World) -> list[Finding]:
    """Are there the virtual cameras that the sinks name?"""
    if not is_loaded(world):
        return [skipped("v4l2loopback is not loaded")]
    found = loopbacks(world)
    if not found:
        what = "v4l2loopback is loaded, but has no device"
        cure = f"sudo modprobe -r v4l2loopback && {LOAD}"
        return [fault(what, cure, needed=needs_virtual(world))]
    listed = [ok(f"{device} is a virtual camera") for device in found]
    return listed + _missing_sinks(world, found)


def _missing_sinks(world: World, found: Sequence[Loopback]) -> list[Finding]:
    names = {device.node.name for device in found}
    wanted = [sink for sink in world.settings.sink if sink.startswith("/dev/")]
    missing = [sink for sink in wanted if world.path(sink).resolve().name not in names]
    paths = ", ".join(device.node.path for device in found)
    return [
        failed(
            f"sink '{sink}' is no virtual camera; there are: {paths}",
            f"vcsharp run --sink {found[0].node.path}",
        )
        for sink in missing
    ]


def check_exclusive(world: World) -> list[Finding]:
    """Do the devices show themselves as cameras only (exclusive_caps), which browsers want?"""
    found = loopbacks(world)
    if not found:
        return [skipped(NO_DEVICE)]
    asked = _exclusive_asked(world, found)
    return [_exclusive(device, _reload(found), asked=device.node.name in asked) for device in found]


def _exclusive_asked(world: World, found: Sequence[Loopback]) -> set[str]:
    """The devices that the module was told to make exclusive: its options are lists, in order."""
    options = {
        name: (world.text(f"{MODULE}/parameters/{name}") or "").split(",")
        for name in ("exclusive_caps", "video_nr")
    }
    numbers = [number for number in options["video_nr"] if number.isdecimal()]
    names = [f"video{number}" for number in numbers] or [device.node.name for device in found]
    return {
        name for name, flag in zip(names, options["exclusive_caps"], strict=False) if flag == "Y"
    }


def _exclusive(device: Loopback, cure: str, *, asked: bool) -> Finding:
    if device.node.error:
        return warning(f"{device} cannot be asked for exclusive_caps", "vcsharp doctor")
    # 0.13 shows both directions of an exclusive device that is read and not written.
    waits = asked and bool(device.openers)
    if waits or not (device.node.captures and device.node.outputs):
        return ok(f"{device} has exclusive_caps=1")
    what = f"{device} has exclusive_caps=0: Chrome, Teams and others will not list it"
    return warning(f"{what} (the option takes one value for each device)", cure)


def _reload(found: Sequence[Loopback], **changes: str) -> str:
    """The command that makes the same devices again, with exclusive_caps for each of them."""
    numbers = ",".join(device.node.name.removeprefix("video") for device in found)
    labels = ",".join(device.label or "vcsharp" for device in found)
    ones = ",".join("1" for _ in found)
    options = {"devices": str(len(found)), "video_nr": numbers, "card_label": f'"{labels}"'}
    options |= {"exclusive_caps": ones, **changes}
    words = " ".join(f"{name}={value}" for name, value in options.items())
    return f"sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback {words}"


def check_readers(world: World) -> list[Finding]:
    """How many programs can look at a device, and is there a place left?"""
    found = loopbacks(world)
    if not found:
        return [skipped(NO_DEVICE)]
    return [_openers(device, found) for device in found] + [_reader_limit(world, len(found))]


def _openers(device: Loopback, found: Sequence[Loopback]) -> Finding:
    used, most = len(device.openers), device.max_openers
    if used >= most:
        what = f"{device} is open {used} times, its max_openers: {names(device.openers)}; close one"
        cure = _kill(device.others) if device.others else _reload(found, max_openers="10")
        return failed(what, cure)
    if most < _FEWEST_OPENERS:
        what = f"{device} has max_openers={most}; vcsharp, PipeWire and one program want "
        return warning(f"{what}{_FEWEST_OPENERS}", _reload(found, max_openers="10"))
    return ok(f"{device} is open {used} times of {most}" + _who(device))


def _who(device: Loopback) -> str:
    return f": {names(device.openers)}" if device.openers else ""


def _reader_limit(world: World, devices: int) -> Finding:
    version = version_of(world.text(f"{MODULE}/version") or _old_release(world))
    several = "for several at once, make as many: devices=2 exclusive_caps=1,1"
    if version and version < (0, 13):
        return ok("several programs can look at one device, though 0.12 may mix them up")
    return ok(f"{devices} device(s) for as many programs at once: one reader each; {several}")


def check_format(world: World) -> list[Finding]:
    """Does a device insist on another picture size than the one that vcsharp sends?"""
    found = loopbacks(world)
    if not found:
        return [skipped(NO_DEVICE)]
    return [_format(world, device, alone=len(found) == 1) for device in found]


def _format(world: World, device: Loopback, *, alone: bool) -> Finding:
    if device.ours:
        return ok(f"{device} is written by vcsharp: {device.format or 'no format yet'}")
    named = device.node.path in world.settings.sink
    needed = named or (alone and needs_virtual(world))
    if device.state == "capture" and device.node.keep_format is False:
        return fault(*_second_writer(device), needed=needed)
    match = _FORMAT.fullmatch(device.format)
    if match is None:
        return ok(f"{device} takes any format")
    if (match[1], int(match[2]), int(match[3])) == (
        world.settings.pixel_format,
        *wanted_size(world),
    ):
        return ok(f"{device} is kept at {device.format}, as vcsharp sends it")
    return fault(*_lock(device, match), needed=needed)


def _second_writer(device: Loopback) -> tuple[str, str]:
    """Only one program may write; what to say where another does."""
    if not device.others:
        what = f"another user's program writes {device.format} to {device}; find and close it"
        return what, f"sudo fuser -v {device.node.path}"
    what = f"a program that is not vcsharp writes {device.format} to {device}; close or end it"
    return f"{what}: {names(device.others)}", _kill(device.others)


def _lock(device: Loopback, match: re.Match[str]) -> tuple[str, str]:
    told = f"{device} stays at {device.format}"
    if device.node.keep_format:
        cure = f"v4l2-ctl -d {device.node.path} -c keep_format=0"
        return f"{told}, because keep_format is set; allow another", cure
    if device.others:
        what = f"{told} while {names(device.others)} has it open; close that, or end it"
        return what, _kill(device.others)
    size = f"--size {match[2]}x{match[3]} --pixel-format {match[1]}"
    what = f"{told}, for another user's program has it open; send what it has"
    return what, f"vcsharp run --sink {device.node.path} {size}"


def _kill(programs: Sequence[Program]) -> str:
    return f"kill {' '.join(dict.fromkeys(str(program.pid) for program in programs))}"


def _loopback(world: World, node: VideoNode) -> Loopback:
    entry = f"/sys/class/video4linux/{node.name}"
    most = world.text(f"{entry}/max_openers") or ""
    return Loopback(
        node,
        world.text(f"{entry}/name") or node.card,
        world.text(f"{entry}/state") or "",
        world.text(f"{entry}/format") or "",
        world.programs(node.path),
        int(most) if most.isdecimal() else 10,
    )
