"""The output through pyvirtualcam, asked for by its name."""

from __future__ import annotations

from tests.kernel.guest import readers
from tests.kernel.guest.machine import UsbCamera, daemon
from tests.kernel.guest.report import check, finish, within


def main() -> None:
    with UsbCamera() as camera:
        wish = ("--sink", "pyvirtualcam", "--size", "640x360", "--model", "none")
        with daemon("--source", camera.node, *wish) as running:
            came_s = readers.first_number_after(running.started, 40)
            check("live", within(came_s, 20), f"{came_s:.1f} s after the start")
            seen = readers.opencv(20)
            good = seen.last is not None and seen.torn == 0
            check("read", good, f"{len(seen.at_s)} pictures, {seen.torn} torn")
            status, took_s = running.stop()
            check("stops", status == 0 and within(took_s, 5), f"status {status} in {took_s:.1f} s")
    finish()


if __name__ == "__main__":
    main()
