"""Batches made ahead: the same, in the same order, with errors where they belong."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from vcsharp_training.prefetch import Prefetched


def _draw(step: int) -> np.ndarray:
    return np.random.default_rng([5, step]).standard_normal(4)


@pytest.mark.parametrize("ahead", [0, 1, 3, 50])
def test_batches_are_those_of_a_plain_loop_in_the_same_order(ahead):
    with Prefetched(_draw, range(3, 20), ahead=ahead) as batches:
        found = list(batches)
        assert list(batches) == []
    assert np.array_equal(found, [_draw(step) for step in range(3, 20)])


def test_no_more_are_made_than_may_lie_ready():
    made = list[int]()
    with Prefetched(lambda step: made.append(step), range(100), ahead=2) as batches:
        for _ in range(5):
            next(batches)
    assert len(made) <= 5 + 2
    assert made == sorted(made)


def test_an_error_comes_at_its_step_and_not_before():
    def make(step: int) -> int:
        if step == 2:
            raise OSError("a torn page")
        return step

    with Prefetched(make, range(5)) as batches:
        assert [next(batches), next(batches)] == [0, 1]
        with pytest.raises(OSError, match="a torn page"):
            next(batches)


def test_leaving_ends_the_thread():
    with Prefetched(_draw, range(10**9)) as batches:
        next(batches)
        assert any(thread.name.startswith("prefetch") for thread in threading.enumerate())
    batches.close()
    assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("waited_s", "worked_s", "what"), [(3.0, 1.0, "the data"), (0.5, 9.0, "the optimiser")]
)
def test_the_verdict_follows_the_measured_times(waited_s, worked_s, what):
    batches = Prefetched(_draw, range(0))
    batches.waited_s, batches.worked_s = waited_s, worked_s
    assert batches.verdict().startswith(f"the bottleneck was {what}: {waited_s} s waiting")
    batches.close()


def test_waiting_is_measured_while_the_data_is_late():
    """The maker is held until the consumer has certainly begun to wait."""
    go = threading.Event()

    def make(step: int) -> int:
        assert go.wait(60)
        return step

    with Prefetched(make, range(3)) as batches:
        threading.Timer(0.2, go.set).start()
        assert list(batches) == [0, 1, 2]
    assert batches.waited_s >= 0.1
