"""v4l2loopback devices without a kernel: what releases of it answered in real runs."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from vcsharp import videodev
from vcsharp.frame import Bytes
from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.v4l2_device import Device

STANDIN_OFFSET = 1 << 24


@dataclass
class Node:
    """One /dev/videoN."""

    driver: bytes = b"v4l2 loopback"
    card: bytes = b"vcsharp"
    capabilities: int = videodev.CAP_VIDEO_OUTPUT
    keeps: tuple[int, int, str] | None = None
    """(width, height, fourcc) that S_FMT grants whatever is asked."""
    changed: tuple[int, int, str] | None = None
    """What another program made of the format after we had settled it."""
    format_error: int = 0
    """errno of S_FMT: what a busy device answers."""
    page_bytes: int = 1
    """Sizes are rounded up to a multiple of this."""
    rate_error: int = 0
    takes: list[int] = field(default_factory=list)
    """For each write to come: bytes taken, or a negative errno; then everything."""
    event: int | None = abi.CameraEvent.CLIENT_USAGE
    """The number of the event that tells of readers; None where there is none."""
    controls: dict[int, int] | None = field(default_factory=dict)
    """Values of the controls that were set; None where the driver has none."""
    modern: bool = True
    """Since 0.14: no buffer is told of before it was asked for, and the button is no switch."""
    switch: int = 0
    snatched: bool = False
    """Another program opens it just after the button for the stand-in was pressed."""
    readers: int = 0
    frame_bytes: int = 0
    """What S_FMT granted."""
    standin: bytes = b""
    took_buffers: bool = False
    """Somebody asked for the buffers that a reader has: its picture stops."""
    gone: bool = False


@dataclass
class Opener:
    """An open descriptor."""

    node: Node
    has_standin: bool
    has_buffers: bool = False
    subscribed: bool = False
    event: int | None = None
    """The count of the event that waits; a later one takes its place."""


class FakeKernel(Device):
    """Keeps what was asked and written; descriptors are 100 and up.

    Thread-safe, since a watch asks from a thread of its own.
    """

    def __init__(self, nodes: dict[str, Node], open_error: dict[str, int] | None = None) -> None:
        self.nodes, self.open_errors = nodes, open_error or {}
        self.open_now: dict[int, Opener] = {}
        self.opened = 0
        self.requests: list[int] = []
        self.format = abi.Format()
        self.rate = (0, 0)
        self.written: list[bytes] = []
        self._changed = threading.Condition()

    def open(self, path: str, *, waits: bool = True) -> int:
        with self._changed:
            code = self.open_errors.get(path, 0 if path in self.nodes else errno.ENOENT)
            _fail(code)
            node = self.nodes[path]
            _fail(errno.ENODEV if node.gone else 0)
            self.opened += 1
            self.open_now[99 + self.opened] = Opener(node, self._takes_standin(node))
            return 99 + self.opened

    def ioctl(
        self, descriptor: int, request: int, argument: ctypes.Structure | ctypes.c_int
    ) -> None:
        with self._changed:
            self.requests.append(request)
            opener = self.open_now[descriptor]
            _fail(errno.ENODEV if opener.node.gone else 0)
            answer = self._answers().get(type(argument))
            if answer is not None:
                answer(opener, argument)

    def write(self, descriptor: int, data: Bytes) -> int:
        node = self.open_now[descriptor].node
        _fail(errno.ENODEV if node.gone else 0)
        answer = node.takes.pop(0) if node.takes else data.nbytes
        _fail(-answer if answer < 0 else 0)
        self.written.append(data.tobytes())
        return answer

    def write_mapped(self, descriptor: int, offset: int, length: int, data: bytes) -> None:
        node = self.open_now[descriptor].node
        assert offset == STANDIN_OFFSET
        assert len(data) <= length == node.frame_bytes
        node.standin = data

    def wait_event(self, descriptor: int, waker: int, timeout_s: float) -> bool:
        end_s = time.monotonic() + timeout_s
        with self._changed:
            while time.monotonic() < end_s and not select.select([waker], [], [], 0)[0]:
                opener = self.open_now[descriptor]
                if opener.event is not None or opener.node.gone:
                    return True
                self._changed.wait(0.002)
        return False

    def close(self, descriptor: int) -> None:
        with self._changed:
            del self.open_now[descriptor]

    def set_readers(self, path: str, readers: int, *, lost: bool = False) -> None:
        """So many programs stream from now on; the event may get `lost`."""
        with self._changed:
            self.nodes[path].readers = readers
            if not lost:
                self._tell(self.nodes[path])

    def take_away(self, path: str) -> None:
        """The module is unloaded by force."""
        with self._changed:
            self.nodes[path].gone = True
            self._changed.notify_all()

    def give_back(self, path: str) -> None:
        """Another device appears under the same name."""
        with self._changed:
            self.nodes[path] = Node()

    def _answers(self) -> dict[type, Callable[..., None]]:
        return {
            videodev.Capability: _tell_capability,
            abi.Format: self._set_format,
            abi.StreamParm: self._set_rate,
            videodev.Control: _set_control,
            videodev.RequestBuffers: _grant_buffers,
            abi.Buffer: _tell_buffer,
            abi.EventSubscription: self._subscribe,
            abi.Event: _take_event,
        }

    def _set_format(self, opener: Opener, argument: abi.Format) -> None:
        node = opener.node
        if self.requests[-1] == abi.S_FMT:
            _fail(node.format_error)
            self.format = abi.Format.from_buffer_copy(argument)
        pix = argument.fmt.pix
        ctypes.memmove(ctypes.byref(pix), ctypes.byref(self.format.fmt.pix), ctypes.sizeof(pix))
        if other := node.keeps or node.changed:
            pix.width, pix.height = other[:2]
            pix.pixelformat = abi.fourcc(other[2])
            pix.sizeimage = pix.width * pix.height * 3 // 2
        pix.sizeimage = -(-pix.sizeimage // node.page_bytes) * node.page_bytes
        node.frame_bytes = pix.sizeimage

    def _set_rate(self, opener: Opener, argument: abi.StreamParm) -> None:
        _fail(opener.node.rate_error)
        output = argument.parm.output
        self.rate = (output.numerator, output.denominator)

    def _subscribe(self, opener: Opener, argument: abi.EventSubscription) -> None:
        _fail(errno.ENOTTY if opener.node.event is None else 0)
        _fail(errno.EINVAL if argument.type != opener.node.event else 0)
        opener.subscribed = True
        if argument.flags & abi.EVENT_SUB_FL_SEND_INITIAL:
            self._tell(opener.node)

    def _tell(self, node: Node) -> None:
        for opener in self.open_now.values():
            if opener.node is node and opener.subscribed:
                opener.event = node.readers
        self._changed.notify_all()

    def _takes_standin(self, node: Node) -> bool:
        pressed = bool((node.controls or {}).pop(abi.LoopbackControl.TIMEOUT_IMAGE_IO, 0))
        return pressed and not node.snatched


def _tell_capability(opener: Opener, argument: videodev.Capability) -> None:
    node = opener.node
    argument.driver, argument.card = node.driver, node.card
    argument.capabilities = argument.device_caps = node.capabilities


def _set_control(opener: Opener, argument: videodev.Control) -> None:
    node = opener.node
    if node.controls is None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    is_button = argument.id == abi.LoopbackControl.TIMEOUT_IMAGE_IO
    if is_button and not node.modern and node.switch == argument.value:
        return  # the kernel spares the driver a value that it has already
    if is_button:
        node.switch = argument.value
    node.controls[argument.id] = 1 if is_button and node.modern else argument.value


def _grant_buffers(opener: Opener, argument: videodev.RequestBuffers) -> None:
    assert (argument.type, argument.memory) == (abi.BUF_TYPE_VIDEO_OUTPUT, videodev.MEMORY_MMAP)
    if not opener.has_standin:
        opener.node.took_buffers = not opener.node.modern
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    opener.has_buffers = True


def _tell_buffer(opener: Opener, argument: abi.Buffer) -> None:
    _fail(errno.EINVAL if opener.node.modern and not opener.has_buffers else 0)
    argument.offset = STANDIN_OFFSET if opener.has_standin else 0
    argument.length = opener.node.frame_bytes


def _take_event(opener: Opener, argument: abi.Event) -> None:
    if opener.event is None:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    argument.type, argument.count = opener.node.event or 0, opener.event
    opener.event = None


def _fail(code: int) -> None:
    if code:
        raise OSError(code, os.strerror(code))
