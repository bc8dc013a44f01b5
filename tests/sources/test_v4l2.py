"""Cameras without a camera: OpenCV's class and the device's answers are replaced."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vcsharp import videodev
from vcsharp.errors import SourceError, SourceLost
from vcsharp.frame import ColorRange
from vcsharp.sources import cameras, v4l2, v4l2_ioctl
from vcsharp.sources.v4l2 import CameraSource

MJPG, YUYV, BGR3 = (cv2.VideoWriter.fourcc(*name) for name in ("MJPG", "YUYV", "BGR3"))


@dataclass
class FakeDriver:
    """What the camera grants, and what was asked of it."""

    formats: Sequence[int] = (MJPG, YUYV)
    size: tuple[int, int] = (64, 48)
    rate_fixed: bool = False
    pictures: list[Any] = field(default_factory=list)
    read_hook: Callable[[], None] = lambda: None
    opens: list[tuple[Any, int, list[int]]] = field(default_factory=list)
    converted: bool = False
    fourcc: int = 0
    released: int = 0
    stamps_ms: list[float] = field(default_factory=list)
    """Time stamps of the pictures to come; then 0, as drivers without any give."""

    def stamp(self) -> float:
        return self.stamps_ms.pop(0) if self.stamps_ms else 0.0


class FakeCapture:
    """Behaves as cv2.VideoCapture does with V4L2: one wish it cannot meet and it stays closed."""

    driver: FakeDriver

    def open(self, target: Any, backend: int, parameters: Sequence[int]) -> bool:
        asked = dict(zip(parameters[::2], parameters[1::2], strict=True))
        self.driver.opens.append((target, backend, list(parameters)))
        if self.driver.rate_fixed and cv2.CAP_PROP_FPS in asked:
            return False
        self.driver.fourcc = asked.get(cv2.CAP_PROP_FOURCC, self.driver.formats[-1])
        return self.driver.fourcc in self.driver.formats

    def get(self, what: int) -> float:
        return {
            cv2.CAP_PROP_FOURCC: self.driver.fourcc,
            cv2.CAP_PROP_FRAME_WIDTH: self.driver.size[0],
            cv2.CAP_PROP_FRAME_HEIGHT: self.driver.size[1],
            cv2.CAP_PROP_FPS: 30.0,
            cv2.CAP_PROP_POS_MSEC: self.driver.stamp(),
        }[what]

    def set(self, what: int, value: float) -> bool:
        assert (what, value) == (cv2.CAP_PROP_CONVERT_RGB, 1)
        self.driver.converted = True
        return True

    def read(self) -> tuple[bool, Any]:
        self.driver.read_hook()
        return (True, self.driver.pictures.pop(0)) if self.driver.pictures else (False, None)

    def release(self) -> None:
        self.driver.released += 1


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    fake = FakeDriver()
    monkeypatch.setattr(FakeCapture, "driver", fake, raising=False)
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(CameraSource, "_check_node", lambda self: "C920")
    monkeypatch.setattr(sys, "platform", "linux")
    return fake


def camera(device: str = "0") -> CameraSource:
    return CameraSource(device, size=(1920, 1080), fps=Fraction(30))


def jpeg(level: int = 120, size: tuple[int, int] = (64, 48)) -> Any:
    picture = np.full((size[1], size[0], 3), level, np.uint8)
    return cv2.imencode(".jpg", picture)[1].reshape(1, -1)


@pytest.mark.parametrize(
    ("device", "node"),
    [("0", "/dev/video0"), ("12", "/dev/video12"), ("/dev/v4l/by-id/x", "/dev/v4l/by-id/x")],
)
def test_everything_is_asked_for_in_one_open_with_mjpg_first(
    driver: FakeDriver, device: str, node: str
) -> None:
    facts = camera(device).open()
    asked = [cv2.CAP_PROP_FOURCC, MJPG, cv2.CAP_PROP_FRAME_WIDTH, 1920]
    asked += [cv2.CAP_PROP_FRAME_HEIGHT, 1080, cv2.CAP_PROP_FPS, 30]
    asked += [cv2.CAP_PROP_BUFFERSIZE, 2, cv2.CAP_PROP_CONVERT_RGB, 0]
    assert driver.opens == [(node, cv2.CAP_V4L2, asked)]
    assert facts.description == 'camera "C920" MJPG'
    assert (facts.width, facts.height) == driver.size
    assert facts.fps == 30


def test_a_camera_without_mjpg_or_rates_is_asked_for_less(driver: FakeDriver) -> None:
    driver.formats, driver.rate_fixed = (YUYV,), True
    assert camera().open().description.endswith("YUYV")
    assert len(driver.opens) > 1
    assert cv2.CAP_PROP_FRAME_WIDTH in driver.opens[-1][2]


def test_a_camera_that_refuses_everything_is_an_error(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCapture, "open", lambda self, *wishes: False)
    with pytest.raises(SourceError, match="refused every format"):
        camera().open()
    assert driver.released > 1


def test_mjpg_pictures_become_full_range_frames(driver: FakeDriver) -> None:
    driver.pictures = [jpeg(120), jpeg(60)]
    source = camera()
    source.open()
    frames = [source.read(), source.read()]
    assert [frame.sequence for frame in frames if frame] == [0, 1]
    assert [int(frame.y[20, 20]) for frame in frames if frame] == [120, 60]
    assert all(frame.color.range is ColorRange.FULL for frame in frames if frame)
    assert not driver.converted
    source.close()
    source.close()
    assert driver.released == 1


def test_yuyv_pictures_are_unpacked(driver: FakeDriver) -> None:
    driver.formats = (YUYV,)
    driver.pictures = [np.full((48, 64, 2), (90, 128), np.uint8)]
    source = camera()
    source.open()
    frame = source.read()
    assert frame is not None
    assert (int(frame.y[3, 3]), int(frame.u[3, 3])) == (90, 128)
    assert frame.color.range is ColorRange.LIMITED


def test_unknown_formats_are_left_to_opencv(driver: FakeDriver) -> None:
    driver.formats = (BGR3,)
    driver.pictures = [np.full((48, 64, 3), 255, np.uint8)]
    source = camera()
    source.open()
    assert driver.converted
    frame = source.read()
    assert frame is not None
    assert abs(int(frame.y[3, 3]) - 235) <= 1


def test_damaged_pictures_are_passed_over(driver: FakeDriver) -> None:
    driver.pictures = [jpeg()[:, :50], np.zeros((1, 0), np.uint8), jpeg(99)]
    source = camera()
    source.open()
    frame = source.read()
    assert frame is not None
    assert int(frame.y[5, 5]) == 99


def test_a_picture_that_was_handed_out_before_is_passed_over(driver: FakeDriver) -> None:
    driver.formats = (MJPG,)
    driver.pictures = [jpeg(50), jpeg(60), jpeg(70), jpeg(80)]
    source = camera()
    source.open()
    driver.stamps_ms = [1000.0, 1000.0, 1033.0, 1033.0]
    levels = [source.read() for _ in range(2)]
    assert [int(frame.y[5, 5]) for frame in levels if frame is not None] == [50, 70]


def test_a_driver_that_hands_out_one_picture_for_ever_hangs(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v4l2, "READ_TIMEOUT_S", 0.2)
    source = camera()
    source.open()
    driver.pictures = [jpeg(50)] * 10**5
    driver.stamps_ms = [1000.0] * 10**5
    source.read()
    with pytest.raises(SourceLost, match="sends nothing new"):
        source.read()


def test_a_camera_that_returns_under_another_number_is_found_by_its_lasting_name(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    link = tmp_path / "usb-C920-index0"
    link.touch()
    monkeypatch.setattr(v4l2, "stable_path", lambda node: str(link))
    source = camera("0")
    source.open()
    source.close()
    monkeypatch.setattr(v4l2, "stable_path", lambda node: None)
    source.open()
    link.unlink()
    source.open()
    assert [opened[0] for opened in driver.opens] == ["/dev/video0", str(link), "/dev/video0"]


def test_a_read_that_fails_at_once_means_unplugged(driver: FakeDriver) -> None:
    source = camera()
    source.open()
    with pytest.raises(SourceLost, match=r"camera '0' is gone"):
        source.read()


def test_a_read_that_fails_after_the_time_out_means_hung(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: int(now_s[0] * 1e9))

    def wait() -> None:
        now_s[0] += 5.0

    driver.read_hook = wait
    source = camera()
    source.open()
    with pytest.raises(SourceLost, match=r"hangs: no picture for 5\.0 s"):
        source.read()


def test_reading_a_closed_camera_is_a_lost_source() -> None:
    with pytest.raises(SourceLost, match="not open"):
        camera().read()


def test_the_read_time_out_is_set_before_opencv_is_imported() -> None:
    code = (
        "import os, sys, vcsharp.sources.v4l2; assert 'cv2' in sys.modules;"
        "print(os.environ['OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT'])"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENCV")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "5"
    source = Path(v4l2.__file__).read_text()
    assert source.index("os.environ.setdefault") < source.index("import cv2")


@pytest.mark.parametrize(("platform", "backend"), [("darwin", "AVFOUNDATION"), ("win32", "DSHOW")])
def test_other_systems_use_their_own_backend_by_index(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, platform: str, backend: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    camera("1").open()
    assert driver.opens[0][:2] == (1, getattr(cv2, f"CAP_{backend}"))
    assert driver.converted
    with pytest.raises(SourceError, match="by its number"):
        camera("/dev/video0").open()


@dataclass
class FakeNode:
    """What the kernel says of a device node."""

    error: int = 0
    caps: int = videodev.CAP_VIDEO_CAPTURE
    busy: bool = False


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    fake = FakeNode()

    @contextmanager
    def opened(path: Path) -> Any:
        if fake.error:
            raise OSError(fake.error, os.strerror(fake.error))
        yield 99

    def capability(descriptor: int) -> videodev.Capability:
        caps = videodev.CAP_DEVICE_CAPS | videodev.CAP_VIDEO_CAPTURE
        return videodev.Capability(
            card=b"C920: C920", driver=b"uvcvideo", capabilities=caps, device_caps=fake.caps
        )

    monkeypatch.setattr(v4l2_ioctl, "opened", opened)
    monkeypatch.setattr(v4l2_ioctl, "capability", capability)
    monkeypatch.setattr(v4l2_ioctl, "busy", lambda descriptor: fake.busy)
    monkeypatch.setattr(v4l2, "holders", lambda path: [f"python ({os.getpid()})", "zoom (77)"])
    monkeypatch.setattr(v4l2, "list_cameras", list)
    monkeypatch.setattr(sys, "platform", "linux")
    return fake


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"error": errno.ENOENT}, "no camera at '0'; no camera was found"),
        ({"error": errno.EACCES}, "usermod -aG video"),
        ({"error": errno.EBUSY}, "in use by zoom (77)"),
        ({"busy": True}, "in use by zoom (77)"),
        ({"error": errno.ENOTTY}, "is not a camera"),
        ({"caps": 0}, "metadata or output node"),
        ({"error": errno.EIO}, "input/output error"),
    ],
)
def test_each_refusal_has_its_line(node: FakeNode, change: dict[str, Any], words: str) -> None:
    node.__dict__.update(change)
    with pytest.raises(SourceError) as caught:
        camera().open()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, SourceLost)


def test_structures_have_the_kernels_sizes() -> None:
    sizes = {
        videodev.Capability: 104,
        v4l2_ioctl.FormatDescription: 64,
        v4l2_ioctl.FrameSize: 44,
        videodev.RequestBuffers: 20,
    }
    assert {kind: ctypes.sizeof(kind) for kind in sizes} == sizes
    assert videodev.QUERYCAP == 0x80685600
    assert v4l2_ioctl._ENUM_FMT == 0xC0405602
    assert videodev.REQBUFS == 0xC0145608
    assert v4l2_ioctl._ENUM_FRAMESIZES == 0xC02C564A


@pytest.mark.parametrize("text", ["MJPG", "YUYV", "Y16", "Y16-BE", "RGB3"])
def test_pixel_formats_survive_their_number(text: str) -> None:
    assert v4l2_ioctl.fourcc_text(v4l2_ioctl.fourcc_number(text)) == text


def test_a_doubled_card_name_is_shortened() -> None:
    assert v4l2_ioctl.card_name(videodev.Capability(card=b"HD Cam: HD Cam")) == "HD Cam"
    assert v4l2_ioctl.card_name(videodev.Capability(card=b"HD Cam: IR")) == "HD Cam: IR"


def test_cameras_are_listed_with_names_that_last(
    node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("video10", "video2", "video-x", "null"):
        (tmp_path / name).touch()
    (tmp_path / "v4l/by-path").mkdir(parents=True)
    (tmp_path / "v4l/by-path/pci-0-index0").symlink_to(tmp_path / "video2")
    monkeypatch.setattr(cameras, "_DEV", tmp_path)
    monkeypatch.setattr(v4l2_ioctl, "formats", lambda descriptor: ["MJPG", "YUYV"])
    sizes = {"MJPG": [(640, 480), (1920, 1080)], "YUYV": [(640, 480)]}
    monkeypatch.setattr(v4l2_ioctl, "sizes", lambda descriptor, name: sizes[name])
    first, second = cameras.list_cameras()
    assert [first.path, second.path] == [str(tmp_path / "video2"), str(tmp_path / "video10")]
    assert first.stable_path == str(tmp_path / "v4l/by-path/pci-0-index0")
    assert second.stable_path is None
    assert (first.card, first.captures, first.virtual) == ("C920", True, False)
    assert first.formats == ("MJPG", "YUYV")
    assert first.sizes == ((1920, 1080), (640, 480))


def test_nodes_that_cannot_be_asked_are_listed_with_the_reason(
    node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "video0").touch()
    monkeypatch.setattr(cameras, "_DEV", tmp_path)
    node.error = errno.EACCES
    (only,) = cameras.list_cameras()
    assert (only.captures, only.problem) == (False, "permission denied")


def test_the_program_that_holds_a_file_is_found(tmp_path: Path) -> None:
    with (tmp_path / "held").open("w"):
        (holder,) = cameras.holders(tmp_path / "held")
    assert holder.endswith(f"({os.getpid()})")
    assert cameras.holders(tmp_path / "other") == []
