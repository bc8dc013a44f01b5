"""Where a service of vcsharp lives: for one user, or for the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vcsharp.errors import SettingsError

TIMEOUT_S = 100
"""Longer than a start may take by the unit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said."""

    code: int = 0
    out: str = ""
    err: str = ""


Runner = Callable[[Sequence[str]], Answer]


def run_command(command: Sequence[str]) -> Answer:
    """Runs it; 127 where it is not installed, 124 where it takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except OSError as error:
        return Answer(127, err=f"{command[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Answer(124, err=f"{command[0]} did not end within {TIMEOUT_S} s")
    return Answer(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Place:
    """One service. Tests give another root, other folders and a runner of their own."""

    system: bool = False
    instance: str = "default"
    root: Path = Path("/")
    is_root: bool = field(default_factory=lambda: hasattr(os, "geteuid") and os.geteuid() == 0)
    run: Runner = run_command
    executable: tuple[str, ...] = field(default_factory=lambda: this_executable())

    @property
    def unit(self) -> str:
        """The name that systemctl takes."""
        if self.system:
            return f"vcsharp@{self.instance}.service"
        suffix = "" if self.instance == "default" else f"-{self.instance}"
        return f"vcsharp{suffix}.service"

    @property
    def folder(self) -> Path:
        """Where the unit file lies."""
        if self.system:
            return self.root / "etc/systemd/system"
        config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return Path(config) / "systemd/user"

    @property
    def unit_path(self) -> Path:
        """The unit file: a template for all cameras under the system."""
        return self.folder / ("vcsharp@.service" if self.system else self.unit)

    @property
    def settings_path(self) -> Path:
        """What the service reads its settings from."""
        if self.system:
            return self.root / f"etc/vcsharp/{self.instance}.toml"
        name = "config" if self.instance == "default" else self.instance
        return self.folder.parents[1] / f"vcsharp/{name}.toml"

    def command(self, program: str, *words: str) -> list[str]:
        """`systemctl` or `journalctl`, speaking to the right manager."""
        return [program, *([] if self.system else ["--user"]), *words]


def this_executable() -> tuple[str, ...]:
    """The vcsharp that runs now, by its absolute path."""
    called = Path(sys.argv[0])
    if called.name == "vcsharp" and called.is_file():
        return (str(called.absolute()),)
    found = shutil.which("vcsharp")
    return (str(Path(found).absolute()),) if found else (sys.executable, "-m", "vcsharp")


def check(place: Place) -> None:
    """Raises SettingsError for what cannot work."""
    if sys.platform != "linux":
        raise SettingsError("service: systemd is Linux's; start vcsharp run at login instead")
    if not place.system:
        return
    home = next((h for h in ("/home/", "/root/") if place.executable[0].startswith(h)), None)
    if home:
        raise SettingsError(
            f"service: a system unit cannot see '{place.executable[0]}', because homes are closed "
            "to it; install vcsharp for all: sudo python3 -m venv /opt/vcsharp, "
            "then sudo /opt/vcsharp/bin/pip install 'vcsharp[cpu]'"
        )
