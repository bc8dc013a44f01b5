"""The system calls that a virtual camera is used with; tests put their own kernel in place."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select

from vcsharp.frame import Bytes


class Device:
    """A video device as the kernel has it. Every method may be called from any thread."""

    def open(self, path: str, *, waits: bool = True) -> int:
        """A descriptor for reading and writing, as some releases want both.

        Without `waits`, asking for an event that has not come is an error.
        """
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | (0 if waits else os.O_NONBLOCK))

    def ioctl(
        self, descriptor: int, request: int, argument: ctypes.Structure | ctypes.c_int
    ) -> None:
        """Asks the driver, which answers in `argument`."""
        fcntl.ioctl(descriptor, request, argument)

    def write(self, descriptor: int, data: Bytes) -> int:
        """Bytes taken."""
        return os.write(descriptor, data.data)

    def write_mapped(self, descriptor: int, offset: int, length: int, data: bytes) -> None:
        """Puts `data` at the head of the driver's memory from `offset`, `length` bytes long."""
        with mmap.mmap(descriptor, length, offset=offset) as memory:
            memory[: len(data)] = data

    def wait_event(self, descriptor: int, waker: int, timeout_s: float) -> bool:
        """Whether an event of the device came in time, or it went away.

        A byte to be read from `waker` ends the waiting.
        """
        poll = select.poll()
        poll.register(descriptor, select.POLLPRI)
        poll.register(waker, select.POLLIN)
        return any(number == descriptor for number, _ in poll.poll(1000 * timeout_s))

    def close(self, descriptor: int) -> None:
        """Releases the device."""
        os.close(descriptor)
