"""Whole runs: what arrives, what is dropped, and how a run ends."""

import threading
import time
from fractions import Fraction

import pytest

from vcsharp.errors import SourceError

from .conftest import FakeSink, FakeSource


class PlantedFault(Exception):
    """Raised on purpose."""


def fail_at(number):
    def hook(count: int) -> None:
        if count == number:
            raise PlantedFault(f"planted at {number}")

    return hook


def no_thread_is_left() -> bool:
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if not any(thread.name.startswith("vcsharp-s") for thread in threading.enumerate()):
            return True
        time.sleep(0.01)
    return False


def test_a_lossless_run_drops_nothing_and_keeps_every_timestamp(make_rig):
    slow = FakeSink(hook=lambda _: time.sleep(0.003))
    rig = make_rig(FakeSource(count=60), [FakeSink(), slow])
    rig.pipeline.run()
    for sink in rig.sinks:
        assert sink.sequences == list(range(60))
        assert [r.frame.timestamp for r in sink.results] == [Fraction(n, 30) for n in range(60)]
    figures = rig.telemetry.snapshot()
    assert (figures.frames_in, figures.frames_out, figures.frames_dropped) == (60, 60, 0)


def test_a_live_run_drops_the_oldest_and_counts_it(make_rig):
    source = FakeSource(count=60, lossless=False, period_s=0.002)
    rig = make_rig(source, [FakeSink(hook=lambda _: time.sleep(0.02))], lossless=False)
    rig.pipeline.run()
    figures = rig.telemetry.snapshot()
    assert figures.frames_dropped > 10
    assert figures.frames_in == 60 == figures.frames_out + figures.frames_dropped
    assert rig.sinks[0].sequences == sorted(set(rig.sinks[0].sequences))


def test_a_slow_viewer_does_not_hold_a_lossless_file_back(make_rig):
    viewer = FakeSink(realtime=True, hook=lambda _: time.sleep(0.05))
    rig = make_rig(FakeSource(count=50), [FakeSink(), viewer])
    rig.pipeline.run()
    assert rig.sinks[0].sequences == list(range(50))
    assert len(viewer.results) < 50


def test_a_paced_sink_repeats_the_last_frame_when_none_comes(make_rig):
    source = FakeSource(count=3, lossless=False, hook=lambda n: time.sleep(0.5 if n == 2 else 0))
    rig = make_rig(source, [FakeSink(realtime=True, paced=True)], lossless=False)
    rig.pipeline.run()
    assert rig.telemetry.snapshot().frames_repeated >= 5
    assert rig.telemetry.snapshot().frames_out <= 3


def test_frames_of_any_size_reach_the_sink_in_the_runs_size(make_rig):
    rig = make_rig(FakeSource(count=2, size=(33, 21)), size=(64, 48))
    rig.pipeline.run()
    assert {(r.frame.width, r.frame.height) for r in rig.sinks[0].results} == {(64, 48)}


def test_a_source_that_changes_its_size_is_followed(make_rig):
    class Restless(FakeSource):
        def read(self):
            self.size = (64, 48) if self.sent % 2 else (33, 90)
            return super().read()

    rig = make_rig(Restless(count=6), size=(128, 96))
    rig.pipeline.run()
    shapes = [(r.frame.width, r.frame.height) for r in rig.sinks[0].results]
    assert shapes == [(128, 96)] * 6


@pytest.mark.parametrize("lossless", [True, False])
def test_a_run_ends_after_so_many_frames(make_rig, lossless):
    source = FakeSource(count=10**9, lossless=lossless, period_s=0.001)
    rig = make_rig(source, lossless=lossless, frames=20)
    rig.pipeline.run()
    assert rig.telemetry.snapshot().frames_out <= 20
    assert len(rig.sinks[0].results) == 20 if lossless else True
    assert no_thread_is_left()


def test_a_frame_rate_asked_for_thins_a_faster_recording(make_rig):
    rig = make_rig(FakeSource(count=60), fps=Fraction(15))
    rig.pipeline.run()
    assert rig.sinks[0].sequences == list(range(0, 60, 2))
    assert rig.telemetry.snapshot().frames_dropped == 0


def test_a_frame_rate_asked_for_leaves_a_slower_recording_whole(make_rig):
    rig = make_rig(FakeSource(count=60), fps=Fraction(60))
    rig.pipeline.run()
    assert rig.sinks[0].sequences == list(range(60))


def test_a_lossless_run_ends_after_so_many_seconds_of_the_recording(make_rig):
    rig = make_rig(FakeSource(count=300), seconds=2.0)
    rig.pipeline.run()
    assert len(rig.sinks[0].results) == 60


def test_a_live_run_ends_after_so_many_seconds_of_the_clock(make_rig):
    source = FakeSource(count=10**9, lossless=False, period_s=0.005)
    rig = make_rig(source, lossless=False, seconds=0.3)
    started = time.monotonic()
    rig.pipeline.run()
    assert 0.3 <= time.monotonic() - started < 3


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("stage", ["source", "engine", "sink", "open", "sink-open"])
def test_a_fault_in_any_stage_ends_the_run_with_its_cause(make_rig, stage, lossless):
    hooks = {stage: fail_at(0 if "open" in stage else 3)}
    source = FakeSource(
        count=10**9,
        lossless=lossless,
        period_s=0.001,
        **{k: v for k, v in (("hook", hooks.get("source")), ("open_hook", hooks.get("open"))) if v},
    )
    bad = FakeSink(
        **{
            k: v
            for k, v in (("hook", hooks.get("sink")), ("open_hook", hooks.get("sink-open")))
            if v
        }
    )
    engine = {"engine_hook": hooks["engine"]} if "engine" in hooks else {}
    rig = make_rig(source, [FakeSink(), bad], lossless=lossless, **engine)
    started = time.monotonic()
    with pytest.raises(PlantedFault, match="planted at"):
        rig.pipeline.run()
    assert time.monotonic() - started < 2
    assert no_thread_is_left()
    assert rig.source.closed
    assert all(sink.closed for sink in rig.sinks)


def test_a_fault_ends_the_run_even_while_the_source_hangs(make_rig):
    source = FakeSource(count=10**9, hook=lambda n: time.sleep(4 if n == 6 else 0))
    rig = make_rig(source, engine_hook=fail_at(2))
    started = time.monotonic()
    with pytest.raises(PlantedFault):
        rig.pipeline.run()
    assert time.monotonic() - started < 2


def test_a_stop_finishes_what_was_begun(make_rig):
    rig = make_rig(FakeSource(count=10**9, period_s=0.001))
    threading.Timer(0.2, rig.stop.set).start()
    rig.pipeline.run()
    assert rig.sinks[0].sequences == list(range(rig.source.sent))
    assert rig.sinks[0].closed == 1


def test_a_stop_while_opening_ends_the_run(make_rig):
    rig = make_rig(FakeSource(open_hook=lambda _: time.sleep(1)))
    threading.Timer(0.1, rig.stop.set).start()
    rig.pipeline.run()
    assert not rig.pipeline.up
    assert not rig.sinks[0].results


def test_an_error_after_the_stop_is_still_told(make_rig):
    class FullDisk(FakeSink):
        def close(self) -> None:
            super().close()
            raise SourceError("disk full")

    rig = make_rig(sinks=[FullDisk()])
    with pytest.raises(SourceError, match="disk full"):
        rig.pipeline.run()


def test_memory_stays_flat_over_ten_thousand_frames(make_rig):
    class Forgetful(FakeSink):
        def write(self, result) -> None:
            self.hook(0)

    rig = make_rig(FakeSource(count=10_000), [Forgetful()])
    before = rig.telemetry.snapshot().rss_mib
    rig.pipeline.run()
    assert rig.telemetry.snapshot().rss_mib - before < 20


def test_placeholders_are_not_counted_nor_sharpened(make_rig):
    class Lost(FakeSource):
        def read(self):
            frame = super().read()
            return frame.replaced(notice="camera lost") if frame else None

    calls: list[int] = []
    rig = make_rig(Lost(count=5), engine_hook=calls.append)
    rig.pipeline.run()
    assert rig.telemetry.snapshot().frames_in == 0
    assert calls == [-1]
    assert len(rig.sinks[0].results) == 5


def test_a_driver_that_hangs_in_a_write_does_not_hold_up_the_end(make_rig, caplog):
    released = threading.Event()

    def hang(number: int) -> None:
        released.wait(60)

    sink = FakeSink(realtime=True, hook=hang)
    rig = make_rig(FakeSource(10**6, lossless=False, period_s=0.01), [sink], lossless=False)
    threading.Timer(0.5, rig.stop.set).start()
    started_s = time.monotonic()
    rig.pipeline.run()
    assert time.monotonic() - started_s < 20  # a whole minute where files are being finished
    assert "vcsharp-sink-0 did not end in time" in caplog.text
    released.set()
