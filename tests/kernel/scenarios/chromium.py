"""A page in Chromium, sandboxed and run by an ordinary user, looks at the virtual camera.

Then the daemon is paused, restarted, killed and upgraded under it, and the camera pulled: what the
page saw of each is written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.kernel.guest import pictures
from tests.kernel.guest.browser import Page, Sample
from tests.kernel.guest.machine import Daemon, UsbCamera, ctl
from tests.kernel.guest.report import OUT, check, finish, note, skip, until

USER = "user"
GAP_S = 6
"""How long an upgrade leaves nobody writing."""


class Bench:
    """The camera, the daemon of an ordinary user, and the page."""

    def __init__(self, camera: UsbCamera, page: Page) -> None:
        self.camera, self.page = camera, page
        self.daemon = self.started()

    def started(self) -> Daemon:
        daemon = Daemon(
            "--source", self.camera.node, "--sink", "virtual", "--size", "1280x720", user=USER
        )
        check("daemon-comes-up", daemon.wait_writing(), daemon.said[-300:] if daemon.ended else "")
        return daemon

    def restart(self) -> None:
        self.daemon.stop()
        self.daemon = self.started()

    def kill(self) -> None:
        self.daemon.kill()
        self.daemon = self.started()

    def upgrade(self) -> None:
        self.daemon.stop()
        time.sleep(GAP_S)
        self.daemon = self.started()

    def pause(self) -> None:
        ctl("pause", user=USER)
        time.sleep(3)
        self.page.picture("paused")
        ctl("resume", user=USER)

    def replug(self) -> None:
        self.camera.unplug()
        time.sleep(3)
        self.page.picture("unplugged")
        self.camera.plug()

    def numbered(self) -> bool:
        """Whether the page shows the camera's picture now."""
        image = self.page.picture("now")
        return image is not None and pictures.numbers(image)[0] is not None


def opens(bench: Bench) -> None:
    page = bench.page
    opened = page.open_camera()
    check("label-listed", opened.get("label") == "vcsharp", opened)
    page.sample()
    time.sleep(4)
    seen = page.sample()
    good = seen.frames > 20 and (seen.width, seen.height) == (1280, 720)
    check("frames-come", good, f"{seen.frames} of {seen.width}x{seen.height} in about 4 s")
    until(bench.numbered, 10, 0.5)
    image = page.picture("page")
    shown = image is not None and pictures.numbers(image)[0] is not None
    error = pictures.bar_error(image) if image is not None else 255
    check("picture-right", shown and error < 8, f"worst bar is {error:.1f} of 255 off")


def survives(bench: Bench, name: str, action: Callable[[], None], most_frozen_s: float) -> None:
    """What the page sees of `action`; afterwards its camera is open again."""
    bench.page.sample()
    action()
    came_back = until(bench.numbered, 15, 0.5)
    seen = bench.page.sample()
    words = f"frozen {seen.frozen_s:.1f} s, track {seen.state}, {seen.events or 'no events'}"
    alive = seen.state == "live" and came_back
    check(f"{name}-survived", alive and seen.frozen_s < most_frozen_s, words)
    check(f"{name}-never-green", not green(seen), f"mean colour {seen.mean}")
    if seen.state != "live":
        bench.page.ask("track.stop()")
        note(f"opened again: {bench.page.open_camera()}")
        until(bench.numbered, 15, 0.5)


def green(seen: Sample) -> bool:
    red, green_, blue = seen.mean or (0, 0, 0)
    return green_ > 80 and red < 40 and blue < 40


def main() -> None:
    with UsbCamera() as camera, Page(user=USER) as page:
        bench = Bench(camera, page)
        opens(bench)
        survives(bench, "unplugged", bench.replug, 1)
        if ctl("get", user=USER).returncode == 0:
            survives(bench, "paused", bench.pause, 1)
        else:
            skip("paused", "this vcsharp has no 'ctl'")
        survives(bench, "restarted", bench.restart, 10)
        survives(bench, "killed", bench.kill, 10)
        survives(bench, "upgraded", bench.upgrade, GAP_S + 10)
        check("daemon-stops", bench.daemon.stop()[0] == 0)
    note(f"pictures in {OUT}")
    finish()


if __name__ == "__main__":
    main()
