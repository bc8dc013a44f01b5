"""systemd: the user's unit and the system's, started, watched, reloaded and stopped."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.kernel.guest import readers
from tests.kernel.guest.machine import UsbCamera, as_user, shell
from tests.kernel.guest.report import OUT, check, finish, note, seconds_until, until, within

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


def write_config(path: Path, node: Path | None, strength: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFIG.format(node=node, strength=strength))
    if path.is_relative_to("/home"):
        shell("chown", "-R", "user:", "/home/user/.config")


def life(unit: Unit, path: Path, node: Path | None, prefix: str) -> None:
    """Start, READY, pictures, reload, a planted hang, stop."""
    began = time.monotonic()
    unit.control("start", unit.name)
    check(f"{prefix}-ready", unit.show("ActiveState") == "active", facts(unit))
    note(f"{prefix}: ready after {time.monotonic() - began:.1f} s")
    check(f"{prefix}-type", unit.show("Type").startswith("notify"), unit.show("Type"))
    seen = readers.opencv(10)
    check(f"{prefix}-pictures", seen.last is not None, f"{len(seen.at_s)} read")
    check(f"{prefix}-status-line", unit.show("StatusText"), unit.show("StatusText"))
    reloads(unit, path, node, prefix)
    watchdog(unit, prefix)
    began = time.monotonic()
    unit.control("stop", unit.name)
    took_s = time.monotonic() - began
    result = unit.show("Result")
    check(
        f"{prefix}-stop", within(took_s, 2) and result == "success", f"{result} in {took_s:.1f} s"
    )
    journal = unit.journal()
    (OUT / f"{prefix}-journal.txt").write_text(journal)
    readable = "source:" in journal and "Traceback" not in journal and "\x1b" not in journal
    check(f"{prefix}-journal", readable, f"{len(journal.splitlines())} lines")


def facts(unit: Unit) -> str:
    words = [unit.show(name) for name in ("ActiveState", "SubState", "Result", "NRestarts")]
    return " ".join(words) if words[0] == "active" else f"{words} {unit.journal()[-400:]}"


def reloads(unit: Unit, path: Path, node: Path | None, prefix: str) -> None:
    """A bad file is refused without harm; a good one is taken without a gap."""
    pid = unit.pid
    write_config(path, node, 0.5)
    with readers.watching():
        answer = unit.control("reload", unit.name)
    same = unit.pid == pid and unit.show("ActiveState") == "active"
    check(f"{prefix}-reload", same and not answer, answer or f"same process, {pid}")
    path.write_text("strength = 99\n")
    unit.control("reload", unit.name)
    until(lambda: "strength" in unit.journal(), 5)
    alive = unit.pid == pid and unit.show("ActiveState") == "active"
    check(f"{prefix}-bad-reload-harmless", alive and "strength" in unit.journal())
    write_config(path, node, 1)


def watchdog(unit: Unit, prefix: str) -> None:
    limit_s = microseconds(unit.show("WatchdogUSec"))
    if not check(f"{prefix}-watched", 0 < limit_s <= 60, f"WatchdogSec={limit_s:g}"):
        return
    pid = unit.pid
    shell("kill", "-STOP", pid)
    killed_s = seconds_until(lambda: unit.pid not in (pid, 0), limit_s + 30)
    check(f"{prefix}-hang-killed", killed_s < limit_s + 20, f"new process after {killed_s:.1f} s")
    up_s = seconds_until(lambda: unit.show("ActiveState") == "active", 30)
    check(
        f"{prefix}-restarted", within(up_s, 20), f"{unit.show('NRestarts')} restarts, {up_s:.1f} s"
    )
    back_s = readers.first_number_after(time.monotonic(), 20)
    check(f"{prefix}-pictures-again", within(back_s, 20), f"after {back_s:.1f} s")


def microseconds(words: str) -> float:
    """Seconds in systemd's own words: `1min 30s`."""
    units = {"min": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6}
    found = re.findall(r"([\d.]+)(min|ms|us|s)", words)
    return sum(float(number) * units[unit] for number, unit in found)


def service(command: str, *words: str, user: bool) -> tuple[int, str]:
    """`vcsharp service COMMAND`: status and text; the text is kept."""
    line = [VCSHARP, "service", command, *words]
    done = shell(*(as_user(*line) if user else line), timeout_s=150)
    whose = "user" if user else "system"
    (OUT / f"service-{command}-{whose}.txt").write_text(done.stdout)
    return done.returncode, done.stdout.strip().replace("\n", "; ")


def of_the_user(camera: UsbCamera) -> None:
    path = Path("/home/user/.config/vcsharp/config.toml")
    write_config(path, camera.node, 1)
    status, words = service("install", user=True)
    if not check("user-install", status == 0, f"status {status} {words[-300:] if status else ''}"):
        return
    unit = Unit("vcsharp.service", user=True)
    check("user-enabled", unit.control("is-enabled", unit.name) == "enabled")
    running, words = service("status", user=True)
    check("user-status", running == 0, f"status {running}: {words[:200]}")
    unit.control("stop", unit.name)
    life(unit, path, camera.node, "user")
    status, words = service("remove", user=True)
    gone = unit.show("LoadState") == "not-found"
    check("user-remove", status == 0 and gone, words[-200:] if status else "")


def of_the_system(camera: UsbCamera) -> None:
    path = Path("/etc/vcsharp/desk.toml")
    write_config(path, camera.node, 1)
    status, words = service("install", "--system", "--instance", "desk", user=False)
    check("system-install", status == 0, f"status {status} {words[-300:] if status else ''}")
    unit = Unit("vcsharp@desk.service", user=False)
    verified = shell("systemd-analyze", "verify", unit.name).stdout.strip()
    mine = [line for line in verified.splitlines() if "vcsharp" in line]
    check("system-verify", not mine, "; ".join(mine))
    report = shell("systemd-analyze", "security", "--no-pager", unit.name).stdout
    (OUT / "security.txt").write_text(report)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    exposed = float(level[1]) if level else 10.0
    check("system-security", exposed <= MOST_EXPOSED, f"exposure {exposed}")
    unit.control("stop", unit.name)
    life(unit, path, camera.node, "system")
    status, words = service("remove", "--system", "--instance", "desk", user=False)
    gone = unit.show("ActiveState") == "inactive"
    check("system-remove", status == 0 and gone, words[-200:] if status else "")


def main() -> None:
    with UsbCamera() as camera:
        of_the_user(camera)
        of_the_system(camera)
    finish()


if __name__ == "__main__":
    main()
