"""The real answers to what the checks ask: commands, packages, groups, ports, the clock."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vcsharp.packages import installed

COMMAND_TIMEOUT_S = 5.0
IMPORT_TIMEOUT_S = 15.0
"""For Python to load a large library from a cold disk."""

_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_TORCH_CUDA = re.compile(r"^cuda\b[^=\n]*=\s*'([\d.]+)'", re.MULTILINE)
_PACKAGES = ("vcsharp", "onnxruntime", "onnxruntime-gpu", "torch", "av", "opencv-python")
_TIMEX_BYTES = 512
"""More than struct timex has; `modes` 0, its first field, asks and changes nothing."""
_TIME_ERROR = 5
"""adjtimex: nothing keeps the clock right."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said."""

    code: int
    out: str = ""
    err: str = ""

    @property
    def why(self) -> str:
        """The last line it said on stderr, else on stdout; for a reason in one line."""
        lines = self.err.strip().splitlines() or self.out.strip().splitlines()
        return lines[-1].strip() if lines else f"exit status {self.code}"


@dataclass(frozen=True, slots=True)
class Group:
    """An entry of the group database."""

    gid: int
    members: tuple[str, ...] = ()


def run_command(argv: Sequence[str], timeout_s: float = COMMAND_TIMEOUT_S) -> Answer | None:
    """Runs a program in plain English; None where it is not installed.

    Raises OSError, subprocess.TimeoutExpired.
    """
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *_SBIN]
    program = shutil.which(argv[0], path=os.pathsep.join(folders))
    if program is None:
        return None
    done = subprocess.run(
        [program, *argv[1:]],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def may_open(path: Path) -> bool:
    """Whether this login may read and write a device."""
    return os.access(path, os.R_OK | os.W_OK)


def person() -> tuple[int, frozenset[int], str]:
    """Who asks: uid, the groups of this login, and the user's name."""
    if sys.platform == "win32":
        return 1000, frozenset(), os.environ.get("USERNAME", "")
    import pwd

    uid, gids = os.getuid(), frozenset((os.getgid(), *os.getgroups()))
    try:
        return uid, gids, pwd.getpwuid(uid).pw_name
    except KeyError:  # a uid without an entry, as in containers
        return uid, gids, str(uid)


def find_group(name: str) -> Group | None:
    """A group by name; None where there is none."""
    if sys.platform == "win32":
        return None
    import grp

    try:
        entry = grp.getgrnam(name)
    except KeyError:
        return None
    return Group(entry.gr_gid, tuple(entry.gr_mem))


def installed_packages() -> dict[str, str]:
    """Version of each installed Python distribution of those that the checks ask about."""
    return installed(_PACKAGES)


def torch_cuda() -> str | None:
    """`12.4` for a PyTorch built for that CUDA; None for a build for the CPU. Loads nothing."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    text = (Path(spec.origin).parent / "version.py").read_text("utf-8")
    match = _TORCH_CUDA.search(text)
    return match[1] if match else None


def bind(port: int) -> int:
    """0 where a port of 127.0.0.1 could be had, else the errno. Gives it back at once."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno or errno.EADDRINUSE
    return 0


def synchronised() -> bool | None:
    """Whether the kernel's clock is disciplined; None where it does not tell."""
    try:
        ask = ctypes.CDLL(None).adjtimex
    except (AttributeError, TypeError, OSError):  # not Linux
        return None
    state = ask(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR
