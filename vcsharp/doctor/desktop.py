"""Whether programs can find the virtual camera: udev, PipeWire, sandboxed browsers.

The first two read a device's abilities once, when it appears. A loopback device with exclusive_caps
is an output until somebody writes, and may stay one in their books.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from vcsharp.doctor.finding import Finding, ok, skipped, warning
from vcsharp.doctor.loopback import NO_DEVICE, Loopback, loopbacks
from vcsharp.doctor.world import World

_RESTART_PIPEWIRE = "systemctl --user restart wireplumber"


def check_udev(world: World) -> list[Finding]:
    """Does udev know that the device is a camera?"""
    found = loopbacks(world)
    if not found:
        return [skipped(NO_DEVICE)]
    if not world.path("/run/udev/data").exists():
        return [skipped("udev does not run here")]
    return [_in_udev(world, device) for device in found]


def check_pipewire(world: World) -> list[Finding]:
    """Does PipeWire, which browsers may ask, know the device?"""
    found = loopbacks(world)
    if not found:
        return [skipped(NO_DEVICE)]
    if not any(_is_camera_now(device) for device in found):
        return [skipped("nobody writes to the virtual camera; ask again while vcsharp runs")]
    answer = world.run(["pw-dump"])
    if answer is None:
        return [skipped("PipeWire is not installed (no pw-dump)")]
    if answer.code:
        return [skipped(f"PipeWire does not run for this user: {answer.why}")]
    paths = set(_pipewire_paths(json.loads(answer.out)))
    return [_in_pipewire(device, paths) for device in found if _is_camera_now(device)]


def check_sandbox(world: World) -> list[Finding]:
    """May browsers from snap and flatpak use cameras?"""
    findings = [*_snaps(world), *_flatpaks(world)]
    return findings or [skipped("neither snap nor flatpak is installed")]


def _is_camera_now(device: Loopback) -> bool:
    return device.state == "capture" or (not device.state and device.node.captures)


def _in_udev(world: World, device: Loopback) -> Finding:
    number = world.text(f"/sys/class/video4linux/{device.node.name}/dev")
    lines = (world.text(f"/run/udev/data/c{number}") or "").splitlines()
    abilities = [line.partition("=")[2] for line in lines if "ID_V4L_CAPABILITIES=" in line]
    if not _is_camera_now(device):
        return ok(f"{device}: nobody writes to it; ask again while vcsharp runs")
    if abilities and ":capture:" in abilities[0]:
        return ok(f"udev lists {device} as a camera")
    what = f"udev lists {device} as '{''.join(abilities) or 'nothing'}', not as a camera: some "
    cure = f"sudo udevadm trigger --action=change --name-match={device.node.path}"
    return warning(f"{what}programs will not offer it", cure)


def _pipewire_paths(objects: list[dict[str, Any]]) -> Iterator[str]:
    """Devices of the picture sources in what pw-dump prints."""
    for entry in objects:
        properties = (entry.get("info") or {}).get("props") or {}
        if properties.get("media.class") == "Video/Source":
            yield str(properties.get("api.v4l2.path", ""))


def _in_pipewire(device: Loopback, paths: set[str]) -> Finding:
    if device.node.path in paths:
        return ok(f"PipeWire offers {device}")
    what = f"PipeWire does not offer {device}: programs that ask it (Firefox, portals) see nothing"
    return warning(what, _RESTART_PIPEWIRE)


def _snaps(world: World) -> list[Finding]:
    answer = world.run(["snap", "connections", "--all"])
    if answer is None:
        return []
    if answer.code:
        return [skipped(f"snap does not answer: {answer.why}")]
    rows = [line.split() for line in answer.out.splitlines()]
    closed = [row[1] for row in rows if len(row) > 2 and row[0] == "camera" and row[2] == "-"]
    if not closed:
        return [ok("every snap that asks for a camera may use it")]
    return [
        warning(
            f"the snap {plug.partition(':')[0]} may not use cameras", f"sudo snap connect {plug}"
        )
        for plug in closed
    ]


def _flatpaks(world: World) -> list[Finding]:
    answer = world.run(["flatpak", "permissions", "devices", "camera"])
    if answer is None:
        return []
    if answer.code:
        return [skipped(f"flatpak does not answer: {answer.why}")]
    rows = [line.split() for line in answer.out.splitlines()]
    refused = [row[2] for row in rows if len(row) > 3 and row[1] == "camera" and row[3] == "no"]
    if not refused:
        return [ok("no flatpak program was refused the camera")]
    return [
        warning(
            f"the flatpak program {name} was refused the camera",
            f"flatpak permission-set devices camera {name} yes",
        )
        for name in refused
    ]
