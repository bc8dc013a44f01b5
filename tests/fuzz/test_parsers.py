"""Thousands of damaged inputs for every parser that reads what others wrote.

`make fuzz` runs 10,000 cases of each; `make test` some dozens. A case is made of its target's name
and its number alone, so that a finding can be run again:

    python -m tests.fuzz.child 'video file' 4711 1
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from random import Random

import pytest

from .mutate import mutated

CASES = int(os.environ.get("VCSHARP_FUZZ_CASES", "60"))
HUNG_S = 90.0
"""No case takes a second; a loaded machine may be much slower."""
GROWTH_KIB = 64 * 1024
"""Memory that allocators may keep; ten thousand leaks of 10 KiB would be more."""
GROWTH_HANDLES = 4
TARGETS = (
    "settings file",
    "flags and variables",
    "model card",
    "model weights",
    "still picture",
    "camera buffer",
    "video file",
    "rtsp stream",
)


class Child:
    """A process that runs cases, and what it said."""

    def __init__(self, target: str, first: int, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.child", target, str(first), str(count)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.target, self.at = target, first
        self.findings: list[str] = []

    def finish(self, hung_s: float = HUNG_S) -> None:
        """Reads to the end; a case that hangs or takes the process with it is a finding."""
        patience_s = HUNG_S  # for the first case, which waits for the process to start
        try:
            while (line := self._lines.get(timeout=patience_s)) is not None:
                self._note(json.loads(line))
                patience_s = hung_s
        except queue.Empty:
            self._find(f"no answer for {patience_s:.0f} s")
        finally:
            self._process.kill()
            status = self._process.wait()
            self._reader.join()
        if status not in (0, -9):
            self._find(f"the process ended with status {status}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def _note(self, said: dict[str, object]) -> None:
        self.at = int(str(said.get("at", self.at)))
        if "finding" in said:
            self._find(str(said["finding"]))
        for what, limit in (("grown_kib", GROWTH_KIB), ("grown_handles", GROWTH_HANDLES)):
            if int(str(said.get(what, 0))) > limit:
                self._find(f"{what}: {said[what]} in all")

    def _find(self, what: str) -> None:
        self.findings.append(f"{self.target}, case {self.at}: {what}")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts memory in /proc")
@pytest.mark.timeout(300 + CASES)
@pytest.mark.parametrize("target", TARGETS)
def test_damaged_input_ends_in_an_error_for_people_and_nothing_else(target: str) -> None:
    findings: list[str] = []
    first = 0
    while first < CASES and len(findings) < 20:
        child = Child(target, first, CASES - first)
        child.finish()
        findings += child.findings
        first = child.at + 1
    assert not findings, "\n".join(findings)


def test_a_case_can_be_made_again() -> None:
    seeds = [b"a seed that is long enough", b"and another one"]
    once, again = (mutated(seeds, Random("video file 7")) for _ in range(2))
    assert once == again
    assert len({mutated(seeds, Random(f"x {n}")) for n in range(100)}) > 90


@pytest.mark.parametrize(
    ("fault", "words", "number"),
    [
        ("crash", "the process ended with status -6", 3),
        ("hang", "no answer for", 3),
        ("error", "ValueError: planted", 3),
        ("leak", "grown_kib", 79),
        ("leak", "grown_handles", 79),
    ],
)
def test_what_is_wrong_is_found_with_its_number(fault: str, words: str, number: int) -> None:
    child = Child(f"planted {fault}", 0, 80)
    child.finish(hung_s=6 if fault == "hang" else HUNG_S)
    found = [finding for finding in child.findings if words in finding]
    assert len(found) == 1, child.findings
    assert found[0].startswith(f"planted {fault}, case {number}: ")
