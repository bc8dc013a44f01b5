"""A webcam that fails and comes back 200 times: nothing may leak."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.kernel.guest import readers
from tests.kernel.guest.machine import UVC_DRIVER, UsbCamera, daemon, usb_interface
from tests.kernel.guest.report import check, finish, note

LIGHT = ("--sink", "virtual", "--size", "320x180", "--model", "none", "--on-demand", "off")
CYCLES, ROUNDS = 200, 10
MOST_LEAKED_MIB = 16


def main() -> None:
    with UsbCamera() as camera, daemon("--source", camera.node, *LIGHT) as running:
        watcher = readers.Watcher()
        watcher.seconds_to("camera")
        began = time.monotonic()
        descriptors, memory_mib, came_back = [], [], 0
        for _ in range(ROUNDS):
            came_back += sum(taken_and_given(watcher) for _ in range(CYCLES // ROUNDS))
            if not check("daemon-lives", running.ended is None, running.said[-200:].strip()):
                finish()
            descriptors.append(len(list(Path(f"/proc/{running.pid}/fd").iterdir())))
            memory_mib.append(rss_mib(running.pid))
            note(f"{came_back} came back; {descriptors[-1]} descriptors, {memory_mib[-1]} MiB")
        took_s = time.monotonic() - began
        check("all-came-back", came_back == CYCLES, f"{came_back} of {CYCLES} in {took_s:.0f} s")
        check("descriptors", descriptors[-1] <= descriptors[0] + 1, descriptors)
        grown = memory_mib[-1] - memory_mib[ROUNDS // 3]
        check("memory", grown < MOST_LEAKED_MIB, f"grown by {grown} MiB: {memory_mib}")
        check("daemon-stops", running.stop()[0] == 0)
    finish()


def taken_and_given(watcher: readers.Watcher) -> bool:
    """The driver is taken off the camera and given back; whether the picture came back."""
    interface = usb_interface()
    (UVC_DRIVER / "unbind").write_text(interface)
    watcher.seconds_to("words", 5)
    (UVC_DRIVER / "bind").write_text(interface)
    return watcher.seconds_to("camera", 5) < 5


def rss_mib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") >> 20


if __name__ == "__main__":
    main()
