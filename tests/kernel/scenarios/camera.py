"""A USB webcam, sharpened into the virtual camera at 1080p, as three programs read it."""

from __future__ import annotations

import cv2
import numpy as np

from tests.kernel.guest import pictures, readers
from tests.kernel.guest.machine import UsbCamera, daemon
from tests.kernel.guest.report import OUT, check, finish, note, within

WIDTH, HEIGHT, FRAMES = 1920, 1080, 90
MOST_TORN = 0.05
"""v4l2loopback fills its buffers anew whether or not the reader is done with them: where reading
takes longer than writing, as on a busy machine, a few are seen half-filled."""


def source_sharpness(camera: UsbCamera) -> float:
    """Of the camera itself, read before the daemon has it."""
    capture = cv2.VideoCapture(str(camera.node), cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, WIDTH)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT)
    good, image = capture.read()
    capture.release()
    return pictures.sharpness(np.asarray(image, np.uint8)) if good else 0.0


def judge(program: str, seen: readers.Seen, before: float) -> None:
    """What every reader must have got."""
    if not check(f"{program}-reads", seen.last is not None, f"{len(seen.at_s)} pictures"):
        return
    image = seen.last
    assert image is not None
    cv2.imwrite(str(OUT / f"{program}.png"), image)
    size = (image.shape[1], image.shape[0])
    check(f"{program}-format", size == (WIDTH, HEIGHT) and seen.fourcc in ("YU12", "I420"), size)
    torn = f"{seen.torn} of {len(seen.numbers)} torn {seen.tears}"
    check(f"{program}-whole", seen.torn <= MOST_TORN * len(seen.numbers), torn)
    order = f"{seen.advanced} went by" if not seen.backwards else f"came as {seen.numbers}"
    check(f"{program}-order", seen.backwards == 0 < seen.advanced, order)
    error = pictures.bar_error(image)
    check(f"{program}-colour", error <= 2, f"worst bar is {error:.2f} of 255 off")
    after = pictures.sharpness(image)
    check(f"{program}-sharper", after > 1.1 * before, f"{after / before:.2f} times the source")


def main() -> None:
    with UsbCamera() as camera:
        before = source_sharpness(camera)
        # By name: the guest's one CPU is too slow for 30 fps, and "auto" would sharpen less.
        arguments = ("--source", camera.node, "--sink", "virtual", "--model", "nano")
        with daemon(*arguments, "--idle-after", 60, "--stats", OUT / "stats.json") as running:
            came_s = readers.first_number_after(running.started, 40)
            note(f"a picture of the camera {came_s:.1f} s after the start")
            seen = readers.opencv(FRAMES)
            judge("opencv", seen, before)
            real = seen.new / (seen.at_s[-1] - seen.at_s[0])
            # One CPU carries camera, network and reader: the rate is told, not judged.
            rates = f"{seen.fps:.1f} pictures/s, {real:.1f} of them new"
            check("rate", real > 0, rates)
            note("v4l2-ctl reads")
            judge("v4l2-ctl", readers.v4l2_ctl(60, WIDTH, HEIGHT), before)
            note("ffmpeg reads")
            judge("ffmpeg", readers.ffmpeg(60, WIDTH, HEIGHT), before)
            status, took_s = running.stop()
            check("stops", status == 0 and within(took_s, 2), f"status {status} in {took_s:.1f} s")
    finish()


if __name__ == "__main__":
    main()
