from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vcsharp import notify, videodev
from vcsharp.errors import SinkError, SinkIOError
from vcsharp.notify import Notifier
from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.kept import Kept
from vcsharp.sinks.v4l2loopback import LoopbackSink

from .fake_kernel import FakeKernel, Node

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")

DEVICE, NAME = "/dev/video10", "camera-video10"


class Manager(Notifier):
    """What a service manager is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    def keep(self, name: str, descriptor: int) -> None:
        self.told.append(("keep", name))

    def drop(self, name: str) -> None:
        self.told.append(("drop", name))


class Runs:
    """Sinks of one run after the other on one device; a held device looks as if it were in use."""

    def __init__(self, folder: Path, stream: StreamFormat) -> None:
        self.node = Node(
            keeps=(stream.width, stream.height, "YU12"), capabilities=videodev.CAP_VIDEO_CAPTURE
        )
        self.kernel = FakeKernel({DEVICE: self.node, "/dev/video11": Node()})
        self.manager = Manager()
        for name in ("video10", "video11"):
            (folder / name).mkdir()
        self._sysfs = folder
        self.sinks: list[LoopbackSink] = []

    def sink(self, path: str | None = DEVICE, **inherited: int) -> LoopbackSink:
        names = {name.replace("_", "-"): number for name, number in inherited.items()}
        kept = Kept(self.manager, names)
        sink = LoopbackSink(path, device=self.kernel, sysfs=self._sysfs, kept=kept)
        self.sinks.append(sink)
        return sink

    def held(self) -> int:
        """A descriptor as the manager would hand it on."""
        return self.kernel.open(DEVICE)


@pytest.fixture
def runs(tmp_path, stream) -> Iterator[Runs]:
    made = Runs(tmp_path, stream)
    yield made
    for sink in made.sinks:
        sink.close()


def test_a_device_that_was_opened_is_given_to_the_manager(runs, stream):
    runs.sink().open(stream)
    assert runs.manager.told == [("keep", NAME)]


def test_a_device_that_the_run_before_left_is_gone_on_with(runs, stream, make_results):
    descriptor = runs.held()
    sink = runs.sink(camera_video10=descriptor)
    assert sink.open(stream) == '/dev/video10 "vcsharp" (64x48 YU12)'
    assert abi.S_FMT not in runs.kernel.requests  # it is refused while the stream's buffers are
    assert runs.manager.told == []
    assert runs.node.standin != b""
    sink.write(make_results(1)[0])
    sink.close()
    assert descriptor not in runs.kernel.open_now


def test_a_device_left_in_another_format_is_dropped_and_opened_anew(runs, stream):
    descriptor = runs.held()
    sink = runs.sink(camera_video10=descriptor)
    with pytest.raises(SinkError, match="stays at '64x48 YU12' where '128x48 YU12'"):
        sink.open(StreamFormat(128, 48, stream.fps, stream.color))
    assert runs.manager.told == [("drop", NAME)]
    assert descriptor not in runs.kernel.open_now
    runs.node.keeps = None
    sink.open(StreamFormat(128, 48, stream.fps, stream.color))
    assert runs.manager.told[1:] == [("keep", NAME)]


def test_a_device_that_went_meanwhile_is_dropped(runs, stream):
    descriptor = runs.held()
    runs.kernel.take_away(DEVICE)
    with pytest.raises(SinkError, match="the device is gone"):
        runs.sink(camera_video10=descriptor).open(stream)
    assert runs.manager.told == [("drop", NAME)]
    assert runs.kernel.open_now == {}


@pytest.mark.parametrize("answer", [-errno.EINVAL, 1000])
def test_a_refused_frame_frees_the_device_for_the_next_attempt(runs, stream, make_results, answer):
    sink = runs.sink()
    sink.open(stream)
    runs.node.takes = [answer]
    with pytest.raises((SinkError, SinkIOError)):
        sink.write(make_results(1)[0])
    assert runs.manager.told == [("keep", NAME), ("drop", NAME)]


def test_virtual_goes_on_with_the_device_that_was_left(runs, stream):
    sink = runs.sink(None, camera_video10=runs.held())
    assert sink.open(stream).startswith(DEVICE)
    assert runs.sink(None).open(stream).startswith("/dev/video11")


def test_a_descriptor_travels_to_the_manager_and_back(tmp_path, monkeypatch):
    address = str(tmp_path / "notify")
    reads, writes = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        kept = Kept(Notifier(address), {})
        kept.keep(DEVICE, writes)
        words, descriptors, *_ = socket.recv_fds(manager, 4096, 2)
        kept.drop(DEVICE)
        assert manager.recv(4096) == b"FDSTOREREMOVE=1\nFDNAME=camera-video10"
    assert words == b"FDSTORE=1\nFDNAME=camera-video10"
    os.close(writes)
    os.set_inheritable(descriptors[0], True)
    monkeypatch.setattr(notify, "FIRST_INHERITED", descriptors[0])
    for name, value in (("PID", os.getpid()), ("FDS", 1), ("FDNAMES", NAME)):
        monkeypatch.setenv(f"LISTEN_{name}", f"{value}")
    found = notify.inherited()
    assert found == {NAME: descriptors[0]}
    assert not os.get_inheritable(descriptors[0])  # a child would hold the camera as well
    assert not any(name.startswith("LISTEN_") for name in os.environ)
    assert Kept(Notifier(), found).take("/dev/video10") == descriptors[0]
    os.write(descriptors[0], b"alive")
    assert os.read(reads, 9) == b"alive"
    os.close(descriptors[0])
    os.close(reads)


@pytest.mark.parametrize(("pid", "count"), [(1, "1"), (0, "1"), (None, "x"), (None, "0")])
def test_descriptors_for_somebody_else_are_not_taken(monkeypatch, pid, count):
    monkeypatch.setenv("LISTEN_PID", f"{os.getpid() if pid is None else pid}")
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_FDNAMES", NAME)
    assert notify.inherited() == {}
