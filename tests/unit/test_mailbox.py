"""The newest wins in a mailbox; nothing is lost in a queue; an end carries its cause."""

import threading
import time

import pytest

from vcsharp.errors import MailboxClosed
from vcsharp.mailbox import BoundedQueue, Channel, Mailbox

KINDS = [Mailbox, BoundedQueue]


def test_a_mailbox_keeps_the_newest_and_counts_the_rest():
    box: Mailbox[int] = Mailbox()
    for number in range(5):
        box.put(number)
    assert box.take() == 4
    assert box.dropped == 4


def test_a_queue_keeps_order_and_holds_the_writer_back():
    queue: BoundedQueue[int] = BoundedQueue(capacity=2)
    written = []

    def write() -> None:
        for number in range(50):
            queue.put(number)
            written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.05)
    assert len(written) <= 2
    assert [queue.take(1) for _ in range(50)] == list(range(50))
    writer.join(1)
    assert queue.dropped == 0


@pytest.mark.parametrize("kind", KINDS)
def test_take_gives_none_after_its_time_out(kind: type[Channel[int]]):
    assert kind().take(timeout_s=0.01) is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_item_can_be_taken_after_the_end(kind: type[Channel[int]]):
    channel = kind()
    channel.put(7)
    channel.close()
    assert channel.take() == 7
    with pytest.raises(MailboxClosed):
        channel.take()


@pytest.mark.parametrize("kind", KINDS)
def test_closing_carries_the_first_cause(kind: type[Channel[int]]):
    channel = kind()
    cause = RuntimeError("camera on fire")
    channel.close(cause)
    channel.close(RuntimeError("later"))
    with pytest.raises(MailboxClosed) as caught:
        channel.put(1)
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("kind", KINDS)
def test_closing_wakes_a_waiting_reader(kind: type[Channel[int]]):
    channel = kind()
    ended = threading.Event()

    def read() -> None:
        with pytest.raises(MailboxClosed):
            channel.take()
        ended.set()

    threading.Thread(target=read).start()
    time.sleep(0.02)
    channel.close()
    assert ended.wait(2)


def test_closing_wakes_a_writer_that_is_held_back():
    queue: BoundedQueue[int] = BoundedQueue(capacity=1)
    queue.put(0)
    ended = threading.Event()

    def write() -> None:
        with pytest.raises(MailboxClosed):
            queue.put(1)
        ended.set()

    threading.Thread(target=write).start()
    time.sleep(0.02)
    queue.close()
    assert ended.wait(2)
