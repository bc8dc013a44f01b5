"""Which programs have which devices and sockets open, as far as this user may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_INTERESTING = ("/dev/video", "socket:[")


@dataclass(frozen=True, slots=True)
class Program:
    """A running program."""

    name: str
    pid: int
    is_vcsharp: bool

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def openers(proc: Path) -> dict[str, list[Program]]:
    """Programs by what they have open: `/dev/video0`, `socket:[1234]`; once for each time."""
    found: dict[str, list[Program]] = {}
    for folder in proc.glob("[0-9]*"):
        targets = list(_targets(folder / "fd"))
        if targets:
            program = _program(folder)
            for target in targets:
                found.setdefault(target, []).append(program)
    return found


def names(programs: Sequence[Program]) -> str:
    """`zoom (pid 12), obs (pid 34)`, each once."""
    return ", ".join(dict.fromkeys(map(str, programs)))


def listener(proc: Path, port: int, held: Mapping[str, list[Program]]) -> list[Program]:
    """The programs that listen on a TCP port, of those in `held`."""
    found = []
    for table in ("tcp", "tcp6"):
        for inode in _listening(proc / "net" / table, port):
            found += held.get(f"socket:[{inode}]", [])
    return found


def _targets(folder: Path) -> Iterator[str]:
    try:
        links = list(folder.iterdir())
    except OSError:  # ended meanwhile, or another user's
        return
    for link in links:
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith(_INTERESTING):
            yield target


def _program(folder: Path) -> Program:
    try:
        name = (folder / "comm").read_text("utf-8", "replace").strip()
        command = (folder / "cmdline").read_bytes()
    except OSError:
        name, command = "a program", b""
    return Program(name, int(folder.name), name == "vcsharp" or _runs_vcsharp(command))


def _runs_vcsharp(command: bytes) -> bool:
    """True for `.../bin/vcsharp run`, also after `python`, and for `python -m vcsharp run`."""
    words = command.split(b"\0")[:4]
    return any(word.rpartition(b"/")[2] == b"vcsharp" for word in words)


def _listening(table: Path, port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on `port`: state 0A, port in hexadecimal."""
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if len(fields) > 9 and fields[3] == "0A" and fields[1].endswith(f":{port:04X}"):
            yield fields[9]
