"""v4l2loopback 0.12, which does not notice by itself when a writer has gone."""

from __future__ import annotations

import errno
import sys

import pytest

from vcsharp import videodev
from vcsharp.errors import SinkError
from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks import v4l2loopback
from vcsharp.sinks.v4l2loopback import LoopbackSink

from .fake_kernel import FakeKernel, Node
from .loopback_rig import make_sink, sysfs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")


def test_release_0_12_is_told_that_a_writer_streams(tmp_path, stream):
    sysfs(tmp_path, video10=["max_openers"])
    sink, kernel = make_sink(Node(), tmp_path)
    sink.open(stream)
    assert kernel.requests.index(abi.S_FMT) < kernel.requests.index(abi.STREAMON)


def test_later_releases_never_see_a_bare_streamon(tmp_path, stream):
    sysfs(tmp_path, video10=["max_openers", "state"])
    sink, kernel = make_sink(Node(), tmp_path)
    sink.open(stream)
    assert abi.STREAMON not in kernel.requests


def test_release_0_12_with_a_writer_is_busy_though_it_would_let_us_in(tmp_path, stream):
    sysfs(tmp_path, video10=["max_openers"])
    sink, kernel = make_sink(Node(capabilities=videodev.CAP_VIDEO_CAPTURE), tmp_path)
    with pytest.raises(SinkError, match="another program writes to it"):
        sink.open(stream)
    assert kernel.open_now == {}


class StuckKernel(FakeKernel):
    """0.12 after a writer that only wrote: its place is taken until somebody asks to stream."""

    def ioctl(self, descriptor, request, argument):
        if request == abi.STREAMON and not self.open_now[descriptor].node.capabilities & 2:
            self.open_now[descriptor].node.capabilities |= videodev.CAP_VIDEO_OUTPUT
            self.requests.append(request)
            raise OSError(errno.EINVAL, "Invalid argument")
        super().ioctl(descriptor, request, argument)


@pytest.mark.parametrize(("openers", "opens"), [("0", True), ("1", False), ("junk", False)])
def test_release_0_12_gets_a_forgotten_place_freed_where_nobody_can_be_hurt(
    tmp_path, stream, monkeypatch, openers, opens
):
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "refcnt").write_text(openers)
    monkeypatch.setattr(v4l2loopback, "_MODULE", tmp_path / "module")
    kernel = StuckKernel({"/dev/video10": Node(capabilities=videodev.CAP_VIDEO_CAPTURE)})
    (tmp_path / "class").mkdir()
    folder = sysfs(tmp_path / "class", video10=["max_openers"])
    sink = LoopbackSink("/dev/video10", device=kernel, sysfs=folder)
    if opens:
        sink.open(stream)
        sink.close()
    else:
        with pytest.raises(SinkError, match="another program writes to it"):
            sink.open(stream)
        assert abi.STREAMON not in kernel.requests
