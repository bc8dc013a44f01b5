"""A USB webcam made of software, driven by the kernel's real uvcvideo driver.

    python -m tests.kernel.guest.usb_camera [--serial 0001] [--port 0] [--mute]

Plugs itself into this kernel over USB/IP (vhci-hcd); ending the process unplugs it, SIGUSR1 makes
it hang (and go on). Offers what cheap webcams offer: MJPG up to 1920x1080 at 30, YUYV up to
1280x720 at 10, brightness, a capture node and a metadata node. Needs root.
"""

from __future__ import annotations

import argparse
import collections
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

import cv2

from tests.kernel.guest import pictures
from tests.kernel.guest import usb_descriptors as usb

STALL, UNLINKED = -32, -104
_HEADER = 48
_CLOCK_HZ = 48_000_000


@lru_cache(maxsize=4 * pictures.COUNT)
def _coded(pixels: int, width: int, height: int, number: int) -> bytes:
    image = pictures.picture(number, width, height)
    if pixels == usb.MJPG:
        return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    return cv2.cvtColor(image, cv2.COLOR_BGR2YUV_YUYV).tobytes()


class Camera:
    """Answers the kernel's messages on a socket. Single-threaded."""

    def __init__(self, link: socket.socket, serial: str, *, mute: bool) -> None:
        self.hung = mute
        self._link, self._serial = link, serial
        self._waiting: collections.deque[tuple[int, int]] = collections.deque()  # (message, bytes)
        self._modes = {usb.PROBE: usb.nearest_mode(), usb.COMMIT: usb.nearest_mode()}
        self._brightness = 128
        self._payload, self._sent = b"", 0
        self._number, self._parity, self._due = 0, 0, 0.0

    def answer_one(self) -> None:
        """Takes one message. Raises EOFError when the kernel let go."""
        header = self._received(_HEADER)
        command, message, _, inward, endpoint = struct.unpack_from(">5I", header)
        if command == usb.UNLINK:
            self._unlink(message, struct.unpack_from(">I", header, 20)[0])
            return
        length = struct.unpack_from(">i", header, 24)[0]
        data = self._received(length) if not inward and length > 0 else b""
        if endpoint:
            if not self._waiting and not self._payload:
                self._due = max(self._due, time.monotonic())
            self._waiting.append((message, length))
        else:
            self._answer_control(message, header[40:48], data, length if inward else None)

    def deliver(self) -> float:
        """Serves what waits for pictures; seconds until there is something to do again."""
        while self._waiting and not self.hung:
            if not self._payload:
                wait_s = self._due - time.monotonic()
                if wait_s > 0:
                    return wait_s
                self._begin_picture()
            message, length = self._waiting.popleft()
            part = self._payload[self._sent : self._sent + length]
            self._reply(message, 0, part)
            self._sent += len(part)
            if len(part) < length:  # a short one ends the picture
                self._payload = b""
        return 1.0

    def _begin_picture(self) -> None:
        pixels, width, height, interval_s = usb.mode(self._modes[usb.COMMIT])
        now = time.monotonic()
        self._due = max(self._due + interval_s, now - interval_s)
        clock = int(now * _CLOCK_HZ) & 0xFFFFFFFF
        flags = 0x80 | 0x0E | self._parity
        head = struct.pack("<BBIIH", 12, flags, clock, clock, int(now * 1000) & 0x7FF)
        coded = _coded(pixels, width, height, self._number % pictures.COUNT)
        self._payload, self._sent = head + coded, 0
        self._number, self._parity = self._number + 1, self._parity ^ 1

    def _unlink(self, message: int, victim: int) -> None:
        hit = [entry for entry in self._waiting if entry[0] == victim]
        for entry in hit:
            self._waiting.remove(entry)
        if not self._waiting:
            self._payload = b""
        status = UNLINKED if hit else 0
        self._link.sendall(struct.pack(">5Ii24x", 4, message, 0, 0, 0, status))

    def _answer_control(self, message: int, setup: bytes, data: bytes, most: int | None) -> None:
        """`most` is how many bytes the kernel wants; None where it sends some."""
        answer = self._control(setup, data)
        if answer is None:
            self._reply(message, STALL)
        elif most is None:
            self._reply(message, 0, taken=len(data))
        else:
            self._reply(message, 0, answer[:most])

    def _control(self, setup: bytes, data: bytes) -> bytes | None:
        """The answer to a control request; None refuses it."""
        kind, request, value, index, _ = struct.unpack("<BBHHH", setup)
        if kind & 0x60 == 0:
            return usb.standard_request(kind, request, value, self._serial)
        selector, unit, interface = value >> 8, index >> 8, index & 255
        if interface == 1 and selector in self._modes:
            return self._mode_request(request, selector, data)
        if interface == 0 and unit == usb.PROCESSING_UNIT and selector == usb.BRIGHTNESS:
            return self._brightness_request(request, data)
        return None

    def _mode_request(self, request: int, selector: int, data: bytes) -> bytes:
        if request == usb.SET_CUR:
            wished = data.ljust(34, b"\0")
            interval = struct.unpack_from("<I", wished, 4)[0]
            self._modes[selector] = usb.nearest_mode(wished[2], wished[3], interval)
            return b""
        return {usb.GET_INFO: b"\3", usb.GET_LEN: b"\x22\0"}.get(request, self._modes[selector])

    def _brightness_request(self, request: int, data: bytes) -> bytes:
        if request == usb.SET_CUR:
            self._brightness = struct.unpack("<h", data[:2])[0]
            return b""
        now = struct.pack("<h", self._brightness)
        return usb.BRIGHTNESS_ANSWERS.get(request, now)

    def _reply(self, message: int, status: int, data: bytes = b"", taken: int = 0) -> None:
        size = len(data) or taken
        self._link.sendall(
            struct.pack(">5I5i8x", 3, message, 0, 0, 0, status, size, 0, 0, 0) + data
        )

    def _received(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            if not (more := self._link.recv(size - len(data))):
                raise EOFError
            data += more
        return bytes(data)


def plugged_in(port: int) -> socket.socket:
    """Hands one end of a socket to the kernel and returns the other."""
    subprocess.run(["modprobe", "-a", "vhci-hcd", "uvcvideo"], check=True)
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in (ours, kernels):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    attach = Path("/sys/devices/platform/vhci_hcd.0/attach")
    device = 1 << 16 | port + 2
    attach.write_text(f"{port} {kernels.fileno()} {device} {usb.HIGH_SPEED}")
    kernels.close()
    return ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serial", default="0001")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mute", action="store_true", help="hang from the start")
    wish = parser.parse_args()
    link = plugged_in(wish.port)
    camera = Camera(link, wish.serial, mute=wish.mute)

    def toggle(*_: object) -> None:
        camera.hung = not camera.hung

    signal.signal(signal.SIGUSR1, toggle)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    wait_s = 0.1
    try:
        while True:
            if select.select([link], [], [], min(wait_s, 0.1))[0]:
                camera.answer_one()
            wait_s = camera.deliver()
    except (EOFError, ConnectionError):
        sys.exit("the kernel let go of the camera")


if __name__ == "__main__":
    main()
