"""Real cameras: are they there, may we open them, what do they offer, who has them."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence

from vcsharp.doctor.finding import Finding, failed, fault, ok, skipped, warning
from vcsharp.doctor.processes import Program, names
from vcsharp.doctor.video import LOOPBACK_DRIVER, Mode, VideoNode
from vcsharp.doctor.world import World
from vcsharp.sources.cameras import target
from vcsharp.sources.urls import redact

_CAMERA = re.compile(r"\d{1,3}|/dev/(video\d+|v4l/.+)")
_VIDEO_CLASS = "0e"
"""bInterfaceClass of a USB camera."""
_NO_DRIVER = (
    "a USB camera is plugged in, but the kernel made no /dev/video for it",
    "sudo modprobe uvcvideo",
)
_RATE_TOLERANCE = 0.5
"""Frames per second: cameras call 29.97 thirty."""
_USUAL_SIZE, _USUAL_FPS = (1920, 1080), 30.0


def check_cameras(world: World) -> list[Finding]:
    """Is there a camera, and which nodes only look like one?"""
    cameras = real_cameras(world)
    wish = named_camera(world)
    if wish is not None:
        return [_named(world, wish, cameras)]
    if cameras:
        return [_found(world, camera) for camera in cameras] + _without_pictures(world)
    if world.settings.source != "auto":
        return [ok(f"no camera, and none needed: the source is '{redact(world.settings.source)}'")]
    return [_none(world), *_without_pictures(world)]


def check_modes(world: World) -> list[Finding]:
    """Does a camera deliver the wanted size at the wanted rate?"""
    cameras = [camera for camera in real_cameras(world) if camera.modes]
    if not cameras:
        return [skipped("there is no camera that could be asked for its modes")]
    return [_mode(world, camera) for camera in cameras]


def check_holders(world: World) -> list[Finding]:
    """Does another program have the camera?"""
    busy = [camera for camera in real_cameras(world) if camera.busy]
    if not busy:
        return [ok("no program holds a camera")]
    return [_held(world, camera) for camera in busy]


def real_cameras(world: World) -> list[VideoNode]:
    """Nodes that deliver pictures, or whose owner or permissions hide whether they do."""
    hidden = (errno.EACCES, errno.EPERM, errno.EBUSY)
    return [
        node
        for node in world.nodes()
        if not is_loopback(world, node) and (node.captures or node.error in hidden)
    ]


def is_loopback(world: World, node: VideoNode) -> bool:
    """Whether v4l2loopback made the node; its sysfs entry tells where opening is refused."""
    entry = world.path(f"/sys/class/video4linux/{node.name}/max_openers")
    return node.driver == LOOPBACK_DRIVER or entry.exists()


def named_camera(world: World) -> str | None:
    """`video0` where the settings name a camera, by number, node or lasting link."""
    source = world.settings.source
    if _CAMERA.fullmatch(source) is None:
        return None
    device = f"/dev/video{source}" if source.isdecimal() else source
    return world.path(device).resolve().name


def _named(world: World, name: str, cameras: Sequence[VideoNode]) -> Finding:
    source = world.settings.source
    for camera in cameras:
        if camera.name == name:
            return _found(world, camera)
    if not cameras and _usb_camera(world):
        return failed(*_NO_DRIVER)
    others = ", ".join(camera.path for camera in cameras)
    known = any(node.name == name for node in world.nodes())
    fact = "takes no pictures: a metadata or output node" if known else "is not there"
    cure = f"vcsharp run --source {cameras[0].path}" if cameras else "vcsharp devices"
    return failed(f"source '{source}' {fact}; cameras found: {others or 'none'}", cure)


def _found(world: World, camera: VideoNode) -> Finding:
    link = lasting_name(world, camera.name)
    name = f'{camera.path} "{camera.card}"' if camera.card else camera.path
    return ok(f"{name} is a camera" + (f"; lasting name {link}" if link else ""))


def lasting_name(world: World, name: str) -> str:
    """The by-id link of a node, else its by-path link; empty where udev made none."""
    for folder in ("/dev/v4l/by-id", "/dev/v4l/by-path"):
        for link in sorted(world.path(folder).glob("*")):
            found = target(link)
            if found and found.name == name:
                return f"{folder}/{link.name}"
    return ""


def _without_pictures(world: World) -> list[Finding]:
    nodes = [node for node in world.nodes() if not (node.captures or is_loopback(world, node))]
    silent = [node.path for node in nodes if not node.error]
    if not silent:
        return []
    return [ok(f"{', '.join(silent)}: belongs to a camera, carries no pictures (metadata)")]


def _none(world: World) -> Finding:
    if _usb_camera(world):
        return warning(*_NO_DRIVER)
    what = "no camera: 'vcsharp run' will show its demo scene; plug one in"
    cure = "vcsharp doctor --only cameras"
    if world.path("/.dockerenv").exists() or world.path("/run/.containerenv").exists():
        what += ", or hand the container one (docker run --device /dev/video0 ...)"
    return warning(f"{what}, then ask again", cure)


def _usb_camera(world: World) -> bool:
    classes = world.path("/sys/bus/usb/devices").glob("*/bInterfaceClass")
    return any(path.read_text().strip() == _VIDEO_CLASS for path in classes)


def wanted_size(world: World) -> tuple[int, int]:
    """(width, height) that a live run sends."""
    return world.settings.size_px or _USUAL_SIZE


def _mode(world: World, camera: VideoNode) -> Finding:
    (width, height), fps = wanted_size(world), world.settings.fps or _USUAL_FPS
    wanted = f"{width}x{height} at {fps:g} fps"
    exact = [mode for mode in camera.modes if (mode.width, mode.height) == (width, height)]
    quick = [mode for mode in exact if mode.fps >= fps - _RATE_TOLERANCE]
    if quick:
        formats = ", ".join(dict.fromkeys(mode.pixel_format for mode in quick))
        remark = "" if "MJPG" in formats else "; without MJPG, so give it a USB port of its own"
        return ok(f"{camera.path} offers {wanted} ({formats}){remark}")
    offer = max(exact, key=lambda mode: mode.fps, default=None)
    found = f"only at {offer.fps:g} fps ({offer.pixel_format})" if offer else "not in this size"
    best = _best_size(camera.modes, fps)
    what = f"{camera.path} does not offer {wanted}: {found}; best for it is {_shown(best)}"
    size = f"{best.width}x{best.height}"
    return warning(what, f"vcsharp run --source {camera.path} --size {size} --fps {best.fps:.0f}")


def _best_size(modes: Sequence[Mode], fps: float) -> Mode:
    """The largest picture of those that are quick enough, else of the quickest."""
    quickest = max(mode.fps for mode in modes)
    enough = min(fps - _RATE_TOLERANCE, quickest)
    fitting = [mode for mode in modes if mode.fps >= enough]
    return max(fitting, key=lambda mode: (mode.width * mode.height, mode.pixel_format == "MJPG"))


def _shown(mode: Mode) -> str:
    return f"{mode.pixel_format} {mode.width}x{mode.height} at {mode.fps:g} fps"


def _held(world: World, camera: VideoNode) -> Finding:
    holders = world.programs(camera.path)
    if any(program.is_vcsharp for program in holders):
        return ok(f"{camera.path} is in use by {names(holders)}")
    needed = named_camera(world) == camera.name
    return fault(*_complaint(camera, holders), needed=needed)


def _complaint(camera: VideoNode, holders: Sequence[Program]) -> tuple[str, str]:
    if not holders:
        what = f"{camera.path} is in use by another user's program; ask which, and close it"
        return what, f"sudo fuser -v {camera.path}"
    pids = " ".join(dict.fromkeys(str(program.pid) for program in holders))
    return f"{camera.path} is in use by {names(holders)}; close it, or end it", f"kill {pids}"


def check_access(world: World) -> list[Finding]:
    """May this login open the devices, and does it have the groups that it was given?"""
    devices = list(_devices(world))
    closed = [name for name in devices if not world.may_open(world.path(name))]
    if closed:
        return [_refused(world, name) for name in closed]
    if world.uid == 0:
        return [ok("root may open every device")]
    return [_membership(world, devices)]


def _devices(world: World) -> Iterator[str]:
    for pattern in ("video[0-9]*", "nvidia[0-9]*", "nvidiactl"):
        for node in sorted(world.path("/dev").glob(pattern)):
            yield f"/dev/{node.name}"


def _refused(world: World, device: str) -> Finding:
    gid = world.path(device).stat().st_gid
    groups = {name: world.group(name) for name in ("render", "video")}
    owners = [name for name, entry in groups.items() if entry and entry.gid == gid]
    name = owners[0] if owners else "video"
    group = groups[name]
    if group is not None and world.user in group.members and group.gid not in world.gids:
        what = f"no permission to open {device}: you joined the group {name} after this login; log "
        return failed(f"{what}out and in again, or for this terminal only", f"newgrp {name}")
    what = f"no permission to open {device}: it is for the group {name}; join it, then log out "
    return failed(f"{what}and in again", f"sudo usermod -aG {name} {world.user}")


def _membership(world: World, devices: Sequence[str]) -> Finding:
    video = world.group("video")
    opens = f"this login may open {', '.join(devices)}" if devices else "no device to open yet"
    if video is None:
        return ok(f"{opens}; this system has no group video")
    if video.gid in world.gids:
        return ok(f"{opens}; it has the group video")
    if world.user in video.members:
        what = f"{opens}; you joined the group video after this login; log out and in again"
        return warning(f"{what}, or for this terminal only", "newgrp video")
    if world.environ.get("WAYLAND_DISPLAY") or world.environ.get("DISPLAY"):
        return ok(f"{opens}; without the group video, by sitting at the machine")
    what = f"{opens}; without the group video, services and remote logins may not open cameras"
    return warning(what, f"sudo usermod -aG video {world.user}")
