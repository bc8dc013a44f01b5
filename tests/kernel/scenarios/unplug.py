"""A webcam that is pulled, hangs, fails at once, and returns under the same or another number."""

from __future__ import annotations

import os
import time
from pathlib import Path

import cv2
import numpy as np

from tests.kernel.guest import pictures
from tests.kernel.guest.machine import DEVICE, Daemon, UsbCamera, cpu_seconds, daemon, shell
from tests.kernel.guest.report import OUT, check, finish, note, seconds_until, until

LIGHT = ("--sink", "virtual", "--size", "640x360", "--model", "none", "--on-demand", "off")
CYCLES = 200
MOST_LEAKED_MIB = 24
DRIVER = Path("/sys/bus/usb/drivers/uvcvideo")


class Reader:
    """Looks at the virtual camera all the time."""

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


def interface() -> str:
    """Of the camera, as its driver knows it: `1-1:1.0`."""
    return next(path.name for path in DRIVER.glob("*:1.0"))


def pulled(camera: UsbCamera, reader: Reader) -> None:
    began = time.monotonic()
    camera.unplug()
    reader.seconds_to("words")
    gone_s = time.monotonic() - began
    check("unplugged-placeholder", gone_s < 2, f"after {gone_s:.2f} s")
    reader.keep("unplugged")
    camera.plug()
    back_s = reader.seconds_to("camera")
    check("replugged-live", back_s < 2, f"after {back_s:.2f} s")


def another_number(camera: UsbCamera, reader: Reader) -> None:
    """Somebody still holds the old node open when the camera returns."""
    node = camera.node
    assert node is not None
    before = node.resolve()
    held = os.open(node, os.O_RDWR)
    camera.unplug()
    reader.seconds_to("words")
    camera.plug()
    now = camera.node.resolve() if camera.node else None
    back_s = reader.seconds_to("camera")
    check("another-number-live", back_s < 5, f"{before} is {now}, after {back_s:.2f} s")
    os.close(held)


def hung(camera: UsbCamera, reader: Reader) -> None:
    camera.hang()
    gone_s = reader.seconds_to("words")
    check("hung-placeholder", gone_s < 3.5, f"after {gone_s:.2f} s (2 s without a picture)")
    reader.keep("hung")
    time.sleep(3)
    camera.hang()
    back_s = reader.seconds_to("camera")
    check("hung-goes-on", back_s < 3, f"after {back_s:.2f} s")


def failing(running: Daemon, reader: Reader) -> None:
    """A node that is there and cannot be opened: no loop without a pause."""
    name = interface()
    (DRIVER / "unbind").write_text(name)
    gone_s = reader.seconds_to("words")
    check("failing-placeholder", gone_s < 2, f"after {gone_s:.2f} s")
    cpu_s = cpu_seconds(running.pid)
    until(lambda: reader.shows() == "never", 5)
    percent = (cpu_seconds(running.pid) - cpu_s) * 20
    check("failing-costs-little", percent < 60, f"{percent:.0f} % of the one CPU, with a reader")
    (DRIVER / "bind").write_text(name)
    back_s = reader.seconds_to("camera")
    check("failing-live-again", back_s < 2, f"after {back_s:.2f} s")


def cycles(running: Daemon, reader: Reader) -> None:
    """The driver is taken off the camera and given back, again and again."""
    name = interface()
    descriptors, memory = [], []
    came_back = 0
    began = time.monotonic()
    for turn in range(CYCLES):
        (DRIVER / "unbind").write_text(name)
        reader.seconds_to("words", 5)
        (DRIVER / "bind").write_text(name)
        came_back += reader.seconds_to("camera", 5) < 5
        if turn % 20 == 19:
            descriptors.append(len(list(Path(f"/proc/{running.pid}/fd").iterdir())))
            memory.append(rss_mib(running.pid))
    took_s = time.monotonic() - began
    check("cycles-all-came-back", came_back == CYCLES, f"{came_back} of {CYCLES} in {took_s:.0f} s")
    check("cycles-descriptors", descriptors[-1] <= descriptors[0] + 1, descriptors)
    grown = memory[-1] - memory[len(memory) // 3]
    check("cycles-memory", grown < MOST_LEAKED_MIB, f"grown by {grown:.1f} MiB: {memory}")


def rss_mib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") >> 20


def main() -> None:
    with UsbCamera() as camera, daemon("--source", camera.node, *LIGHT) as running:
        reader = Reader()
        first_s = reader.seconds_to("camera")
        note(f"a picture of the camera after {first_s:.1f} s")
        pulled(camera, reader)
        another_number(camera, reader)
        hung(camera, reader)
        failing(running, reader)
        cycles(running, reader)
        check("daemon-stops", running.stop()[0] == 0)
    note(shell("dmesg").stdout[-300:])
    finish()


if __name__ == "__main__":
    main()
