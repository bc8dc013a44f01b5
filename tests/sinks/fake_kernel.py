"""A v4l2loopback device without a kernel: what releases of it answered in real runs."""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass, field

from vcsharp import videodev
from vcsharp.frame import Bytes
from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.v4l2loopback import Device


@dataclass
class Node:
    """One /dev/videoN."""

    driver: bytes = b"v4l2 loopback"
    card: bytes = b"vcsharp"
    capabilities: int = videodev.CAP_VIDEO_OUTPUT
    keeps: tuple[int, int, str] | None = None
    """(width, height, fourcc) that S_FMT grants whatever is asked."""
    format_error: int = 0
    """errno of S_FMT: what a busy device answers."""
    page_bytes: int = 1
    """Sizes are rounded up to a multiple of this."""
    rate_error: int = 0
    takes: list[int] = field(default_factory=list)
    """For each write to come: bytes taken, or a negative errno; then everything."""


class FakeKernel(Device):
    """Keeps what was asked and written; descriptors are 100 and up."""

    def __init__(self, nodes: dict[str, Node], open_error: dict[str, int] | None = None) -> None:
        self.nodes, self.open_errors = nodes, open_error or {}
        self.open_now: dict[int, Node] = {}
        self.requests: list[int] = []
        self.format = abi.Format()
        self.rate = (0, 0)
        self.written: list[bytes] = []

    def open(self, path: str) -> int:
        code = self.open_errors.get(path, 0 if path in self.nodes else errno.ENOENT)
        if code:
            raise OSError(code, os.strerror(code))
        descriptor = 100 + len(self.open_now)
        self.open_now[descriptor] = self.nodes[path]
        return descriptor

    def ioctl(
        self, descriptor: int, request: int, argument: ctypes.Structure | ctypes.c_int
    ) -> None:
        self.requests.append(request)
        node = self.open_now[descriptor]
        if isinstance(argument, videodev.Capability):
            argument.driver, argument.card = node.driver, node.card
            argument.capabilities = argument.device_caps = node.capabilities
        elif isinstance(argument, abi.Format):
            self._set_format(node, argument)
        elif isinstance(argument, abi.StreamParm):
            _fail(node.rate_error)
            output = argument.parm.output
            self.rate = (output.numerator, output.denominator)

    def _set_format(self, node: Node, argument: abi.Format) -> None:
        _fail(node.format_error)
        self.format = abi.Format.from_buffer_copy(argument)
        pix = argument.fmt.pix
        if node.keeps:
            pix.width, pix.height = node.keeps[:2]
            pix.pixelformat = abi.fourcc(node.keeps[2])
            pix.sizeimage = pix.width * pix.height * 3 // 2
        pix.sizeimage = -(-pix.sizeimage // node.page_bytes) * node.page_bytes

    def write(self, descriptor: int, data: Bytes) -> int:
        node = self.open_now[descriptor]
        answer = node.takes.pop(0) if node.takes else data.nbytes
        _fail(-answer if answer < 0 else 0)
        self.written.append(data.tobytes())
        return answer

    def close(self, descriptor: int) -> None:
        del self.open_now[descriptor]


def _fail(code: int) -> None:
    if code:
        raise OSError(code, os.strerror(code))
