"""The machine as the checks see it; tests put another one in its place."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from vcsharp import catalogue
from vcsharp.doctor import machine
from vcsharp.doctor.machine import Answer, Group
from vcsharp.doctor.processes import Program, openers
from vcsharp.doctor.runs import Run, running
from vcsharp.doctor.video import VideoNode, probe
from vcsharp.errors import SettingsError
from vcsharp.settings import RunSettings, load

T = TypeVar("T")


class Once(Generic[T]):
    """A value that is made when it is first asked for. Thread-safe."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._values: list[T] = []

    def __call__(self) -> T:
        with self._lock:
            if not self._values:
                self._values.append(self._make())
            return self._values[0]


@dataclass
class World:
    """Everything a check may ask. Thread-safe: checks run beside each other."""

    root: Path = Path("/")
    """Below it lie `sys`, `proc`, `dev`, `run`, `etc`, `var`, `lib`."""
    settings: RunSettings = field(default_factory=RunSettings)
    """Those of `vcsharp run`; the defaults where the real ones are faulty."""
    settings_fault: str = ""
    """Why the real settings cannot be used; one line for each reason."""
    config_path: Path = Path("config.toml")
    """The settings file, which need not exist."""
    environ: Mapping[str, str] = field(default_factory=dict)
    system: str = "linux"
    release: str = ""
    """Of the kernel: `6.8.0-45-generic`."""
    pid: int = 0
    """Our own, which is left out where programs are named."""
    uid: int = 1000
    user: str = "me"
    gids: frozenset[int] = frozenset()
    """Groups that this login has; a group joined since needs another login."""
    python: str = "python3"
    """The interpreter that vcsharp runs in, for commands."""
    run: Callable[..., Answer | None] = machine.run_command
    ask: Callable[[Path], VideoNode] = probe
    may_open: Callable[[Path], bool] = machine.may_open
    group: Callable[[str], Group | None] = machine.find_group
    packages: Callable[[], Mapping[str, str]] = machine.installed_packages
    torch_cuda: Callable[[], str | None] = machine.torch_cuda
    runs: Callable[[], Sequence[Run]] = running
    bind: Callable[[int], int] = machine.bind
    synchronised: Callable[[], bool | None] = machine.synchronised
    model_folders: Callable[[], Sequence[Path]] = catalogue.search_folders

    def __post_init__(self) -> None:
        self.nodes = Once(self._nodes)
        """All video nodes in the order of their numbers. May raise OSError."""
        self.openers = Once(self._openers)
        """Programs by the device or socket that they have open; ourselves left out."""

    def path(self, absolute: str) -> Path:
        """Where an absolute path of the machine lies."""
        return self.root / absolute.lstrip("/")

    def text(self, absolute: str) -> str | None:
        """A file's text without white space around it; None where it cannot be read."""
        try:
            return self.path(absolute).read_text("utf-8", "replace").strip()
        except OSError:
            return None

    def programs(self, target: str) -> list[Program]:
        """Those that have `/dev/video0` or a socket open, of this user's (root: of all)."""
        return self.openers().get(target, [])

    def _nodes(self) -> list[VideoNode]:
        folder = self.path("/dev")
        nodes = [node for node in folder.glob("video*") if node.name[5:].isdecimal()]
        return [self.ask(node) for node in sorted(nodes, key=lambda node: int(node.name[5:]))]

    def _openers(self) -> dict[str, list[Program]]:
        found = openers(self.path("/proc"))
        return {
            target: [program for program in programs if program.pid != self.pid]
            for target, programs in found.items()
        }


def this_world(config: Path | None = None) -> World:
    """The machine that we are on. Faulty settings become a fault, not an error.

    Args:
        config: the settings file; None takes the usual one.
    """
    settings, settings_fault = _settings(config)
    uid, gids, user = machine.person()
    return World(
        settings=settings,
        settings_fault=settings_fault,
        config_path=settings.config or config or _usual_config(),
        environ=dict(os.environ),
        system=sys.platform,
        release=platform.release(),
        pid=os.getpid(),
        uid=uid,
        gids=gids,
        user=user,
        python=sys.executable,
    )


def _settings(config: Path | None) -> tuple[RunSettings, str]:
    try:
        return load(RunSettings, {"config": config} if config else {}), ""
    except SettingsError as error:
        return RunSettings(), str(error)


def _usual_config() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "vcsharp" / "config.toml"
