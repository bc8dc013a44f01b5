"""Sleep is announced, put off while devices are let go, and over again."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import pytest

from vcsharp import sleep
from vcsharp.sleep import SleepWatch


class FakeBus:
    """Announces what is planned, then waits; an exception in the plan is raised."""

    def __init__(self, *plan: bool | Exception, refusing: bool = False) -> None:
        self.plan = list(plan)
        self.refusing = refusing
        self.taken: list[int] = []
        self.closed = False
        self.quiet, self.interrupted = threading.Event(), threading.Event()

    def inhibit(self) -> int:
        if self.refusing:
            raise OSError("logind refuses")
        descriptor = os.open(os.devnull, os.O_RDONLY)
        self.taken.append(descriptor)
        return descriptor

    def next_change(self) -> bool:
        if not self.plan:
            self.quiet.set()
            self.interrupted.wait(60)
            raise OSError("interrupted")
        step = self.plan.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        self.closed = True


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture(autouse=True)
def _linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sleep, "RETRY_S", 0.01)


def watch(connect: Callable[[], FakeBus]) -> tuple[SleepWatch, list[tuple[str, bool]]]:
    """A watch, and what it called: the word, and whether sleep was put off at that moment."""
    told: list[tuple[str, bool]] = []
    buses: list[FakeBus] = []

    def connected() -> FakeBus:
        buses.append(connect())
        return buses[-1]

    def tell(word: str) -> None:
        taken = buses[-1].taken
        told.append((word, bool(taken) and is_open(taken[-1])))

    made = SleepWatch(lambda: tell("sleep"), lambda: tell("wake"), connect=connected)
    return made, told


def test_sleep_is_put_off_until_devices_are_let_go_and_no_longer() -> None:
    bus = FakeBus(True, False, True, False)
    watcher, told = watch(lambda: bus)
    watcher.start()
    assert bus.quiet.wait(10)
    assert told == [("sleep", True), ("wake", False)] * 2
    assert len(bus.taken) == 3  # one at the start, one after each return
    watcher.close()
    assert bus.closed
    assert not is_open(bus.taken[-1])


def test_a_bus_that_goes_away_is_asked_again_and_again() -> None:
    last = FakeBus(True, False)
    answers: list[FakeBus | OSError] = [FakeBus(OSError("gone")), OSError("not yet"), last]

    def connect() -> FakeBus:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    watcher, told = watch(connect)
    watcher.start()
    assert last.quiet.wait(10)
    assert [word for word, _ in told] == ["sleep", "wake"]
    watcher.close()


def test_a_system_without_logind_is_asked_once() -> None:
    bus = FakeBus(refusing=True)
    buses = [bus]
    watcher, _ = watch(lambda: buses.pop())
    watcher.start()
    assert watcher._thread is not None
    watcher._thread.join(10)
    assert not watcher._thread.is_alive()
    assert bus.closed
    watcher.close()


def test_closing_ends_the_thread_that_waits_for_the_bus() -> None:
    bus = FakeBus()
    watcher, _ = watch(lambda: bus)
    watcher.start()
    assert bus.quiet.wait(10)
    watcher.close()
    assert watcher._thread is not None
    assert not watcher._thread.is_alive()
    assert bus.closed


def test_a_waking_that_was_not_announced_takes_no_second_delay() -> None:
    bus = FakeBus(False, False)
    watcher, told = watch(lambda: bus)
    watcher.start()
    assert bus.quiet.wait(10)
    assert len(bus.taken) == 1
    watcher.close()
    assert [word for word, _ in told] == ["wake", "wake"]


def test_without_a_bus_the_thread_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> FakeBus:
        raise FileNotFoundError("no bus")

    watcher, told = watch(refuse)
    watcher.start()
    assert watcher._thread is not None
    watcher._thread.join(10)
    assert not watcher._thread.is_alive()
    watcher.close()
    assert told == []


@pytest.mark.parametrize("address", ["unix:path=/nowhere/bus", "nonsense", ""])
def test_a_system_without_a_bus_is_an_oserror(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    with pytest.raises(OSError, match=r".+"):
        sleep._system_bus()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    watcher, _ = watch(FakeBus)
    watcher.start()
    assert watcher._thread is None
    watcher.close()
