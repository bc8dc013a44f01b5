"""One v4l2loopback release: writers and readers that come and go in every order."""

from __future__ import annotations

import subprocess
import time
from functools import partial
from pathlib import Path

from tests.kernel.guest import readers
from tests.kernel.guest.machine import (
    DEVICE,
    Daemon,
    UsbCamera,
    cpu_seconds,
    daemon,
    holders,
    is_camera,
    load_loopback,
    release,
    set_control,
    shell,
)
from tests.kernel.guest.report import check, finish, note, seconds_until, until, within

LIGHT = ("--sink", "virtual", "--size", "640x360", "--model", "none")
"""The device is what is looked at here, not the network."""
IDLE_AFTER_S = 1
ONE_READER_SINCE = (0, 13)
SECOND = "/dev/video11"
LIVE_PICTURES = 10
"""Of 60 that are read: placeholders, which carry no number, may come first."""


def reads(name: str, timeout_s: float = 15) -> bool:
    """Whether a reader gets pictures of the camera; whether they are whole is for `camera`."""
    seen = readers.opencv(10, timeout_s=timeout_s)
    numbered = [number for number in seen.numbers if number is not None]
    return check(name, numbered, f"{len(seen.at_s)} read, {seen.torn} torn {seen.tears}")


def starts_and_stops(camera: UsbCamera, prefix: str) -> None:
    for turn in ("first", "second"):
        with daemon("--source", camera.node, *LIGHT) as running:
            until(lambda: running.said.count("sink:"), 10)
            readers.first_number_after(running.started, 40)
            reads(f"{prefix}-{turn}-start-read")
            status, took_s = running.stop()
            good = status == 0 and within(took_s, 5)
            check(f"{prefix}-{turn}-stop", good, f"status {status} in {took_s:.1f} s")
    with daemon("--source", camera.node, *LIGHT) as running:
        running.kill()
    with daemon("--source", camera.node, *LIGHT) as running:
        readers.first_number_after(running.started, 40)
        reads(f"{prefix}-read-after-a-kill")


def reader_first(camera: UsbCamera, prefix: str) -> None:
    """A reader that tries again and again is served as soon as there is a writer.

    With exclusive_caps=0 a reader can open first and settle the format; the daemon must say so.
    """
    with readers.watching() as reader:
        time.sleep(2)
        with Daemon("--source", camera.node, *LIGHT) as running:
            served = running.wait_writing() and until(lambda: reader.pid in holders(DEVICE), 15)
            told = "" if served else running.said.splitlines()[-1]
            refused = running.ended == 3 and "stays at" in told
            check(f"{prefix}-reader-before-writer", served or refused, told)


def locked_format(camera: UsbCamera) -> None:
    """Another program writes another size: the daemon says so and ends, and can come afterwards."""
    command = "ffmpeg -v error -re -f lavfi -i testsrc=size=320x240:rate=10 -pix_fmt yuv420p"
    other = subprocess.Popen([*command.split(), "-f", "v4l2", DEVICE])
    until(is_camera, 15)
    with Daemon("--source", camera.node, *LIGHT) as running:
        until(lambda: running.ended is not None, 20)
        line = next((one for one in running.said.splitlines() if "another program" in one), "")
        check("other-writer-named", line, line or running.said[-200:])
        check("other-writer-status", running.ended == 3, f"status {running.ended}")
    other.terminate()
    other.wait(10)
    with Daemon("--source", camera.node, *LIGHT) as running:
        up = running.wait_writing()
        check("other-writer-gone", up, "" if up else running.said[-200:])
        readers.first_number_after(running.started, 40)
        reads("other-writer-read-after")


def two_readers(camera: UsbCamera) -> None:
    with daemon("--source", camera.node, *LIGHT) as running:
        readers.first_number_after(running.started, 40)
        with readers.watching() as reader:
            until(lambda: reader.pid in holders(DEVICE), 15)
            time.sleep(1)
            second = readers.opencv(5, timeout_s=3)
            if release() < ONE_READER_SINCE:
                check("two-readers-served", second.last is not None)
            else:
                note(f"a second reader got {len(second.at_s)} pictures")
            check("first-reader-stays", reader.poll() is None)
            reader.kill()
            reader.wait()
        time.sleep(0.5)
        reads("reader-after-a-killed-reader")
        check("daemon-unmoved", running.ended is None)


def controls(camera: UsbCamera) -> None:
    """Options that users set; the daemon must live with them."""
    for name, value in (("keep_format", 1), ("timeout", 1000)):
        load_loopback()
        with daemon("--source", camera.node, *LIGHT):
            note(f"{name}: {set_control(name, value).stdout.strip() or 'set'}")
        time.sleep(0.5)
        with Daemon("--source", camera.node, *LIGHT) as running:
            up = running.wait_writing(15)
            words = "" if up else running.said[-300:].replace("\n", "; ")
            if check(f"restart-with-{name}", up, words):
                readers.first_number_after(running.started, 40)
                reads(f"read-with-{name}")
    load_loopback()


def on_demand(camera: UsbCamera) -> None:
    """The camera is closed while nobody reads, and back when somebody does."""
    node = camera.node
    assert node is not None
    with daemon("--source", node, *LIGHT, "--idle-after", IDLE_AFTER_S) as running:
        began = time.monotonic()
        closed_s = seconds_until(lambda: not holders(node), IDLE_AFTER_S + 10)
        check("camera-closed-unused", closed_s < IDLE_AFTER_S + 5, f"after {closed_s:.1f} s")
        time.sleep(2)
        check("camera-stays-closed", not holders(node), f"{time.monotonic() - began:.0f} s on")
        cpu_s = cpu_seconds(running.pid)
        time.sleep(5)
        percent = (cpu_seconds(running.pid) - cpu_s) * 20
        check("idle-cpu", percent < 10, f"{percent:.1f} % of the one CPU")
        live_s = readers.first_number_after(time.monotonic(), 15)
        check("live-for-a-reader", within(live_s, 3), f"first picture after {live_s:.2f} s")
        closed_s = seconds_until(lambda: not holders(node), IDLE_AFTER_S + 10)
        check("camera-closed-again", closed_s < IDLE_AFTER_S + 5, f"after {closed_s:.1f} s")


def _opens(device: str) -> bool:
    return bool(readers.opencv(1, timeout_s=5, device=device).at_s)


def two_cameras(camera: UsbCamera) -> None:
    """Two virtual cameras: a reader of either one keeps the webcam open."""
    node = camera.node
    assert node is not None
    load_loopback(devices=2, video_nr="10,11", card_label="vcsharp,other", exclusive_caps="1,1")
    sinks = ("--sink", DEVICE, "--sink", SECOND, "--size", "640x360", "--model", "none")
    with daemon("--source", node, *sinks, "--idle-after", IDLE_AFTER_S):
        for device in (SECOND, DEVICE):
            name = f"two-cameras-{Path(device).name}"
            closed_s = seconds_until(lambda: not holders(node), IDLE_AFTER_S + 10)
            check(
                f"{name}-unused", closed_s < IDLE_AFTER_S + 5, f"webcam closed {closed_s:.1f} s on"
            )
            until(partial(_opens, device), 10, 0.1)  # a user tries again, too
            began = time.monotonic()
            seen = readers.opencv(60, timeout_s=20, device=device)
            known = {number for number in seen.numbers if number is not None}
            took_s = time.monotonic() - began
            new = f"{len(known)} different pictures of the webcam in {took_s:.1f} s"
            check(f"{name}-read", len(known) >= LIVE_PICTURES, new)
    load_loopback()


def main() -> None:
    note(f"v4l2loopback {'.'.join(map(str, release()))}")
    with UsbCamera() as camera:
        for exclusive in (1, 0):
            load_loopback(exclusive_caps=exclusive)
            starts_and_stops(camera, f"caps{exclusive}")
            reader_first(camera, f"caps{exclusive}")
        load_loopback()
        two_readers(camera)
        on_demand(camera)
        two_cameras(camera)
        locked_format(camera)
        controls(camera)
    note(shell("dmesg").stdout[-500:])
    finish()


if __name__ == "__main__":
    main()
