"""What every sink promises, checked on each of them."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from vcsharp.errors import SinkError
from vcsharp.sinks.base import Sink
from vcsharp.sinks.digest import DigestSink
from vcsharp.sinks.file import FileSink
from vcsharp.sinks.null import NullSink
from vcsharp.sinks.portable import PortableSink
from vcsharp.sinks.preview import PreviewSink

from .fake_kernel import FakeKernel, Node

# Realtime, paced, dresses.
TRAITS = {
    "null": (False, False, False),
    "digest": (False, False, False),
    "mp4": (False, False, True),
    "mkv": (False, False, True),
    "preview": (True, False, False),
    "pyvirtualcam": (True, True, False),
    "virtual": (True, True, False),
}
WANTED = {"null": True, "digest": True, "mp4": True, "mkv": True, "pyvirtualcam": None}
NAMES = [name for name in TRAITS if name != "virtual" or sys.platform == "linux"]


class FakeCamera:
    """pyvirtualcam's Camera, as far as it is used."""

    device = "OBS Virtual Camera"

    def __init__(self, width, height, fps, *, fmt, device):
        self.facts = (width, height, fps, fmt, device)
        self.sent: list[bytes] = []

    def send(self, data):
        self.sent.append(data.tobytes())

    def close(self):
        self.sent.append(b"closed")


@pytest.fixture
def cameras(monkeypatch) -> list[FakeCamera]:
    """The cameras that were opened through pyvirtualcam."""
    opened: list[FakeCamera] = []
    module = types.ModuleType("pyvirtualcam")

    def camera(*arguments, **options):
        opened.append(FakeCamera(*arguments, **options))
        return opened[-1]

    module.Camera = camera  # type: ignore[attr-defined]
    module.PixelFormat = types.SimpleNamespace(I420="I420")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    return opened


def make(name: str, folder: Path) -> Sink:
    if name == "virtual":
        from vcsharp.sinks.v4l2loopback import LoopbackSink

        return LoopbackSink("/dev/video10", device=FakeKernel({"/dev/video10": Node()}))
    makers: dict[str, Callable[[], Sink]] = {
        "null": NullSink,
        "digest": lambda: DigestSink(folder / "digests", name="digest"),
        "mp4": lambda: FileSink(folder / "a.mp4"),
        "mkv": lambda: FileSink(folder / "a.mkv"),
        "preview": lambda: PreviewSink(serve=lambda _: "http://x", watched=lambda: False),
        "pyvirtualcam": PortableSink,
    }
    return makers[name]()


@pytest.fixture(params=NAMES)
def sink(request, tmp_path, cameras) -> Sink:
    return make(request.param, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_sink_says_what_it_is(name, tmp_path):
    made = make(name, tmp_path)
    assert (made.realtime, made.paced, made.dresses) == TRAITS[name]
    assert made.name.endswith(name)


@pytest.mark.parametrize("name", WANTED)
def test_files_always_want_pictures_and_who_cannot_tell_says_so(name, tmp_path, cameras, stream):
    made = make(name, tmp_path)
    assert made.wanted is WANTED[name]
    made.open(stream)
    assert made.wanted is WANTED[name]
    made.close()


def test_a_sink_opens_with_one_line_takes_frames_and_closes_twice(sink, make_results, stream):
    line = sink.open(stream)
    assert line.strip() == line != ""
    assert "\n" not in line
    for result in make_results(5):
        before = result.frame.data.copy(), result.source.data.copy()
        sink.write(result)
        assert (result.frame.data == before[0]).all()
        assert (result.source.data == before[1]).all()
    sink.close()
    sink.close()


def test_a_sink_that_was_never_opened_can_be_closed(sink, tmp_path):
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_sink_opened_without_frames_closes(sink, stream):
    sink.open(stream)
    sink.close()


def test_pyvirtualcam_gets_the_planes_unchanged(cameras, make_results, stream):
    sink = PortableSink("OBS Virtual Camera")
    assert sink.open(stream) == "OBS Virtual Camera (64x48 I420)"
    results = make_results(2)
    for result in results:
        sink.write(result)
    sink.close()
    sink.close()
    assert cameras[0].facts == (64, 48, 25.0, "I420", "OBS Virtual Camera")
    assert cameras[0].sent == [*(r.frame.data.tobytes() for r in results), b"closed"]


def test_a_refusal_of_pyvirtualcam_is_one_line_with_a_cure(cameras, monkeypatch, stream):
    def refuse(*_, **__):
        raise RuntimeError("'obs' backend: not installed\n'unitycapture' backend: not found\n")

    monkeypatch.setattr(sys.modules["pyvirtualcam"], "Camera", refuse)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SinkError) as refusal:
        PortableSink().open(stream)
    assert str(refusal.value) == (
        "cannot open a virtual camera: 'obs' backend: not installed; 'unitycapture' backend: not "
        "found; install OBS Studio (its installer registers the virtual camera)"
    )


def test_a_frame_refused_by_pyvirtualcam_is_an_error(cameras, make_results, stream, monkeypatch):
    def refuse(*_):
        raise RuntimeError("virtual camera output has been disconnected")

    sink = PortableSink()
    sink.open(stream)
    monkeypatch.setattr(cameras[0], "send", refuse)
    with pytest.raises(SinkError, match=r"cannot write to the virtual camera: .*disconnected"):
        sink.write(make_results(1)[0])
    sink.close()
