"""Which cameras there are, by what name they stay the same, and what they offer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from vcsharp.videodev import listed

_DEV = Path("/dev")
_PROC = Path("/proc")
_VIRTUAL_DRIVERS = ("v4l2 loopback", "akvcam", "v4l2loopback")


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """One device node that is, or might be taken for, a camera."""

    path: str
    """`/dev/video0`; may be another number after a restart. An index on macOS and Windows."""
    stable_path: str | None
    """A lasting link under /dev/v4l/by-id (or by-path); None where udev made none."""
    card: str
    """The name that the device gives itself; empty if it could not be asked."""
    driver: str
    captures: bool
    """Delivers pictures; False for metadata nodes and for virtual cameras nobody writes to."""
    virtual: bool
    """Made by a loopback driver: some program's output, perhaps our own, never a real camera."""
    formats: tuple[str, ...] = ()
    """Pixel formats as four characters: `MJPG`, `YUYV`."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Discrete (width, height) of any format, largest first."""
    problem: str = ""
    """Why it could not be asked: `permission denied`."""


def list_cameras() -> list[CameraInfo]:
    """All video nodes in the order of their numbers; empty where there are none.

    Linux only: elsewhere the system gives no list without opening every camera.
    """
    if sys.platform != "linux":
        return []
    nodes = [node for node in listed(_DEV, "video*") if node.name[5:].isdigit()]
    return [_ask(node) for node in sorted(nodes, key=lambda node: int(node.name[5:]))]


def stable_path(node: Path) -> str | None:
    """The by-id link of a node, else its by-path link (two equal sensors share one by-id name)."""
    for folder in ("by-id", "by-path"):
        for link in listed(_DEV / "v4l" / folder, "*"):
            if target(link) == node:
                return str(link)
    return None


def target(link: Path) -> Path | None:
    """Where a link leads; None if it vanishes meanwhile, as those of an unplugged camera do."""
    try:
        return link.resolve()
    except OSError:  # the standard library guards its look at the link, not its reading of it
        return None


def hot_plug_stamp() -> object:
    """Something that changes when a device node or a stable name comes or goes; cheap."""
    folders = (_DEV, _DEV / "v4l" / "by-id", _DEV / "v4l" / "by-path")
    return tuple(_changed_ns(folder) for folder in folders)


def _changed_ns(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def holders(node: Path) -> list[str]:
    """Programs that have the node open, as `name (pid)`, of those that this user may see."""
    found = []
    for folder in listed(_PROC, "[0-9]*/fd"):
        try:
            held = any(link.readlink() == node for link in folder.iterdir())
            if held:
                name = (folder.parent / "comm").read_text().strip()
                found.append(f"{name} ({folder.parent.name})")
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


def _ask(node: Path) -> CameraInfo:
    from vcsharp.sources import v4l2_ioctl as v4l2  # the module needs fcntl

    link = stable_path(node)
    try:
        with v4l2.opened(node) as descriptor:
            device = v4l2.capability(descriptor)
            formats = v4l2.formats(descriptor)
            sizes = {size for name in formats for size in v4l2.sizes(descriptor, name)}
    except OSError as error:
        words = (error.strerror or "unreadable").lower()
        return CameraInfo(str(node), link, "", "", captures=False, virtual=False, problem=words)
    driver = device.driver.decode(errors="replace")
    return CameraInfo(
        str(node),
        link,
        v4l2.card_name(device),
        driver,
        captures=v4l2.captures(device),
        virtual=driver in _VIRTUAL_DRIVERS,
        formats=tuple(formats),
        sizes=tuple(sorted(sizes, reverse=True)),
    )
