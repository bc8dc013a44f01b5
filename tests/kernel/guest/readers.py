"""Programs that look at the virtual camera, as strangers would."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from tests.kernel.guest import pictures
from tests.kernel.guest.machine import DEVICE
from tests.kernel.guest.report import OUT, SLOWER, seconds_until


@dataclass
class Seen:
    """What one reader got."""

    width: int = 0
    height: int = 0
    fourcc: str = ""
    at_s: list[float] = field(default_factory=list)
    numbers: list[int | None] = field(default_factory=list)
    tears: list[str] = field(default_factory=list)
    """Where two pictures were seen in one, and which they were."""
    last: pictures.Picture | None = None

    def add(self, image: pictures.Picture) -> None:
        """`image` may be the luma alone."""
        top, bottom = pictures.numbers(image)
        if top != bottom and self.at_s:  # a new reader is given the buffer that is being filled
            self.tears.append(f"{top} over {bottom} in picture {len(self.at_s)}")
        self.numbers.append(top if top == bottom else None)
        self.at_s.append(time.monotonic())
        self.last = image

    @property
    def torn(self) -> int:
        return len(self.tears)

    @property
    def fps(self) -> float:
        return (len(self.at_s) - 1) / (self.at_s[-1] - self.at_s[0]) if len(self.at_s) > 1 else 0.0

    @property
    def advanced(self) -> int:
        """How many pictures of the source went by."""
        known = [number for number in self.numbers if number is not None]
        return sum((b - a) % pictures.COUNT for a, b in itertools.pairwise(known))

    @property
    def new(self) -> int:
        """How many of the pictures were not the one before again."""
        return sum(a != b for a, b in itertools.pairwise(self.numbers))

    @property
    def backwards(self) -> int:
        """How often an older picture followed a newer one."""
        known = [number for number in self.numbers if number is not None]
        half = pictures.COUNT // 2
        return sum((b - a) % pictures.COUNT > half for a, b in itertools.pairwise(known))


def opencv(frames: int, *, timeout_s: float = 30, device: str = DEVICE) -> Seen:
    """Reads with OpenCV, as a script of a user would."""
    seen = Seen()
    capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
    end = time.monotonic() + timeout_s * SLOWER
    try:
        if capture.isOpened():
            seen.width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
            seen.height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
            code = int(capture.get(cv2.CAP_PROP_FOURCC))
            seen.fourcc = code.to_bytes(4, "little").decode("latin1")
            _read_into(seen, capture, frames, end)
    finally:
        capture.release()
    return seen


def _read_into(seen: Seen, capture: cv2.VideoCapture, frames: int, end: float) -> None:
    while len(seen.at_s) < frames and time.monotonic() < end:
        good, image = capture.read()
        if good:
            seen.add(np.asarray(image, np.uint8))
        else:
            time.sleep(0.05)


class Watcher:
    """OpenCV, looking at the virtual camera all the time."""

    def __init__(self) -> None:
        self._capture = cv2.VideoCapture(DEVICE, cv2.CAP_V4L2)
        self.last: pictures.Picture | None = None

    def shows(self) -> str:
        """`camera`, `words` (a placeholder), or `nothing`."""
        good, image = self._capture.read()
        if not good:
            return "nothing"
        self.last = np.asarray(image, np.uint8)
        return "words" if pictures.numbers(self.last)[0] is None else "camera"

    def seconds_to(self, what: str, timeout_s: float = 20) -> float:
        return seconds_until(lambda: self.shows() == what, timeout_s)

    def keep(self, name: str) -> None:
        if self.last is not None:
            cv2.imwrite(str(OUT / f"{name}.png"), self.last)


def first_number_after(began: float, timeout_s: float) -> float:
    """Seconds from `began` until OpenCV gets a picture of the camera, not a placeholder."""
    end = time.monotonic() + timeout_s * SLOWER
    while time.monotonic() < end:
        capture = cv2.VideoCapture(DEVICE, cv2.CAP_V4L2)
        try:
            if _shows_number(capture, end):
                return time.monotonic() - began
        finally:
            capture.release()
        time.sleep(0.1)
    return float("inf")


def _shows_number(capture: cv2.VideoCapture, end: float) -> bool:
    """Reads until there is a number; False where reading fails or takes too long."""
    while time.monotonic() < end:
        good, image = capture.read()
        if not good:
            return False
        if pictures.numbers(np.asarray(image, np.uint8))[0] is not None:
            return True
    return False


def v4l2_ctl(frames: int, width: int, height: int) -> Seen:
    """Reads raw YU12 with `v4l2-ctl`, through mapped memory."""
    path = Path("/dev/shm/v4l2-ctl.yuv")
    command = ["v4l2-ctl", "-d", DEVICE, "--stream-mmap", f"--stream-count={frames}"]
    subprocess.run(
        [*command, f"--stream-to={path}"], capture_output=True, timeout=60 * SLOWER, check=False
    )
    return _raw(path, width, height)


def ffmpeg(frames: int, width: int, height: int) -> Seen:
    """Reads with ffmpeg, in the format that the camera has."""
    path = Path("/dev/shm/ffmpeg.yuv")
    command = f"ffmpeg -v error -f v4l2 -i {DEVICE} -fps_mode passthrough -frames:v {frames}"
    output = ["-f", "rawvideo", "-y", str(path)]
    subprocess.run(
        [*command.split(), *output], capture_output=True, timeout=60 * SLOWER, check=False
    )
    return _raw(path, width, height)


def _raw(path: Path, width: int, height: int) -> Seen:
    seen = Seen(width, height, "YU12")
    size = width * height * 3 // 2
    data = path.read_bytes() if path.exists() else b""
    path.unlink(missing_ok=True)
    for start in range(0, len(data) - size + 1, size):
        luma = np.frombuffer(data, np.uint8, width * height, start)
        seen.add(luma.reshape(height, width))
    if len(data) >= size:
        seen.last = pictures.from_planes(data[-size:], width, height)
    return seen


@contextlib.contextmanager
def watching() -> Iterator[subprocess.Popen[bytes]]:
    """A reader in the background that keeps the camera in use and throws the pictures away."""
    command = [sys.executable, "-m", "tests.kernel.guest.readers"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    while True:
        opencv(1000)
        time.sleep(0.2)
