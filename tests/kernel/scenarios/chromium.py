"""A page in Chromium, sandboxed and run by an ordinary user, looks at the virtual camera.

Then the camera is pulled and the daemon paused, restarted, killed and upgraded under it: what the
page saw of each is written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.kernel.guest import pictures
from tests.kernel.guest.browser import Page, Sample
from tests.kernel.guest.machine import Daemon, UsbCamera, ctl
from tests.kernel.guest.report import check, finish, note, skip

USER, SIZE = "user", (640, 360)
LIGHT = ("--model", "none", "--fps", 15)
"""The page is what is looked at here: it needs the one CPU more than the network."""
GAP_S = 6
"""How long an upgrade leaves nobody writing."""
PAUSE_S = 3
MOST_FROZEN_S = 4
"""While somebody writes. One CPU carries it all, and starts a program meanwhile."""


class Bench:
    """The camera, the daemon of an ordinary user, and the page."""

    def __init__(self, camera: UsbCamera, page: Page) -> None:
        self.camera, self.page = camera, page
        self.green = False
        self.frozen_s, self.events = 0.0, list[str]()
        self.daemon = self.started()

    def started(self) -> Daemon:
        size = "{}x{}".format(*SIZE)
        source = ("--source", self.camera.node, "--sink", "virtual", "--size", size, *LIGHT)
        daemon = Daemon(*source, user=USER)
        check("daemon-comes-up", daemon.wait_writing(), daemon.said[-300:] if daemon.ended else "")
        return daemon

    def look(self) -> Sample:
        """One look at the page; what was bad is remembered."""
        seen = self.page.sample()
        self.green |= seen.is_green
        self.frozen_s = max(self.frozen_s, seen.frozen_s)
        self.events += seen.events
        return seen

    def looked_for(self, seconds: float) -> Sample:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.5)
            self.look()
        return self.look()

    def shows_camera(self, timeout_s: float) -> bool:
        """Whether the page comes to show the camera's own picture, and that advances."""
        end = time.monotonic() + timeout_s
        before: int | None = None
        while time.monotonic() < end:
            number = self.look().number
            if None not in (number, before) and number != before:
                return True
            before = number
            time.sleep(0.5)
        return False

    def forget(self) -> None:
        self.look()
        self.green, self.frozen_s = False, 0.0
        self.events.clear()

    def restart(self) -> None:
        self.daemon.stop()
        self.daemon = self.started()

    def kill(self) -> None:
        self.daemon.kill()
        self.daemon = self.started()

    def upgrade(self) -> None:
        self.daemon.stop()
        self.looked_for(GAP_S)
        self.page.picture("nobody-writes")
        self.daemon = self.started()

    def pause(self) -> None:
        ctl("pause", user=USER)
        self.looked_for(PAUSE_S)
        self.page.picture("paused")
        ctl("resume", user=USER)

    def replug(self) -> None:
        self.camera.unplug()
        self.looked_for(PAUSE_S)
        self.page.picture("unplugged")
        self.camera.plug()


def opens(bench: Bench) -> None:
    page = bench.page
    opened = page.open_camera()
    listed = f"opened in {opened.get('opened_s', 0):.1f} s" if "label" in opened else opened
    check("label-listed", opened.get("label") == "vcsharp", listed)
    bench.shows_camera(15)
    first = page.sample().frames
    seen = bench.looked_for(4)
    good = seen.frames - first > 20 and (seen.width, seen.height) == SIZE
    check("frames-come", good, f"{seen.frames - first} of {seen.width}x{seen.height} in 4 s")
    image = page.picture("page")
    shown = image is not None and pictures.numbers(image)[0] is not None
    error = pictures.bar_error(image) if image is not None else 255
    check("picture-right", shown and error < 8, f"worst bar is {error:.1f} of 255 off")


def survives(bench: Bench, name: str, action: Callable[[], None], most_frozen_s: float) -> None:
    """What the page sees of `action`; afterwards its camera is open again."""
    bench.forget()
    action()
    back = bench.shows_camera(15)
    seen = bench.look()
    events = f", {'+'.join(bench.events)}" if bench.events else ""
    words = f"frozen {bench.frozen_s:.1f} s, track {seen.state}{events}"
    alive = seen.state == "live" and back and bench.frozen_s < most_frozen_s
    check(f"{name}-survived", alive and not bench.events, words)
    check(f"{name}-never-green", not bench.green, f"mean colour {seen.mean}")
    if seen.state != "live":
        bench.page.ask("track.stop()")
        note(f"opened again: {bench.page.open_camera()}")
        bench.shows_camera(15)


def main() -> None:
    with UsbCamera() as camera, Page(user=USER) as page:
        bench = Bench(camera, page)
        opens(bench)
        survives(bench, "unplugged", bench.replug, MOST_FROZEN_S)
        if ctl("get", user=USER).returncode == 0:
            survives(bench, "paused", bench.pause, MOST_FROZEN_S)
        else:
            skip("paused", "this vcsharp has no 'ctl'")
        survives(bench, "restarted", bench.restart, 10)
        survives(bench, "killed", bench.kill, 10)
        survives(bench, "upgraded", bench.upgrade, GAP_S + 10)
        status, took_s = bench.daemon.stop()
        check("daemon-stops", status == 0, f"status {status} in {took_s:.1f} s")
    finish()


if __name__ == "__main__":
    main()
