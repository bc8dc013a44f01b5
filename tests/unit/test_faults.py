"""The log of faults: newest first, repeats counted, bounded."""

from __future__ import annotations

from vcsharp.faults import KEPT, FaultLog


def test_the_newest_comes_first_and_a_repeated_one_is_counted() -> None:
    log = FaultLog()
    log.add("source", "camera gone")
    log.add("engine", "no memory")
    log.add("source", "camera gone")
    assert [(e.where, e.what, e.count) for e in log.newest()] == [
        ("source", "camera gone", 2),
        ("engine", "no memory", 1),
    ]


def test_the_same_words_from_elsewhere_are_another_fault() -> None:
    log = FaultLog()
    log.add("source", "gone")
    log.add("sink", "gone")
    assert [entry.count for entry in log.newest()] == [1, 1]


def test_it_keeps_the_last_ten() -> None:
    log = FaultLog()
    for number in range(50):
        log.add("source", f"fault {number}")
    kept = [f"fault {number}" for number in range(49, 49 - KEPT, -1)]
    assert [entry.what for entry in log.newest()] == kept
