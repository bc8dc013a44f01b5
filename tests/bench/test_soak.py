"""What `soak.py` must find, planted; and a short run of it."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

_spec = importlib.util.spec_from_file_location("soak", Path(__file__).with_name("soak.py"))
assert _spec is not None
assert _spec.loader is not None
soak = importlib.util.module_from_spec(_spec)
sys.modules["soak"] = soak  # dataclasses look themselves up there
_spec.loader.exec_module(soak)


def an_hour() -> list:
    """A run without a fault, looked at a little early or late each time."""
    chance = random.Random(0)
    samples = []
    for second in range(3601):
        at_s = second + chance.uniform(0, 0.03)
        frames = int(30 * at_s) + 45
        rss_mib = 200 + min(second, 60) / 2 + chance.uniform(0, 1)
        late_ms = 15 + chance.uniform(0, 1)
        counts = (frames + 1, frames, 0, 0)
        samples.append(soak.Sample(at_s, rss_mib, 60.0, late_ms, late_ms + 4, 25.0, *counts))
    return samples


def failing(samples: list) -> list[str]:
    return [verdict.what for verdict in soak.verdicts(samples) if not verdict.holds]


def test_a_run_without_fault_passes():
    assert failing(an_hour()) == []


def test_memory_that_grows_by_six_mebibytes_is_found():
    leaking = [replace(s, rss_mib=s.rss_mib + s.at_s / 3600 * 6) for s in an_hour()]
    assert failing(leaking) == ["memory, most less least, MiB"]


def test_a_delay_that_grows_is_found():
    slowing = [replace(s, p95_ms=s.p95_ms + s.at_s / 1000) for s in an_hour()]
    assert failing(slowing) == ["latency p95_ms, last less first, ms"]
    quicker = [replace(s, p95_ms=s.p95_ms - s.at_s / 1000) for s in an_hour()]
    assert failing(quicker) == []


@pytest.mark.parametrize("rate", [30.001, 29.999])
def test_a_clock_that_is_off_by_three_frames_an_hour_is_found(rate):
    samples = [replace(s, frames_out=int(rate * s.at_s), frames_in=int(rate * s.at_s) + 1)
               for s in an_hour()]  # fmt: skip
    assert failing(samples) == ["frames_out less rate x time"]


def test_frames_that_vanish_without_being_counted_are_found():
    samples = an_hour()
    samples[-1] = replace(samples[-1], frames_in=samples[-1].frames_in + 4)
    assert failing(samples) == ["frames in, neither out nor dropped"]


def test_a_short_run_leaves_a_plot_and_figures(tmp_path, capsys):
    plot, figures = tmp_path / "soak.png", tmp_path / "soak.json"
    soak.main(["12", "--plot", str(plot), "--json", str(figures), "--size", "320x180"])
    told = json.loads(figures.read_text("utf-8"))
    samples = [soak.Sample(**sample) for sample in told["samples"]]
    assert len(samples) == 13
    assert samples[-1].frames_out > samples[0].frames_out
    assert told["pairs_fetched"] > 1
    held = {verdict["what"]: verdict["holds"] for verdict in told["verdicts"]}
    assert held["frames in, neither out nor dropped"]
    assert cv2.imread(str(plot)) is not None
    assert "frames_out less rate x time" in capsys.readouterr().out
