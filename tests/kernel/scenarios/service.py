"""systemd: the user's unit and the system's, started, watched, reloaded and stopped."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from tests.kernel.guest import pictures, readers
from tests.kernel.guest.machine import CHECKOUT, UsbCamera, as_user, shell
from tests.kernel.guest.report import OUT, check, finish, note, seconds_until, skip, until

VCSHARP = "/opt/venv/bin/vcsharp"
CONFIG = """\
source = "{node}"
sink = ["virtual"]
size = "640x360"
model = "none"
strength = {strength}
"""
MOST_EXPOSED = 3.5


class Unit:
    """A unit, asked by `systemctl` as whoever it belongs to."""

    def __init__(self, name: str, *, user: bool) -> None:
        self.name, self.user = name, user

    def control(self, *words: str) -> str:
        command = ["systemctl", *(["--user"] if self.user else []), *words]
        return shell(*(as_user(*command) if self.user else command)).stdout.strip()

    def show(self, fact: str) -> str:
        return self.control("show", self.name, f"--property={fact}", "--value")

    @property
    def pid(self) -> int:
        return int(self.show("MainPID") or 0)

    def journal(self) -> str:
        kind = f"_SYSTEMD_USER_UNIT={self.name}" if self.user else f"_SYSTEMD_UNIT={self.name}"
        return shell("journalctl", "--no-pager", "-o", "short", kind).stdout


def write_config(folder: Path, node: Path | None, strength: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(CONFIG.format(node=node, strength=strength))
    if folder.is_relative_to("/home"):
        shell("chown", "-R", "user:", "/home/user/.config")


def life(unit: Unit, folder: Path, node: Path | None, prefix: str) -> None:
    """Start, READY, pictures, reload, a planted hang, stop."""
    began = time.monotonic()
    unit.control("start", unit.name)
    check(f"{prefix}-ready", unit.show("ActiveState") == "active", facts(unit))
    note(f"{prefix}: ready after {time.monotonic() - began:.1f} s")
    check(f"{prefix}-type", unit.show("Type").startswith("notify"), unit.show("Type"))
    seen = readers.opencv(10)
    check(f"{prefix}-pictures", seen.last is not None, f"{len(seen.at_s)} read")
    check(f"{prefix}-status-line", unit.show("StatusText"), unit.show("StatusText"))
    reloads(unit, folder, node, prefix)
    watchdog(unit, prefix)
    began = time.monotonic()
    unit.control("stop", unit.name)
    took_s = time.monotonic() - began
    result = unit.show("Result")
    check(f"{prefix}-stop", took_s < 2 and result == "success", f"{result} in {took_s:.1f} s")
    journal = unit.journal()
    (OUT / f"{prefix}-journal.txt").write_text(journal)
    readable = "source:" in journal and "Traceback" not in journal and "\x1b" not in journal
    check(f"{prefix}-journal", readable, f"{len(journal.splitlines())} lines")


def facts(unit: Unit) -> str:
    words = [unit.show(name) for name in ("ActiveState", "SubState", "Result", "NRestarts")]
    return " ".join(words) if words[0] == "active" else f"{words} {unit.journal()[-400:]}"


def reloads(unit: Unit, folder: Path, node: Path | None, prefix: str) -> None:
    """A bad file is refused without harm; a good one is taken without a gap."""
    pid = unit.pid
    write_config(folder, node, 0.5)
    with readers.watching():
        answer = unit.control("reload", unit.name)
    same = unit.pid == pid and unit.show("ActiveState") == "active"
    check(f"{prefix}-reload", same and not answer, answer or f"same process, {pid}")
    (folder / "config.toml").write_text("strength = 99\n")
    unit.control("reload", unit.name)
    until(lambda: "strength" in unit.journal(), 5)
    alive = unit.pid == pid and unit.show("ActiveState") == "active"
    check(f"{prefix}-bad-reload-harmless", alive and "strength" in unit.journal())
    write_config(folder, node, 1)


def watchdog(unit: Unit, prefix: str) -> None:
    limit_s = microseconds(unit.show("WatchdogUSec"))
    if not check(f"{prefix}-watched", 0 < limit_s <= 60, f"WatchdogSec={limit_s:g}"):
        return
    pid = unit.pid
    shell("kill", "-STOP", pid)
    killed_s = seconds_until(lambda: unit.pid not in (pid, 0), limit_s + 30)
    check(f"{prefix}-hang-killed", killed_s < limit_s + 20, f"new process after {killed_s:.1f} s")
    up_s = seconds_until(lambda: unit.show("ActiveState") == "active", 30)
    check(f"{prefix}-restarted", up_s < 20, f"{unit.show('NRestarts')} restarts, {up_s:.1f} s")
    seen = readers.opencv(10)
    back = seen.last is not None and pictures.numbers(seen.last)[0] is not None
    check(f"{prefix}-pictures-again", back, f"{len(seen.at_s)} read")


def microseconds(words: str) -> float:
    """Seconds in systemd's own words: `1min 30s`."""
    units = {"min": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6}
    found = re.findall(r"([\d.]+)(min|ms|us|s)", words)
    return sum(float(number) * units[unit] for number, unit in found)


def of_the_user(camera: UsbCamera) -> None:
    folder = Path("/home/user/.config/vcsharp")
    write_config(folder, camera.node, 1)
    done = shell(*as_user(VCSHARP, "service", "install"))
    (OUT / "service-install.txt").write_text(done.stdout)
    if not check("install", done.returncode == 0, done.stdout.strip().replace("\n", "; ")[-300:]):
        return
    unit = Unit("vcsharp.service", user=True)
    unit.control("stop", unit.name)
    check("install-enabled", unit.control("is-enabled", unit.name) == "enabled")
    life(unit, folder, camera.node, "user")
    done = shell(*as_user(VCSHARP, "service", "status"))
    (OUT / "service-status.txt").write_text(done.stdout)
    done = shell(*as_user(VCSHARP, "service", "remove"))
    gone = "not-found" in unit.show("LoadState")
    check("remove", done.returncode == 0 and gone, unit.show("LoadState"))


def of_the_system(camera: UsbCamera) -> None:
    template = CHECKOUT / "systemd" / "vcsharp@.service"
    if not template.exists():
        skip("system-unit", "systemd/vcsharp@.service is not in this checkout")
        return
    target = Path("/etc/systemd/system/vcsharp@.service")
    text = template.read_text()
    target.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={VCSHARP}", text))
    for extra in sorted((CHECKOUT / "systemd").glob("*.conf")):
        shutil.copy(extra, OUT / extra.name)
    unit = Unit("vcsharp@camera.service", user=False)
    unit.control("daemon-reload")
    verified = shell("systemd-analyze", "verify", target).stdout.strip()
    mine = [line for line in verified.splitlines() if "vcsharp" in line]
    check("system-verify", not mine, "; ".join(mine))
    report = shell("systemd-analyze", "security", "--no-pager", unit.name).stdout
    (OUT / "security.txt").write_text(report)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    exposed = float(level[1]) if level else 10.0
    check("system-security", exposed <= MOST_EXPOSED, f"exposure {exposed}")
    folder = Path("/etc/vcsharp")
    life(unit, folder, camera.node, "system")


def main() -> None:
    with UsbCamera() as camera:
        of_the_user(camera)
        of_the_system(camera)
    finish()


if __name__ == "__main__":
    main()
