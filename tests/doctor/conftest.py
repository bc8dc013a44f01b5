"""A machine made of files below a folder, planted answers of commands, and no devices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vcsharp.doctor.finding import Finding
from vcsharp.doctor.machine import Answer, Group
from vcsharp.doctor.video import LOOPBACK_DRIVER, Mode, VideoNode
from vcsharp.doctor.world import World
from vcsharp.settings import RunSettings

KERNEL = "6.12.0-test"
GOOD_MODES = (Mode("YUYV", 640, 480, 30.0), Mode("MJPG", 1920, 1080, 30.0))


@dataclass
class Machine:
    """What a test plants; `world` is what the checks get."""

    root: Path
    nodes: dict[str, VideoNode] = field(default_factory=dict)
    commands: dict[str, Answer | BaseException] = field(default_factory=dict)
    """By how the command line starts."""
    closed: set[str] = field(default_factory=set)
    """Devices that must not be opened."""
    groups: dict[str, Group] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=lambda: {"onnxruntime": "1.20.0"})
    facts: dict[str, Any] = field(default_factory=dict)
    """Other fields of the world."""

    def file(self, path: str, text: str = "") -> Path:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def camera(self, name: str = "video0", **facts: Any) -> None:
        self.file(f"/dev/{name}")
        usual: dict[str, Any] = {
            "card": "C920",
            "driver": "uvcvideo",
            "captures": True,
            "modes": GOOD_MODES,
        }
        self.nodes[name] = VideoNode(name, **(usual | facts))

    def module(self, version: str = "0.15.4", *, lasting: bool = True) -> None:
        self.file("/sys/module/v4l2loopback/version", f"{version}\n")
        if lasting:
            self.file("/etc/modules-load.d/vcsharp.conf", "# ours\nv4l2loopback\n")

    def loopback(self, node: str = "video10", /, **facts: Any) -> None:
        """A device of the module; `state`, `format` and `max_openers` go to sysfs."""
        self.module()
        entry = f"/sys/class/video4linux/{node}"
        sysfs = {"state": "output", "format": "", "max_openers": "10", "name": "vcsharp"}
        sysfs |= {"dev": f"81:{node[5:]}"}
        for key in sysfs:
            self.file(f"{entry}/{key}", f"{facts.pop(key, sysfs[key])}\n")
        self.file(f"/dev/{node}")
        usual: dict[str, Any] = {"card": "vcsharp", "outputs": True, "keep_format": False}
        self.nodes[node] = VideoNode(node, driver=LOOPBACK_DRIVER, **(usual | facts))

    def program(self, pid: int, name: str, *targets: str, command: str | None = None) -> None:
        """A process that has some devices or sockets open."""
        folder = self.root / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "cmdline").write_bytes((command or name).replace(" ", "\0").encode())
        for number, target in enumerate(targets):
            (folder / "fd" / str(number)).symlink_to(target)

    def says(self, command: str, out: str = "", code: int = 0, err: str = "") -> None:
        self.commands[command] = Answer(code, out, err)

    def run(self, argv: Sequence[str], timeout_s: float = 5.0) -> Answer | None:
        line = " ".join(argv)
        for start, answer in self.commands.items():
            if line.startswith(start):
                if isinstance(answer, BaseException):
                    raise answer
                return answer
        return None

    def world(self, **settings: Any) -> World:
        facts: dict[str, Any] = {"release": KERNEL, "environ": {}, "python": "python3"}
        facts |= {"config_path": self.root / "config.toml", "runs": list}
        facts |= {"torch_cuda": lambda: None, "synchronised": lambda: None, "model_folders": list}
        return World(
            root=self.root,
            settings=RunSettings(**settings),
            run=self.run,
            ask=lambda path: self.nodes[path.name],
            may_open=lambda path: path.name not in self.closed,
            group=self.groups.get,
            packages=lambda: self.packages,
            **(facts | self.facts),
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    root = tmp_path / "machine"
    (root / "dev").mkdir(parents=True)
    (root / "proc").mkdir()
    return Machine(root)


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variables, settings file or sockets of the person who runs the tests."""
    for name in [name for name in os.environ if name.upper().startswith("VCSHARP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config-home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))


def worst(findings: Sequence[Finding]) -> Finding:
    """The finding that matters most."""
    order = ["ok", "warning", "failed"]
    return max(findings, key=lambda finding: order.index(finding.status))


def only(findings: list[Finding]) -> Finding:
    """The one finding of a check."""
    (finding,) = findings
    return finding
