"""A webcam that is pulled, hangs, fails at once, and returns under the same or another number."""

from __future__ import annotations

import os
import time

from tests.kernel.guest import readers
from tests.kernel.guest.machine import (
    UVC_DRIVER,
    Daemon,
    UsbCamera,
    cpu_seconds,
    daemon,
    shell,
    usb_interface,
)
from tests.kernel.guest.report import check, finish, note, until, within

LIGHT = ("--sink", "virtual", "--size", "640x360", "--model", "none", "--on-demand", "off")


def pulled(camera: UsbCamera, reader: readers.Watcher) -> None:
    began = time.monotonic()
    camera.unplug()
    reader.seconds_to("words")
    gone_s = time.monotonic() - began
    check("unplugged-placeholder", within(gone_s, 2), f"after {gone_s:.2f} s")
    reader.keep("unplugged")
    camera.plug()
    back_s = reader.seconds_to("camera")
    check("replugged-live", within(back_s, 2), f"after {back_s:.2f} s")


def another_number(camera: UsbCamera, reader: readers.Watcher) -> None:
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
    check("another-number-live", within(back_s, 5), f"{before} is {now}, after {back_s:.2f} s")
    os.close(held)


def hung(camera: UsbCamera, reader: readers.Watcher) -> None:
    camera.hang()
    gone_s = reader.seconds_to("words")
    check("hung-placeholder", within(gone_s, 3.5), f"after {gone_s:.2f} s (2 s without a picture)")
    reader.keep("hung")
    time.sleep(3)
    camera.hang()
    back_s = reader.seconds_to("camera")
    check("hung-goes-on", within(back_s, 3), f"after {back_s:.2f} s")


def failing(running: Daemon, reader: readers.Watcher) -> None:
    """A node that is there and cannot be opened: no loop without a pause."""
    name = usb_interface()
    (UVC_DRIVER / "unbind").write_text(name)
    gone_s = reader.seconds_to("words")
    check("failing-placeholder", within(gone_s, 2), f"after {gone_s:.2f} s")
    cpu_s = cpu_seconds(running.pid)
    until(lambda: reader.shows() == "never", 5)
    percent = (cpu_seconds(running.pid) - cpu_s) * 20
    check("failing-costs-little", percent < 60, f"{percent:.0f} % of the one CPU, with a reader")
    (UVC_DRIVER / "bind").write_text(name)
    back_s = reader.seconds_to("camera")
    check("failing-live-again", within(back_s, 2), f"after {back_s:.2f} s")


def main() -> None:
    with UsbCamera() as camera, daemon("--source", camera.node, *LIGHT) as running:
        reader = readers.Watcher()
        first_s = reader.seconds_to("camera")
        note(f"a picture of the camera after {first_s:.1f} s")
        pulled(camera, reader)
        another_number(camera, reader)
        hung(camera, reader)
        failing(running, reader)
        check("daemon-stops", running.stop()[0] == 0)
    note(shell("dmesg").stdout[-300:])
    finish()


if __name__ == "__main__":
    main()
