"""Runs cases of one target in a process of its own, so that a crash costs one case.

    python -m tests.fuzz.child TARGET FIRST COUNT

Prints a line of JSON for each finding and, at the end, one with the growth of memory and handles;
`at N` goes before case N, so that whoever reads knows which one did not return.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import random
import sys
import tempfile
import traceback
from pathlib import Path

from .targets import TARGETS

WARM_UP = 0.25
"""Share of the cases after which memory and handles are counted for the first time."""


def say(**words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def resident_kib() -> int:
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)  # what is free and yet kept is no leak
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a Path would open one more


def main() -> None:
    name, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        target = TARGETS[name](Path(folder))
        before = 0, 0
        for number in range(first, first + count):
            if number == first + int(count * WARM_UP):
                before = resident_kib(), handles()
            say(at=number)
            try:
                target.run(random.Random(f"{name} {number}"))
            except BaseException:  # noqa: BLE001 - whatever comes is a finding
                say(finding=traceback.format_exc(), case=number)
        say(grown_kib=resident_kib() - before[0], grown_handles=handles() - before[1])
    sys.stdout.flush()
    os._exit(0)  # the camera's thread is still at its door


if __name__ == "__main__":
    main()
