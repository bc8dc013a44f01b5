"""The arithmetic, on timings whose figures can be worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from vcsharp.bench.contender import Sample, Subject
from vcsharp.bench.figures import (
    linear_in_cameras,
    linear_in_pixels,
    rates,
    ratios,
    rows,
)

from .plants import HD, NETWORK, VGA, course, planted_courses


def measured(courses=None):
    courses = courses or planted_courses()
    return {(row.name, row.size): row for row in rows(courses, rates(courses))}


def test_a_ceiling_is_the_median_of_its_rounds_beside_the_best() -> None:
    (rate,) = rates(planted_courses())
    assert (rate.median, rate.best, rate.unit) == (100.0, 200.0, "GMAC/s")
    assert rate.cpu_median == pytest.approx(100.0)


def test_a_ceiling_on_a_gpu_has_no_cpu_time() -> None:
    subject = Subject("ceilings", "fp16", unit="GMAC", work=1.0, device="cuda", precision="fp16")
    (rate,) = rates([course(subject, Sample(1, 0.1, 0.1))])
    assert rate.cpu_median is None


def test_a_frames_time_is_the_median_of_all_frames_of_all_rounds() -> None:
    row = measured()["nano int8 ort cpu", HD]
    assert row.ms == 40.0
    assert row.ms_p95 == pytest.approx(49.0)
    assert row.ms_p99 == pytest.approx(49.8)
    assert row.fps == 25.0
    assert (row.rounds, row.frames) == (2, 3)


def test_cpu_time_is_the_median_of_the_rounds_means() -> None:
    assert measured()["nano int8 ort cpu", HD].cpu_ms == pytest.approx(50.0)


def test_the_share_of_the_ceiling_is_multiplications_a_second_of_the_median_rate() -> None:
    row = measured()["nano int8 ort cpu", HD]
    assert row.ceiling_percent == pytest.approx(100 * (2.0 / 0.040) / 100.0)
    assert row.cpu_ceiling_percent == pytest.approx(100 * (2.0 / 0.050) / 100.0)


def test_of_several_ceilings_the_highest_counts() -> None:
    facts: dict[str, Any] = {"unit": "GMAC", "work": 1.0, "device": "cpu", "precision": "int8"}
    one = course(Subject("ceilings", "one", threads=1, **facts), Sample(1, 0.1, 0.1))
    two = course(Subject("ceilings", "two", threads=2, **facts), Sample(1, 0.05, 0.1))
    net = course(
        Subject("networks", "nano", HD, gmac=1.0, **NETWORK), Sample(1, 0.1, 0.1, (100.0,))
    )
    assert measured([one, two, net])["nano", HD].ceiling_percent == pytest.approx(50.0)


def test_another_precisions_ceiling_is_no_ceiling() -> None:
    limit = Subject("ceilings", "x", unit="GMAC", device="cpu", precision="fp32")
    net = Subject("networks", "nano", HD, gmac=1.0, **NETWORK)
    courses = [course(limit, Sample(1, 1, 1)), course(net, Sample(1, 0.1, 0.1, (100.0,)))]
    assert measured(courses)["nano", HD].ceiling_percent is None


def test_overlapping_frames_have_a_mean_and_no_percentile() -> None:
    row = measured()["nano int8", HD]
    assert (row.ms, row.ms_p95, row.fps, row.cpu_ms) == (50.0, None, 20.0, 30.0)


def test_a_program_has_cpu_time_only() -> None:
    subject = Subject("peers", "ffmpeg cas (program)", HD)
    row = measured([course(subject, Sample(10, 0.0, 0.2))])[subject.name, HD]
    assert (row.ms, row.fps) == (None, None)
    assert row.cpu_ms == pytest.approx(20.0)


def test_who_took_no_turn_has_no_row() -> None:
    assert not [name for name, _ in measured() if name.startswith("base")]


def test_time_a_megapixel_is_held_against_1080p() -> None:
    (linear,) = linear_in_pixels(list(measured().values()))
    assert linear.per_unit_ms["1920x1080"] == pytest.approx(40 / 2.0736)
    assert linear.per_unit_ms["640x480"] == pytest.approx(5.92 / 0.3072)
    assert linear.off_percent == pytest.approx(0.1, abs=0.1)
    assert linear.holds


def test_twice_the_cost_a_pixel_does_not_hold() -> None:
    facts: dict[str, Any] = {"group": "networks", "name": "n", **NETWORK}
    courses = [
        course(Subject(size=HD, **facts), Sample(1, 1, 1, (20.736,))),
        course(Subject(size=VGA, **facts), Sample(1, 1, 1, (6.144,))),
    ]
    (linear,) = linear_in_pixels(list(measured(courses).values()))
    assert linear.off_percent == pytest.approx(100.0)
    assert not linear.holds


def test_time_a_frame_of_several_cameras_is_held_against_one() -> None:
    (linear,) = linear_in_cameras(list(measured().values()))
    assert linear.per_unit_ms == {"1": 50.0, "2": pytest.approx(70.0)}
    assert linear.off_percent == pytest.approx(40.0)
    assert not linear.holds


def test_the_ratio_compares_cpu_time_of_the_whole_pipeline() -> None:
    (ratio,) = ratios(list(measured().values()))
    assert (ratio.network, ratio.peer) == ("nano int8", "ffmpeg cas")
    assert ratio.cpu_ratio == pytest.approx(30 / 60)
