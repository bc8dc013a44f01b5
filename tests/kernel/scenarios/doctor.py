"""`vcsharp doctor` on a machine that is prepared right, and on each that is not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.kernel.guest.machine import (
    DEVICE,
    UsbCamera,
    as_user,
    daemon,
    load_loopback,
    release,
    set_control,
    shell,
)
from tests.kernel.guest.report import OUT, check, finish

VCSHARP = "/opt/venv/bin/vcsharp"


def findings(user: str = "user", **settings: str) -> list[dict[str, Any]]:
    """What the doctor finds where a call is asked for: a camera into the virtual camera."""
    wish = {"VCSHARP_SOURCE": "auto", "VCSHARP_SINK": "virtual"} | settings
    words = [f"{name}={value}" for name, value in wish.items() if value]
    done = shell(*as_user(*words, VCSHARP, "doctor", "--json", name=user))
    with (OUT / "doctor.txt").open("a") as log:
        log.write(done.stdout)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    except ValueError:
        check("doctor-json", passed=False, detail=done.stdout[-300:])
        return []
    return found


def says(name: str, found: list[dict[str, Any]], about: str, *words: str, bad: bool = True) -> None:
    """Whether a check found fault, and its words or its cure name the thing."""
    mine = [one for one in found if one["check"] == about and one["checked"]]
    faults = [one for one in mine if one["status"] != "ok"]
    text = "; ".join(f"{one['what']} [{one['cure']}]" for one in (faults if bad else mine))
    good = bool(faults) == bad and all(word.lower() in text.lower() for word in words)
    check(name, good and mine, text or f"nothing about {about}")


def prepared(camera: UsbCamera) -> None:
    found = findings()
    failed = [f"{one['check']}: {one['what']}" for one in found if one["status"] == "failed"]
    check("prepared-nothing-failed", found and not failed, "; ".join(failed))
    says("prepared-camera", found, "cameras", "HD USB Camera", bad=False)
    says("prepared-devices", found, "devices", bad=False)
    node = camera.node
    wish = ("--sink", "virtual", "--size", "640x360", "--on-demand", "off", "--model", "none")
    with daemon("--source", node, *wish, user="user"):
        says("holder-named", findings(VCSHARP_SOURCE=str(node)), "holders", "vcsharp", bad=False)
    done = shell(*as_user(VCSHARP, "doctor"))
    (OUT / "doctor-for-people.txt").write_text(done.stdout)
    check("prepared-status", done.returncode == 0, f"status {done.returncode}")


def wrong_machines() -> None:
    load_loopback(exclusive_caps=0)
    says("exclusive-caps-0", findings(), "exclusive-caps", "exclusive_caps")
    load_loopback()
    says("outsider", findings("outsider"), "access", "video")
    command = "ffmpeg -v error -re -f lavfi -i testsrc=size=320x240:rate=10 -pix_fmt yuv420p"
    other = subprocess.Popen([*command.split(), "-f", "v4l2", DEVICE])
    try:
        shell("sleep", 2)
        says("format-taken", findings(), "format", DEVICE)
    finally:
        other.terminate()
        other.wait(10)
    set_control("keep_format", 1)
    shell("modprobe", "-r", "v4l2loopback")
    says("module-not-loaded", findings(), "module", "modprobe")
    module = Path(shell("modinfo", "-n", "v4l2loopback").stdout.strip())
    away = module.with_suffix(".away")
    module.rename(away)
    shell("depmod")
    says("module-missing", findings(), "module", "v4l2loopback")
    away.rename(module)
    shell("depmod")
    load_loopback()
    if release() < (0, 14):
        says("old-release", findings(), "module", ".".join(map(str, release()[:2])))


def main() -> None:
    with UsbCamera() as camera:
        prepared(camera)
        wrong_machines()
    says("no-camera", findings(), "cameras")
    finish()


if __name__ == "__main__":
    main()
