"""A network camera in a network of its own, to the virtual camera, to a page; the cable is cut."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import cv2

from tests.kernel.guest import pictures
from tests.kernel.guest.browser import Page
from tests.kernel.guest.machine import Daemon, shell
from tests.kernel.guest.report import OUT, check, finish, note, seconds_until, within

SPACE, HERE, THERE, PORT = "camera", "10.9.0.1", "10.9.0.2", 8554
SIZE = (640, 360)


def lay_cable() -> None:
    shell("ip", "netns", "add", SPACE)
    shell("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", SPACE)
    shell("ip", "address", "add", f"{HERE}/24", "dev", "near")
    shell("ip", "link", "set", "near", "up")
    there("ip", "address", "add", f"{THERE}/24", "dev", "far")
    there("ip", "link", "set", "far", "up")
    there("ip", "link", "set", "lo", "up")
    done = shell("ping", "-c", "1", "-W", "2", THERE) if Path("/bin/ping").exists() else None
    note(f"cable: {shell('ip', '-br', 'address', 'show', 'near').stdout.strip()} {done or ''}")


def there(*command: object) -> None:
    shell("ip", "netns", "exec", SPACE, *command)


class NetworkCamera:
    """The server in its own network."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp()
        for number in range(pictures.COUNT):
            image = pictures.picture(number, *SIZE)
            cv2.imwrite(f"{self._folder}/{number:03}.jpg", image)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        server = ["/usr/bin/python3", "-m", "tests.kernel.guest.rtsp_camera"]
        command = ["ip", "netns", "exec", SPACE, *server, THERE, str(PORT), self._folder]
        with (OUT / "rtsp-camera.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/src")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def shows(page: Page, what: str) -> bool:
    """`camera` (its picture advances) or `words`."""
    before = page.sample().number
    if what == "words":
        return before is None
    time.sleep(0.2)
    return None not in (before, now := page.sample().number) and now != before


def breaks(page: Page, name: str, cut: list[str], mend: list[str]) -> None:
    """The placeholder comes soon after the cut, the camera soon after mending."""
    shell(*cut)
    gone_s = seconds_until(lambda: shows(page, "words"), 30)
    check(f"{name}-placeholder", within(gone_s, 8), f"after {gone_s:.1f} s")
    page.picture(name)
    shell(*mend)
    back_s = seconds_until(lambda: shows(page, "camera"), 40)
    check(f"{name}-live-again", within(back_s, 15), f"after {back_s:.1f} s")


def main() -> None:
    lay_cable()
    camera = NetworkCamera()
    camera.start()
    address = f"rtsp://{THERE}:{PORT}/camera"
    size = "{}x{}".format(*SIZE)
    wish = ("--source", address, "--sink", "virtual", "--size", size, "--model", "none")
    with Page() as page, Daemon(*wish, user="user") as daemon:
        check("comes-up", daemon.wait_writing(), daemon.said[-300:] if daemon.ended else "")
        check("label-listed", page.open_camera().get("label") == "vcsharp")
        first_s = seconds_until(lambda: shows(page, "camera"), 30)
        check("live", within(first_s, 30), f"after {first_s:.1f} s")
        image = page.picture("live")
        error = pictures.bar_error(image) if image is not None else 255
        check("colour", error < 10, f"worst bar is {error:.1f} of 255 off")
        silence = ["tc", "qdisc", "add", "dev", "near", "root", "netem", "loss", "100%"]
        breaks(page, "silent", silence, ["tc", "qdisc", "del", "dev", "near", "root"])
        link = ["ip", "link", "set", "near"]
        breaks(page, "cut", [*link, "down"], [*link, "up"])
        camera.kill()
        gone_s = seconds_until(lambda: shows(page, "words"), 30)
        check("server-killed-placeholder", within(gone_s, 8), f"after {gone_s:.1f} s")
        camera.start()
        back_s = seconds_until(lambda: shows(page, "camera"), 40)
        check("server-back-live", within(back_s, 20), f"after {back_s:.1f} s")
        seen = page.sample()
        check("track-lives", seen.state == "live", f"track {seen.state}")
        check("daemon-stops", daemon.stop()[0] == 0)
    camera.kill()
    finish()


if __name__ == "__main__":
    main()
