"""Cameras, by OpenCV: V4L2 on Linux, the native backends elsewhere.

OpenCV waits ten seconds for a camera that hangs unless the variable below says otherwise; it is
read when the first camera is opened.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

READ_TIMEOUT_S = 5
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(READ_TIMEOUT_S))

import cv2  # noqa: E402  after the variable
import numpy as np  # noqa: E402

from vcsharp.errors import SourceError, SourceLost  # noqa: E402
from vcsharp.frame import Color, ColorRange, Frame  # noqa: E402
from vcsharp.sources.base import SourceFormat  # noqa: E402
from vcsharp.sources.cameras import (  # noqa: E402
    CameraInfo,
    holders,
    list_cameras,
    stable_path,
)
from vcsharp.sources.raw import RawPicture, Unpack, convert_bgr, unpacker  # noqa: E402

BUFFERS = 2
"""One being filled, one waiting: more would only make pictures older."""

_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_DSHOW}
_DEFAULT_FPS = Fraction(30)
_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_JPEG_FORMATS = ("MJPG", "JPEG")


class CameraSource:
    """A camera by index (`0`), node (`/dev/video0`) or stable link (`/dev/v4l/by-id/...`).

    After an unplug OpenCV says "open" for ever and fails at once, so that any failed read counts as
    a lost camera.
    """

    lossless = False

    def __init__(self, device: str, *, size: tuple[int, int], fps: Fraction) -> None:
        self.name = device
        self._size, self._fps = size, fps
        self._capture: cv2.VideoCapture | None = None
        self._unpack: Unpack = convert_bgr
        self._granted = size
        self._sequence = 0
        self._lasting: str | None = None
        """Name under which the camera is found again when it returns with another number."""
        self._stamp_ms = -1.0

    def open(self) -> SourceFormat:
        """Opens the camera; size and rate are wishes. Raises SourceError with the cure."""
        card = self._check_node() if sys.platform == "linux" else ""
        capture = self._capture = self._open_capture()
        self._lasting = stable_path(self._node().resolve()) or self._lasting
        self._stamp_ms = -1.0
        pixel_format = _fourcc(capture)
        unpack = unpacker(pixel_format) if sys.platform == "linux" else None
        if unpack is None:
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 1)
        self._unpack = unpack or convert_bgr
        self._granted = width, height = (
            int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        full = unpack is not None and pixel_format in _JPEG_FORMATS
        rate = capture.get(cv2.CAP_PROP_FPS)
        return SourceFormat(
            width,
            height,
            Fraction(rate).limit_denominator(1001) if 0 < rate <= 1000 else _DEFAULT_FPS,
            Color(ColorRange.FULL if full else ColorRange.LIMITED),
            f'camera "{card or self.name}" {pixel_format}'.rstrip(),
        )

    def read(self) -> Frame | None:
        """The next picture; damaged and stale ones are passed over. Raises SourceLost within 5 s.

        A picture with the time stamp of the one before is stale: some drivers hand the old buffer
        out again when their camera hangs.
        """
        capture = self._capture
        if capture is None:
            raise SourceLost(f"camera '{self.name}' is not open")
        deadline_s = time.monotonic() + READ_TIMEOUT_S
        while True:
            started_s = time.monotonic()
            taken, picture = capture.read()
            captured_ns = time.monotonic_ns()
            if not taken:
                raise self._lost(captured_ns / 1e9 - started_s)
            buffer = np.asarray(picture, np.uint8)
            frame = self._unpack(RawPicture(buffer, *self._granted, self._sequence, captured_ns))
            if frame is not None and self._advances(capture):
                self._sequence += 1
                return frame
            if time.monotonic() > deadline_s:
                raise self._useless("damaged pictures" if frame is None else "nothing new")

    def close(self) -> None:
        """Releases the camera."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _useless(self, what: str) -> SourceLost:
        return SourceLost(
            f"camera '{self.name}' sends {what}; check its cable and hub",
            title=f"camera sends {what}",
        )

    def _advances(self, capture: cv2.VideoCapture) -> bool:
        """Whether the driver's time stamp moved on; True where the system gives none."""
        stamp_ms = capture.get(cv2.CAP_PROP_POS_MSEC) if sys.platform == "linux" else 0.0
        stale = stamp_ms > 0 and stamp_ms == self._stamp_ms
        self._stamp_ms = stamp_ms
        return not stale

    def _node(self) -> Path:
        if self._lasting is not None and Path(self._lasting).exists():
            return Path(self._lasting)
        return Path(f"/dev/video{self.name}" if self.name.isdigit() else self.name)

    def _check_node(self) -> str:
        """Refuses, in words, what OpenCV only fails to open; returns the camera's own name."""
        from vcsharp.sources import v4l2_ioctl

        node = self._node()
        try:
            with v4l2_ioctl.opened(node) as descriptor:
                device = v4l2_ioctl.capability(descriptor)
                captures, busy = v4l2_ioctl.captures(device), v4l2_ioctl.busy(descriptor)
        except OSError as error:
            raise _refused(self.name, node, error) from error
        if not captures:
            raise SourceError(
                f"'{self.name}' delivers no pictures: it is a metadata or output node; "
                f"{_suggestion(list_cameras())}",
                title="not a camera",
            )
        if busy:
            raise _busy(self.name, node)
        return v4l2_ioctl.card_name(device)

    def _open_capture(self) -> cv2.VideoCapture:
        """Everything asked for in one call: each later change would restart the stream."""
        backend = _BACKENDS.get(sys.platform, cv2.CAP_ANY)
        target = str(self._node()) if sys.platform == "linux" else _index(self.name)
        for parameters in self._wishes():
            capture = cv2.VideoCapture()
            if capture.open(target, backend, parameters):
                return capture
            capture.release()
        raise SourceError(
            f"camera '{self.name}' cannot be opened: it refused every format; "
            "unplug it and plug it in again, or see: vcsharp devices"
        )

    def _wishes(self) -> list[Sequence[int]]:
        """OpenCV refuses to open when one wish cannot be met: fewer and fewer of them."""
        width, height = self._size
        mjpg = (cv2.CAP_PROP_FOURCC, _MJPG)  # first: the other wishes are granted per format
        size = (cv2.CAP_PROP_FRAME_WIDTH, width, cv2.CAP_PROP_FRAME_HEIGHT, height)
        rate = (cv2.CAP_PROP_FPS, round(self._fps))
        if sys.platform != "linux":
            return [mjpg + size + rate, size + rate, size, ()]
        rest = (cv2.CAP_PROP_BUFFERSIZE, BUFFERS, cv2.CAP_PROP_CONVERT_RGB, 0)
        return [mjpg + size + rate + rest, size + rate + rest, mjpg + size + rest, size + rest, ()]

    def _lost(self, waited_s: float) -> SourceLost:
        if waited_s > 0.9 * READ_TIMEOUT_S:
            return SourceLost(
                f"camera '{self.name}' hangs: no picture for {waited_s:.1f} s; "
                "if it stays so, unplug it and plug it in again",
                title="camera hangs",
            )
        return SourceLost(
            f"camera '{self.name}' is gone: unplugged or taken away; plug it in again",
            title="camera unplugged",
        )


def _fourcc(capture: cv2.VideoCapture) -> str:
    number = int(capture.get(cv2.CAP_PROP_FOURCC))
    return (number & 0xFFFF_FFFF).to_bytes(4, "little").decode("ascii", "replace").strip("\0 ")


def _index(name: str) -> int:
    if not name.isdigit():
        raise SourceError(f"no camera '{name}': name it by its number here, for example 0")
    return int(name)


def _refused(name: str, node: Path, error: OSError) -> SourceError:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        words = f"no camera at '{name}'; {_suggestion(list_cameras())}"
        return SourceError(words, title="no camera")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SourceError(
            f"no permission to open '{name}'; join its group with: "
            "sudo usermod -aG video $USER, then log in again",
            title="no permission for the camera",
        )
    if error.errno == errno.EBUSY:
        return _busy(name, node)
    if error.errno in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        words = f"'{name}' is not a camera; {_suggestion(list_cameras())}"
        return SourceError(words, title="not a camera")
    return SourceError(f"camera '{name}' cannot be opened: {(error.strerror or 'unknown').lower()}")


def _busy(name: str, node: Path) -> SourceError:
    others = [holder for holder in holders(node.resolve()) if f"({os.getpid()})" not in holder]
    owner = ", ".join(others) or "another program"
    words = f"camera '{name}' is in use by {owner}; close that and try again"
    return SourceError(words, title="camera in use by another program")


def _suggestion(cameras: Sequence[CameraInfo]) -> str:
    usable = [camera.path for camera in cameras if camera.captures and not camera.virtual]
    if usable:
        return f"cameras found: {', '.join(usable)}"
    return "no camera was found; plug one in, or try: vcsharp run --source demo"
