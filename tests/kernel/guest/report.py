"""What a scenario says of itself, one line for each thing it looked at; the runner reads them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

T = TypeVar("T")

OUT = Path(os.environ.get("OUT", "/tmp/out"))
SLOWER = 15 if "QEMU" in Path("/proc/cpuinfo").read_text() else 1
"""An emulated processor is so many times slower than the machine's own; bounds give it that."""

_STARTED = time.monotonic()
_results: list[bool] = []


def check(name: str, passed: object, detail: object = "") -> bool:
    """Says `ok NAME detail` or `not ok NAME detail`; `name` has no spaces."""
    _results.append(bool(passed))
    print("ok" if passed else "not ok", name, detail, flush=True)
    return bool(passed)


def skip(name: str, why: str) -> None:
    """Says that this machine or release has nothing to look at."""
    print("skip", name, why, flush=True)


def note(text: object) -> None:
    """A figure or a step that is no promise."""
    print(f"# {time.monotonic() - _STARTED:.1f} s: {text}", flush=True)


def finish() -> NoReturn:
    """Ends the scenario; the status tells whether all was well."""
    sys.exit(not all(_results))


def within(took_s: float, bound_s: float) -> bool:
    """Whether it took less than the bound, which an emulated processor may exceed in proportion."""
    return took_s < bound_s * SLOWER


def until(condition: Callable[[], T], timeout_s: float, period_s: float = 0.02) -> T | None:
    """The condition's first true value; None where it did not come in time."""
    end = time.monotonic() + timeout_s * SLOWER
    while not (value := condition()):
        if time.monotonic() > end:
            return None
        time.sleep(period_s)
    return value


def seconds_until(condition: Callable[[], object], timeout_s: float) -> float:
    """How long the condition took to come true; infinite where it did not in time."""
    began = time.monotonic()
    return time.monotonic() - began if until(condition, timeout_s) else float("inf")
