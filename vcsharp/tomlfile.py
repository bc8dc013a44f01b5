"""A settings file: read whole, refused where other users can change it."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

from vcsharp.errors import SettingsError

LARGEST_FILE_BYTES = 256 * 1024
"""Of a settings file; a real one has a few hundred."""


def read_toml(path: Path) -> dict[str, Any]:
    """Its keys and values.

    Raises:
        SettingsError: it cannot be read, is no TOML, or somebody else can change it.
    """
    try:
        with _opened(path) as file:
            _refuse_if_others_write(path, os.fstat(file.fileno()))
            for folder in {path.absolute().parent, path.resolve().parent}:  # of a link, and its aim
                _refuse_if_others_write(folder, folder.stat())
            return tomllib.loads(_bounded(path, file).decode())
    except OSError as error:
        raise SettingsError(f"config: cannot read '{path}': {error.strerror}") from error
    except RecursionError as error:
        raise SettingsError(f"config: '{path}' is not valid TOML: nested too deeply") from error
    except ValueError as error:  # also bytes that are no UTF-8, and numbers of 5000 digits
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"config: '{path}' is not valid TOML: {error}") from error


def _opened(path: Path) -> BinaryIO:
    """The file, opened; a pipe or a device might never end, or never begin."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SettingsError(f"config: '{path}' is not a file; name a TOML file")
    return path.open("rb")


def _bounded(path: Path, file: BinaryIO) -> bytes:
    data = file.read(LARGEST_FILE_BYTES + 1)
    if len(data) > LARGEST_FILE_BYTES:
        kib = LARGEST_FILE_BYTES // 1024
        raise SettingsError(f"config: '{path}' is larger than {kib} KiB; name a settings file")
    return data


def _refuse_if_others_write(path: Path, facts: os.stat_result) -> None:
    """Who can change the settings can choose what the camera films, and where it is sent."""
    if sys.platform == "win32":
        return
    if facts.st_uid not in (os.geteuid(), 0):
        raise SettingsError(
            f"config: '{path}' belongs to another user, who could change the settings; "
            f"copy it, or take it over with: sudo chown $USER '{path}'"
        )
    if _others_write(facts):
        raise SettingsError(
            f"config: '{path}' can be changed by other users; close it with: chmod go-w '{path}'"
        )


def _others_write(facts: os.stat_result) -> bool:
    if stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX:
        return False  # as in /tmp: nobody removes the files of others
    by_group = facts.st_mode & stat.S_IWGRP and not _is_private_group(facts.st_gid)
    return bool(facts.st_mode & stat.S_IWOTH or by_group)


def _is_private_group(gid: int) -> bool:
    """Whether the group is the user's own, as most systems make one for every user."""
    import grp  # not on Windows
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    own = user.pw_gid == gid and group.gr_name == user.pw_name
    return own and set(group.gr_mem) <= {user.pw_name}
