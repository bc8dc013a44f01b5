"""Deadlines are absolute: rates hold over many steps, whatever each step does."""

import threading
import time
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from vcsharp.clock import NS_PER_S, Cadence, Timeline

FPS = Fraction(30)
PERIOD_NS = NS_PER_S // 30


def written_times(arrivals_ns: list[int], until_ns: int) -> list[tuple[int, bool]]:
    """Plays a paced sink on invented time: (time, is it a repeat) of each write."""
    cadence, writes, waiting = Cadence(FPS, arrivals_ns[0]), [], list(arrivals_ns)
    now = waiting.pop(0)
    writes.append((now, False))
    cadence.wrote(now)
    while True:
        if waiting and waiting[0] <= cadence.repeat_ns:
            now = max(waiting[0], cadence.earliest_ns, now)
            waiting = [arrival for arrival in waiting if arrival > now]
            repeat = False
        else:
            now, repeat = cadence.repeat_ns, True
        if now > until_ns:
            return writes
        writes.append((now, repeat))
        cadence.wrote(now)


@given(st.lists(st.integers(-PERIOD_NS // 5, PERIOD_NS // 5), min_size=60, max_size=120))
def test_a_steady_source_with_jitter_is_neither_repeated_nor_thinned(jitter_ns):
    arrivals = [PERIOD_NS + n * PERIOD_NS + jitter for n, jitter in enumerate([0, *jitter_ns])]
    writes = written_times(arrivals, arrivals[-1])
    assert not any(repeat for _, repeat in writes)
    assert len(writes) >= len(arrivals) - 1


@given(st.integers(1, 240))
def test_any_source_rate_is_written_at_the_sinks_rate(source_fps):
    arrivals = [n * NS_PER_S // source_fps for n in range(source_fps * 10)]
    writes = written_times(arrivals, 10 * NS_PER_S)
    assert abs(len(writes) - 300) <= 3


def test_a_silent_source_is_repeated_at_the_full_rate():
    writes = written_times([0], 10 * NS_PER_S)
    assert abs(len(writes) - 300) <= 1
    assert all(repeat for _, repeat in writes[1:])


def test_a_new_frame_does_not_wait_for_the_tick():
    cadence = Cadence(FPS, 0)
    cadence.wrote(0)
    assert cadence.earliest_ns < PERIOD_NS


def test_a_stall_is_not_made_up_for_with_a_burst():
    cadence = Cadence(FPS, 0)
    cadence.wrote(5 * NS_PER_S)
    assert cadence.earliest_ns > 5 * NS_PER_S


def test_a_timeline_plays_timestamps_at_their_own_pace():
    timeline, stop = Timeline(), threading.Event()
    started = time.monotonic()
    for n in range(6):
        timeline.wait_for(Fraction(n, 50), stop)
    assert time.monotonic() - started >= 0.1


def test_a_timeline_stops_waiting_when_asked():
    timeline, stop = Timeline(slack_s=100), threading.Event()
    timeline.wait_for(Fraction(0), stop)
    stop.set()
    started = time.monotonic()
    timeline.wait_for(Fraction(30), stop)
    assert time.monotonic() - started < 5


def test_a_jump_in_the_timestamps_moves_the_timeline():
    timeline, stop = Timeline(), threading.Event()
    timeline.wait_for(Fraction(0), stop)
    started = time.monotonic()
    timeline.wait_for(Fraction(1000), stop)
    assert time.monotonic() - started < 5
