"""What the tests of the v4l2loopback sink share: a sysfs, and sinks that are closed again."""

from __future__ import annotations

from pathlib import Path

from vcsharp.sinks.v4l2loopback import LoopbackSink

from .fake_kernel import FakeKernel, Node

DEVICE = "/dev/video10"


def sysfs(folder: Path, **attributes: list[str]) -> Path:
    """A /sys/class/video4linux with the named devices and their v4l2loopback attributes."""
    for name, files in attributes.items():
        (folder / name).mkdir()
        for file in files:
            (folder / name / file).touch()
    return folder


_made: list[LoopbackSink] = []


def make(*arguments, **options) -> LoopbackSink:
    """A sink that is closed after the test, and its thread with it."""
    _made.append(LoopbackSink(*arguments, **options))
    return _made[-1]


def close_all() -> None:
    while _made:
        _made.pop().close()


def make_sink(node: Node, folder: Path, **options) -> tuple[LoopbackSink, FakeKernel]:
    kernel = FakeKernel({DEVICE: node})
    return make(DEVICE, device=kernel, sysfs=folder, **options), kernel
