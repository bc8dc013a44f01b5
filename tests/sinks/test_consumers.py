from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.consumers import ConsumerWatch, Openers
from vcsharp.sinks.v4l2_device import Device

from .fake_kernel import FakeKernel, Node

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")

DEVICE = "/dev/video10"
NEVER_S = 60.0


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def is_wanted(watch: ConsumerWatch, right: bool) -> bool:
    return watch.wanted is right


@contextmanager
def watching(kernel: FakeKernel, resync_s: float = NEVER_S, **folders) -> Iterator[ConsumerWatch]:
    nowhere = {"module": Path("/nowhere"), "sysfs": Path("/nowhere")}
    watch = ConsumerWatch(DEVICE, device=kernel, resync_s=resync_s, **(nowhere | folders))
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


@pytest.mark.parametrize("event", list(abi.CameraEvent))
@pytest.mark.parametrize("readers", [0, 1, 3])
def test_a_reader_that_was_there_first_is_known_from_the_start(event, readers):
    kernel = FakeKernel({DEVICE: Node(event=event, readers=readers)})
    with watching(kernel) as watch:
        assert until(lambda: watch.wanted is (readers > 0))


def test_readers_are_told_as_they_come_and_go():
    kernel = FakeKernel({DEVICE: Node()})
    with watching(kernel) as watch:
        assert until(lambda: watch.wanted is False)
        for readers in (1, 0, 2, 1, 0):
            kernel.set_readers(DEVICE, readers)
            assert until(partial(is_wanted, watch, readers > 0))


def test_opening_without_streaming_is_no_reader():
    kernel = FakeKernel({DEVICE: Node()})
    with watching(kernel) as watch:
        assert until(lambda: watch.wanted is False)
        for _ in range(20):
            kernel.close(kernel.open(DEVICE))
        time.sleep(0.05)
        assert watch.wanted is False


@pytest.mark.parametrize("readers", [0, 1])
def test_a_lost_event_is_made_good_by_asking_anew(readers):
    kernel = FakeKernel({DEVICE: Node(readers=1 - readers)})
    with watching(kernel, resync_s=0.02) as watch:
        assert until(lambda: watch.wanted is (readers == 0))
        kernel.set_readers(DEVICE, readers, lost=True)
        assert until(lambda: watch.wanted is (readers > 0))


STEP = st.one_of(
    st.tuples(st.just("readers"), st.integers(0, 3)),
    st.tuples(st.just("lost"), st.integers(0, 3)),
    st.tuples(st.just("probe"), st.just(0)),
    st.tuples(st.just("away"), st.just(0)),
    st.tuples(st.just("back"), st.just(0)),
    st.tuples(st.just("pause"), st.integers(0, 3)),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(STEP, max_size=12))
def test_any_order_of_edges_losses_and_unplugging_ends_at_the_right_level(steps):
    kernel = FakeKernel({DEVICE: Node()})
    with watching(kernel, resync_s=0.01) as watch:
        for what, number in steps:
            _apply(kernel, what, number)
        node = kernel.nodes[DEVICE]
        right = None if node.gone else node.readers > 0
        assert until(lambda: watch.wanted is right)
    assert kernel.open_now == {}


def _apply(kernel: FakeKernel, what: str, number: int) -> None:
    if what in ("readers", "lost"):
        kernel.set_readers(DEVICE, number, lost=what == "lost")
    elif what == "probe" and not kernel.nodes[DEVICE].gone:
        kernel.close(kernel.open(DEVICE))
    elif what == "away":
        kernel.take_away(DEVICE)
    elif what == "back" and kernel.nodes[DEVICE].gone:
        kernel.give_back(DEVICE)
    elif what == "pause":
        time.sleep(number / 200)


def test_two_devices_are_watched_each_for_itself():
    other = "/dev/video11"
    kernel = FakeKernel({DEVICE: Node(), other: Node()})
    with watching(kernel, 0.02) as first:
        second = ConsumerWatch(other, device=kernel, resync_s=0.02)
        second.start()
        assert until(lambda: (first.wanted, second.wanted) == (False, False))
        kernel.set_readers(other, 1)
        assert until(lambda: second.wanted is True)
        assert first.wanted is False
        kernel.take_away(other)
        assert until(lambda: second.wanted is None)
        assert first.wanted is False
        second.close()


def test_where_nothing_can_be_told_the_answer_is_unknown():
    kernel = FakeKernel({DEVICE: Node(event=None, readers=1)})
    with watching(kernel, 0.02) as watch:
        assert until(lambda: kernel.requests.count(abi.SUBSCRIBE_EVENT) > 4)
        assert watch.wanted is None
    assert kernel.open_now == {}


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EACCES, errno.ENODEV])
def test_a_device_that_cannot_be_opened_is_unknown_and_asked_again(code):
    kernel = FakeKernel({DEVICE: Node(readers=1)}, {DEVICE: code})
    with watching(kernel, 0.01) as watch:
        time.sleep(0.05)
        assert watch.wanted is None
        kernel.open_errors.clear()
        assert until(lambda: watch.wanted is True)


def test_closing_is_prompt_and_twice_is_once():
    threads = threading.active_count()
    kernel = FakeKernel({DEVICE: Node()})
    with watching(kernel) as watch:
        assert until(lambda: watch.wanted is False)
        began_s = time.monotonic()
        watch.close()
    assert time.monotonic() - began_s < NEVER_S / 2
    assert kernel.open_now == {}
    assert threading.active_count() == threads


def test_a_watch_that_was_never_started_can_be_closed():
    ConsumerWatch(DEVICE, device=FakeKernel({})).close()


class Machine:
    """The files that release 0.12 tells with; `own` is how often this program has a device open."""

    def __init__(self, folder: Path, own: int = 1) -> None:
        self.module, self.sysfs, self.own = (folder / name for name in ("module", "sys", "fd"))
        for path in (self.module, self.own, self.sysfs / "video10", self.sysfs / "video2"):
            path.mkdir(parents=True)
        (self.sysfs / "video10" / "max_openers").touch()
        for number in range(own):
            (self.own / f"{number}").symlink_to(DEVICE)
        (self.own / "90").symlink_to("/dev/video2")
        (self.own / "91").symlink_to("socket:[1234]")
        self.set_opened(own)

    def set_opened(self, count: int) -> None:
        (self.module / "refcnt").write_text(f"{count}\n")

    def openers(self) -> Openers:
        return Openers(self.module, self.sysfs, self.own)


@pytest.mark.parametrize("strangers", [0, 1, 5])
def test_strangers_are_all_openers_but_this_program(tmp_path, strangers):
    machine = Machine(tmp_path, own=2)
    machine.set_opened(2 + strangers)
    assert machine.openers().strangers(DEVICE) == strangers


def test_strangers_are_unknown_for_other_drivers_and_without_the_module(tmp_path):
    machine = Machine(tmp_path)
    assert machine.openers().strangers("/dev/video2") is None
    (machine.module / "refcnt").write_text("live\n")
    assert machine.openers().strangers(DEVICE) is None
    (machine.module / "refcnt").unlink()
    assert machine.openers().strangers(DEVICE) is None


@pytest.mark.parametrize("resync_s", [0.01, NEVER_S])
def test_on_release_0_12_who_has_it_open_for_longer_is_a_reader(tmp_path, resync_s):
    machine = Machine(tmp_path, own=0)
    kernel = FakeKernel({DEVICE: Node(event=None)})
    with watching(kernel, resync_s, module=machine.module, sysfs=machine.sysfs) as watch:
        assert until(lambda: watch.wanted is False)
        machine.set_opened(1)
        assert until(lambda: watch.wanted is True)
        machine.set_opened(0)
        assert until(lambda: watch.wanted is False)


def test_a_watch_is_woken_by_an_event_of_its_device_and_by_its_waker():
    listener = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(listener.getsockname())
    receiver, _ = listener.accept()
    waker, wake_end = os.pipe()
    kernel = Device()
    try:
        assert not kernel.wait_event(receiver.fileno(), waker, 0.01)
        sender.send(b"!", socket.MSG_OOB)  # the only other thing that poll calls POLLPRI
        assert kernel.wait_event(receiver.fileno(), waker, 20)
        receiver.recv(1, socket.MSG_OOB)
        os.write(wake_end, b".")
        assert not kernel.wait_event(receiver.fileno(), waker, 20)
    finally:
        for end in (listener, sender, receiver):
            end.close()
        os.close(waker)
        os.close(wake_end)
