"""Which source a word means, what `auto` takes, and the promises that every source keeps."""

from __future__ import annotations

import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vcsharp.errors import SettingsError, SourceError
from vcsharp.frame import black
from vcsharp.sources import auto, make_source
from vcsharp.sources.base import Source, SourceFormat
from vcsharp.sources.cameras import CameraInfo
from vcsharp.sources.demo import DemoSource
from vcsharp.sources.file import FileSource
from vcsharp.sources.rtsp import StreamSource
from vcsharp.sources.v4l2 import CameraSource

from .clips import random_clip
from .conftest import RtspServer


def make(spec: str, *, loop: bool = False, transport: str = "tcp") -> Source:
    return make_source(spec, size=(640, 360), fps=Fraction(30), loop=loop, rtsp_transport=transport)


@pytest.mark.parametrize(
    ("spec", "kind", "lossless"),
    [
        ("0", CameraSource, False),
        ("12", CameraSource, False),
        ("/dev/video3", CameraSource, False),
        ("/dev/v4l/by-id/usb-x-index0", CameraSource, False),
        ("rtsp://cam/live", StreamSource, False),
        ("RTSPS://cam/live", StreamSource, False),
        ("https://cam/live.m3u8", StreamSource, False),
        ("demo", DemoSource, True),
        ("holiday.mp4", FileSource, True),
        ("./demo", FileSource, True),
        ("2024", FileSource, True),
    ],
)
def test_each_word_means_one_kind_of_source(spec: str, kind: type[Any], lossless: bool) -> None:
    source = make(spec)
    assert type(source) is kind
    assert (source.name, source.lossless) == (spec, lossless)


@pytest.mark.parametrize(
    ("spec", "words"),
    [("", "''"), ("  ", "camera (0)"), ("ftp://a:b@c/d", "'ftp://***@c/d'"), ("a\0b", "source")],
)
def test_nonsense_is_a_settings_error(spec: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make(spec)
    assert words in str(caught.value)


def test_an_unknown_transport_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="'sctp'"):
        make("rtsp://cam/live", transport="sctp")


def test_naming_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, vcsharp.sources as s; s.redact('x'); s.list_cameras();"
        "print([m for m in ('cv2', 'av', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Camera:
    """Works or fails by its name."""

    lossless = False
    trail: ClassVar[list[str]] = []

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self) -> SourceFormat:
        self.trail.append(f"open {self.name}")
        if "busy" in self.name:
            raise SourceError(f"camera '{self.name}' is in use by zoom (1)")
        return SourceFormat(64, 48, Fraction(30), black(2, 2).color, f'camera "{self.name}"')

    def read(self) -> Any:
        if "dead" in self.name:
            raise SourceError(f"camera '{self.name}' hangs")
        return black(64, 48)

    def close(self) -> None:
        self.trail.append(f"close {self.name}")


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretends that these cameras are there; yields the function that says which."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(auto, "_camera", lambda spec, size, fps: Camera(spec))
    monkeypatch.setattr(Camera, "trail", [])

    def plug(*cameras: CameraInfo) -> None:
        monkeypatch.setattr(auto, "list_cameras", lambda: list(cameras))

    return plug


def info(path: str, *, captures: bool = True, virtual: bool = False) -> CameraInfo:
    return CameraInfo(path, None, "cam", "uvcvideo", captures=captures, virtual=virtual)


def test_auto_takes_the_first_camera_that_delivers_a_picture(plugged: Any) -> None:
    plugged(
        info("loopback", virtual=True),
        info("metadata", captures=False),
        info("busy"),
        info("dead"),
        info("good"),
        info("never"),
    )
    source = make("auto")
    assert (source.name, source.lossless) == ("good", False)
    tried = ["open busy", "close busy", "open dead", "close dead", "open good", "close good"]
    assert Camera.trail == tried
    assert source.open().description == 'camera "good" (first working camera)'
    assert source.read() is not None
    source.close()


def test_auto_without_a_camera_is_the_demo_and_says_so(plugged: Any) -> None:
    plugged()
    source = make("auto")
    assert (source.name, source.lossless) == ("demo", True)
    assert source.open().description == "demo scene (no camera found)"
    source.close()


def test_auto_tells_why_the_only_camera_was_not_taken(plugged: Any) -> None:
    plugged(info("busy"))
    source = make("auto")
    assert source.name == "demo"
    assert "in use by zoom" in source.open().description
    source.close()


@pytest.fixture(params=["file", "loop", "demo", "rtsp", "auto"])
def any_source(
    request: pytest.FixtureRequest, tmp_path: Path, rtsp: RtspServer, plugged: Any
) -> Source:
    plugged()
    match request.param:
        case "file" | "loop":
            clip = str(random_clip(tmp_path / "clip.mkv", 30))
            return make(clip, loop=request.param == "loop")
        case "rtsp":
            return make(rtsp.start())
        case name:
            return make(name)


def test_every_source_keeps_the_promise(any_source: Source) -> None:
    any_source.close()  # idempotent, also before the first open
    for _ in range(2):
        facts = any_source.open()
        assert facts.description
        assert facts.fps > 0
        before_ns = time.monotonic_ns()
        frames = [frame for _ in range(5) if (frame := any_source.read()) is not None]
        assert [frame.sequence - frames[0].sequence for frame in frames] == list(range(5))
        assert (frames[0].width, frames[0].height) == (facts.width, facts.height)
        assert frames[0].color == facts.color
        assert all(frame.captured_ns <= time.monotonic_ns() for frame in frames)
        assert frames[-1].captured_ns >= before_ns
        assert len({frame.data.ctypes.data for frame in frames}) == 5  # each has its own buffer
        if any_source.lossless:
            assert all(frame.timestamp is not None for frame in frames)
        any_source.close()
        any_source.close()
