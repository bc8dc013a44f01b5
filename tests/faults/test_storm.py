"""Hundreds of faults in one run; `python tests/faults/storm.py 10000 7` is the long form."""

from __future__ import annotations

import logging

import pytest

from vcsharp.engine import live as live_engine
from vcsharp.sinks import persistent
from vcsharp.sources import live as live_source

from .storm import faultless, hurry, storm

WAITS = {
    live_source: ("STALL_S", "HUNG_S", "FIRST_WAIT_S", "LONGEST_WAIT_S"),
    live_engine: ("FIRST_WAIT_S", "LONGEST_WAIT_S"),
    persistent: ("FIRST_PAUSE_S", "LONGEST_PAUSE_S"),
}


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in WAITS.items():
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))  # taken back afterwards
    hurry()


@pytest.mark.usefixtures("_hurried")
def test_a_run_outlives_a_storm_of_faults(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    report = storm(count=400, seed=7)
    assert faultless(report) == []
    assert sum(report.planted.values()) == 400
    assert {name.partition(":")[0] for name in report.planted} == {
        "source",
        "engine",
        "sink",
        "people",
    }
    assert {"live", "paused", "camera unplugged"} <= set(report.shown)
