"""Figures: counted once, rates over intervals, percentiles of what was measured."""

import threading
import time

from vcsharp.mailbox import Mailbox
from vcsharp.telemetry import RateMeter, Telemetry


def test_n_stamps_span_n_minus_one_intervals():
    meter = RateMeter()
    for n in range(11):
        meter.tick(n / 10)
    assert abs(meter.rate(1.0) - 10) < 1e-9


def test_a_rate_forgets_what_is_older_than_two_seconds():
    meter = RateMeter()
    for n in range(100):
        meter.tick(n / 100)
    assert meter.rate(50.0) == 0


def test_repeats_do_not_count_as_frames():
    telemetry = Telemetry()
    telemetry.frame_out(time.monotonic_ns())
    telemetry.frame_out(time.monotonic_ns(), new=False)
    telemetry.frame_repeated()
    figures = telemetry.snapshot()
    assert (figures.frames_out, figures.frames_repeated) == (1, 1)


def test_latency_runs_from_the_capture():
    telemetry = Telemetry()
    for _ in range(10):
        telemetry.frame_out(time.monotonic_ns() - 20_000_000)
    latency_ms = telemetry.snapshot().latency_ms
    assert 20 <= latency_ms["p50"] <= latency_ms["p95"] <= latency_ms["p99"]
    assert telemetry.latency_p95_ms() >= 20


def test_of_several_outputs_the_worst_counts_for_drops():
    boxes: list[Mailbox[int]] = [Mailbox(), Mailbox(), Mailbox()]
    for box, drops in zip(boxes, (5, 2, 3), strict=True):
        for n in range(drops + 1):
            box.put(n)
    telemetry = Telemetry()
    telemetry.count_drops_of(boxes[:1], boxes[1:])
    assert telemetry.snapshot().frames_dropped == 5 + 3


def test_tiles_are_summed_and_their_share_is_of_the_last_frames():
    telemetry = Telemetry()
    assert telemetry.snapshot().kept_percent == 0
    for _ in range(100):
        telemetry.tiles(12, 0, 0)
    for _ in range(60):
        telemetry.tiles(2, 9, 1)
    figures = telemetry.snapshot()
    assert figures.tiles == {"computed": 1320, "kept": 540, "passed": 60}
    assert figures.kept_percent == 75


def test_steps_are_counted_and_the_last_words_stay():
    telemetry = Telemetry()
    telemetry.stepped(up=False, words="half of it")
    assert telemetry.step == "half of it"
    telemetry.stepped(up=True, words="")
    assert (telemetry.step, telemetry.snapshot().steps) == ("", {"down": 1, "up": 1})


def test_stages_are_timed_by_the_clock_they_name():
    telemetry = Telemetry()
    with telemetry.timed("capture", time.thread_time):
        time.sleep(0.05)  # waiting is no CPU time
    with telemetry.timed("engine"):
        time.sleep(0.05)
    stages_ms = telemetry.snapshot().stage_ms
    assert stages_ms["capture"] < 40
    assert stages_ms["engine"] >= 50


def test_rates_count_from_the_beginning_of_the_run():
    telemetry = Telemetry()
    time.sleep(0.1)
    telemetry.begin("live")
    assert telemetry.snapshot().seconds < 0.1
    assert telemetry.status == "live"


def test_all_threads_may_count_at_once():
    telemetry = Telemetry()

    def count() -> None:
        for _ in range(2000):
            telemetry.frame_in()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert telemetry.snapshot().frames_in == 8000
