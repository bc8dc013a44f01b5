"""What this machine is, for whoever reads the figures later."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

import vcsharp
from vcsharp.engine.machine import cpu_name_and_flags, usable_cores
from vcsharp.engine.worker import has_nvidia
from vcsharp.packages import installed

FLAGS = {
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_tile": "AMX",
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
    "asimddp": "DOTPROD",
    "i8mm": "I8MM",
    "sve": "SVE",
}
"""What matrix products gain from: the kernel's name, and ours."""
PACKAGES = ("onnxruntime", "onnxruntime-gpu", "torch", "opencv-python", "av", "numpy")
COMMAND_TIMEOUT_S = 5.0

Run = Callable[[Sequence[str]], str]
"""Runs a program; its output, or an empty text if it is missing or fails."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts of the machine and of the software."""

    cpu: str
    flags: tuple[str, ...]
    cores: int
    """That this process may run on, by its affinity."""
    cores_total: int
    cpu_quota: float | None
    """Cores' worth of time that the control group grants; None without a limit."""
    memory_mib: int
    gpu: str | None
    system: str
    python: str
    packages: dict[str, str]
    """Version of each installed Python package of `PACKAGES`."""
    version: str
    """Of vcsharp."""
    commit: str | None
    """Of the checkout, with `-dirty` where files were changed; None for an installed package."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self) | {"flags": list(self.flags)}


def run_quietly(argv: Sequence[str]) -> str:
    """What a program prints; empty where it is missing, fails or takes too long."""
    if shutil.which(argv[0]) is None:
        return ""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()


def this_machine(root: Path = Path("/"), run: Run = run_quietly) -> Machine:
    """Reads it from the kernel under `root` and from programs; never raises."""
    cpu, flags = cpu_name_and_flags()
    return Machine(
        cpu=cpu,
        flags=tuple(title for flag, title in FLAGS.items() if flag in flags),
        cores=usable_cores(),
        cores_total=os.cpu_count() or 1,
        cpu_quota=_quota(root),
        memory_mib=round(psutil.virtual_memory().total / 2**20),
        gpu=_gpu(run) if has_nvidia() else None,
        system=f"{_distribution(root)}, {platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages=installed(PACKAGES),
        version=vcsharp.__version__,
        commit=_commit(Path(vcsharp.__file__).resolve().parents[1], run),
    )


def _quota(root: Path) -> float | None:
    """The tightest `cpu.max` from this process's control group up to the root."""
    group = _read(root / "proc/self/cgroup").rpartition("::")[2].strip().strip("/")
    top = root / "sys/fs/cgroup"
    folders = [top / group, *(top / group).parents] if group else [top]
    limits = [_limit(folder) for folder in folders if folder.is_relative_to(top)]
    return min((limit for limit in limits if limit is not None), default=None)


def _limit(folder: Path) -> float | None:
    words = _read(folder / "cpu.max").split()
    if len(words) != 2 or not all(word.isdigit() for word in words) or words[1] == "0":
        return None  # none, or "max"
    return int(words[0]) / int(words[1])


def _gpu(run: Run) -> str | None:
    fields = "--query-gpu=name,memory.total,driver_version"
    lines = run(["nvidia-smi", fields, "--format=csv,noheader"]).splitlines()
    return "; ".join(line.strip() for line in lines) or None


def _distribution(root: Path) -> str:
    for line in _read(root / "etc/os-release").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return platform.platform(terse=True)


def _commit(folder: Path, run: Run) -> str | None:
    """Only of a checkout of vcsharp itself, not of whatever folder a package was installed in."""
    top = run(["git", "-C", str(folder), "rev-parse", "--show-toplevel"])
    if not top or Path(top).resolve() != folder:
        return None
    return run(["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]) or None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
