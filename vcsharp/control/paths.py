"""Where the socket of a run lies.

Under a system unit in the folder that systemd made for it, else in the user's own run-time folder,
else in a folder of the user's in the one for temporary files.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vcsharp.errors import SettingsError

SYSTEM_FOLDER = Path("/run/vcsharp")
"""Where system units keep their sockets: `NAME.sock`, or `NAME/NAME.sock`."""


def socket_path(instance: str) -> Path:
    """Where a run of this name, started here and by this user, opens its socket."""
    return next(_folders()) / f"{instance}.sock"


def find_socket(instance: str) -> Path:
    """The socket of the run of this name; where it would be if there is none.

    Raises SettingsError where the folder cannot be trusted.
    """
    places = [*_folders(), SYSTEM_FOLDER, SYSTEM_FOLDER / instance]
    found = (place / f"{instance}.sock" for place in places)
    path = next((path for path in found if _is_socket(path)), socket_path(instance))
    if path.parent == _temporary() and path.parent.exists():
        check_folder(path.parent)
    return path


def instances() -> list[str]:
    """Names of the runs whose sockets lie here, also of those that died."""
    places = [*_folders(), SYSTEM_FOLDER]
    found = [path for place in places for path in _sockets(place)]
    return sorted({path.stem for path in found})


def make_folder(folder: Path) -> None:
    """Makes the folder of a socket, for this user only. Raises SettingsError if it is not safe."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"control: cannot make the folder '{folder}': {error.strerror}"
        ) from error
    if folder != _from_systemd():
        check_folder(folder)


def check_folder(folder: Path) -> None:
    """Raises SettingsError for a folder that another user made, or can put things in."""
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        why = "it is a link or a file"
    elif _owner(facts) != _user():
        why = "it belongs to another user"
    elif stat.S_IMODE(facts.st_mode) & 0o022:
        why = "others may write to it"
    else:
        return
    raise SettingsError(f"control: '{folder}' cannot hold the socket, for {why}; remove it")


def _folders() -> Iterator[Path]:
    """Those that could hold the socket, the best first."""
    given = _from_systemd()
    if given is not None:
        yield given
    named = os.environ.get("XDG_RUNTIME_DIR")
    for own in ([Path(named)] if named else []) + [Path("/run/user") / str(_user())]:
        if own.is_dir() and own.stat().st_uid == _user():
            yield own / "vcsharp"
    yield _temporary()


def _from_systemd() -> Path | None:
    named = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(named) if named else None


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / f"vcsharp-{_user()}"


def _owner(facts: os.stat_result) -> int:
    return facts.st_uid


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _sockets(folder: Path) -> list[Path]:
    try:
        found = [*folder.glob("*.sock"), *folder.glob("*/*.sock")]
    except OSError:
        return []
    return [path for path in found if _is_socket(path)]


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:
        return False
