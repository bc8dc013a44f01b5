"""Between two threads: a slot where the newest wins, or a queue that holds the writer back."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from vcsharp.errors import MailboxClosed

T = TypeVar("T")


class Channel(Protocol[T]):
    """A way from one thread to another.

    Thread-safety: safe for one writer, one reader and any number of closers.
    """

    dropped: int
    """Items that were replaced before anybody took them."""

    def put(self, item: T) -> None:
        """Hands an item over. Raises MailboxClosed once closed."""

    def take(self, timeout_s: float | None = None) -> T | None:
        """The next item, or None after the time-out. Raises MailboxClosed once closed and empty."""

    def close(self, cause: BaseException | None = None) -> None:
        """Wakes both sides. The first cause wins; closing again does nothing."""


class _Closable(Generic[T]):
    """What both kinds share: a condition, the items, the end and its cause."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._closed = False
        self._cause: BaseException | None = None
        self.dropped = 0

    def take(self, timeout_s: float | None = None) -> T | None:
        """The next item, or None after the time-out. Raises MailboxClosed once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            self._refuse_if_closed()
            return None

    def close(self, cause: BaseException | None = None) -> None:
        """Wakes both sides; what was put before can still be taken. The first cause wins."""
        with self._changed:
            if not self._closed:
                self._closed, self._cause = True, cause
            self._changed.notify_all()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise MailboxClosed("the other side has gone") from self._cause


class Mailbox(_Closable[T]):
    """One slot. `put` never blocks and replaces an item that was not yet taken: the newest wins."""

    def put(self, item: T) -> None:
        """Hands an item over without waiting. Raises MailboxClosed once closed."""
        with self._changed:
            self._refuse_if_closed()
            self.dropped += len(self._items)
            self._items.clear()
            self._items.append(item)
            self._changed.notify_all()


class BoundedQueue(_Closable[T]):
    """A queue that loses nothing: `put` waits while `capacity` items lie untaken."""

    def __init__(self, capacity: int = 3) -> None:
        super().__init__()
        self._capacity = capacity

    def put(self, item: T) -> None:
        """Hands an item over, waiting for room. Raises MailboxClosed once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            self._refuse_if_closed()
            self._items.append(item)
            self._changed.notify_all()


def taken(channel: Channel[T]) -> T:
    """The next item, however long it takes. Raises MailboxClosed."""
    item = channel.take()
    assert item is not None  # without a time-out, `take` returns an item or raises
    return item


def until_closed(channel: Channel[T]) -> Iterator[T]:
    """Items until the channel is closed; raises MailboxClosed if that had a cause."""
    while True:
        try:
            yield taken(channel)
        except MailboxClosed as end:
            if end.__cause__ is not None:
                raise
            return
