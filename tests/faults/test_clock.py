"""The wall clock may jump as it likes: only monotonic time measures anything."""

from __future__ import annotations

import ast
from pathlib import Path

import vcsharp

PACKAGE = Path(vcsharp.__file__).parent
DISPLAYED = {"faults.py": 1, "ctl_view.py": 1, "runner.py": 1}
"""Where the time of day is meant for people, and how often it is asked."""


def wall_clock_calls(path: Path) -> int:
    """Uses of `time.time`, `time.time_ns` and `datetime.now` in a module."""
    tree = ast.parse(path.read_text("utf-8"))
    names = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sum(name in ("time.time", "time.time_ns", "datetime.now") for name in names)


def test_no_duration_is_taken_from_the_wall_clock() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if "_models" not in path.parts]
    found = {path.name: count for path in modules if (count := wall_clock_calls(path))}
    assert len(modules) > 60
    assert found == DISPLAYED
