"""Processes that cut crops: results in order, faults in one line, the bottleneck by its times."""

from __future__ import annotations

import re
import signal

import pytest
from vcsharp_training import bank, pool
from vcsharp_training.errors import DataError


def _square(number: int) -> int:
    if number == 13:
        raise DataError("unlucky")
    return number**2


def _die(number: int) -> int:
    signal.raise_signal(signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_a_pool_gives_results_in_order_and_errors_as_they_are(workers):
    assert list(pool.in_order(_square, range(11), workers)) == [i**2 for i in range(11)]
    with pytest.raises(DataError, match="unlucky"):
        list(pool.in_order(_square, range(20), workers))


def test_a_killed_worker_is_one_line_with_its_cure():
    with pytest.raises(DataError, match=r"worker process was killed, .* lower `workers`"):
        list(pool.in_order(_die, range(20), 2))


@pytest.mark.parametrize(
    ("waiting_s", "writing_s", "says"),
    [(3.0, 1.0, "25 a second; 75% .* 25% .* was cutting"), (0, 4.0, "25 a .* was writing")],
)
def test_the_bottleneck_is_told_by_measured_times(waiting_s, writing_s, says):
    built = bank.Built(crops=100, waiting_s=waiting_s, writing_s=writing_s)
    assert re.search(says, built.speed())
