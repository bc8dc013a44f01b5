"""What this machine is, as far as it decides how fast a network runs."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def usable_cores() -> int:
    """CPU cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def cpu_name_and_flags() -> tuple[str, tuple[str, ...]]:
    """The processor's name and its sorted instruction sets, as the kernel tells them.

    Elsewhere than on Linux the flags are empty.
    """
    try:
        text = CPUINFO.read_text("utf-8", "replace")
    except OSError:
        return platform.processor() or platform.machine(), ()
    facts: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())  # all cores are taken to be of one kind
    flags = facts.get("flags") or facts.get("Features") or ""
    return facts.get("model name") or platform.machine(), tuple(sorted(flags.split()))
