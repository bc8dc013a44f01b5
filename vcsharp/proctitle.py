"""Takes passwords out of the command line, which `ps` shows to every user of the machine.

A process may write over the bytes that its arguments lie in. The package setproctitle does so too,
but joins all arguments into one, renames the process and wipes its environment in `/proc`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vcsharp.redact import redact_word

_ARG_START = 48
"""The field of `/proc/PID/stat`, counted from 1: see proc(5)."""
_NAME_FIELDS = 2
"""Fields up to the name's closing parenthesis; a name may hold spaces."""


def hide_passwords(proc: Path = Path("/proc/self")) -> bool:
    """Replaces credentials in this process's command line by `***`.

    Returns:
        False if the command line holds credentials that could not be hidden.
    """
    if sys.platform == "win32":
        return True  # shows a command line to nobody but the user
    if not any(map(_is_secret, sys.orig_argv)):
        return True
    try:
        return _overwrite(proc)
    except (OSError, ValueError, IndexError):  # no /proc (macOS), or one that is closed to us
        return False


def _is_secret(argument: str) -> bool:
    return redact_word(argument) != argument


def _overwrite(proc: Path) -> bool:
    known = (proc / "cmdline").read_bytes()
    words = [redact_word(os.fsdecode(word)) for word in known.split(b"\0")]
    # As long as it was, and with a zero at the end: else the kernel reads on.
    hidden = os.fsencode("\0".join(words))[: len(known) - 1].ljust(len(known), b"\0")
    start = _argument_address((proc / "stat").read_text())
    memory = os.open(proc / "mem", os.O_RDWR)
    try:
        if os.pread(memory, len(known), start) != known:
            return False
        os.pwrite(memory, hidden, start)
    finally:
        os.close(memory)
    return (proc / "cmdline").read_bytes() == hidden


def _argument_address(stat: str) -> int:
    after_name = stat[stat.rindex(")") + 1 :].split()
    return int(after_name[_ARG_START - _NAME_FIELDS - 1])
