"""What the software webcam says of itself: USB 2.0 chapter 9 and USB Video Class 1.1."""

from __future__ import annotations

import struct

UNLINK = 2
HIGH_SPEED = 3
MJPG, YUYV = 1, 2
PROBE, COMMIT = 1, 2
SET_CUR, GET_LEN, GET_INFO = 0x01, 0x85, 0x86
PROCESSING_UNIT, BRIGHTNESS = 2, 2
BRIGHTNESS_ANSWERS = {
    GET_INFO: b"\3",
    GET_LEN: b"\2\0",
    0x82: b"\0\0",  # least
    0x83: b"\xff\0",  # most
    0x84: b"\1\0",  # step
    0x87: b"\x80\0",  # default
}

_RATES = (30, 15, 5)
SIZES = {
    MJPG: ((1920, 1080, _RATES), (1280, 720, _RATES), (640, 480, _RATES), (640, 360, _RATES)),
    YUYV: ((640, 480, _RATES), (1280, 720, (10, 5)), (640, 360, _RATES), (320, 240, (30, 15))),
}
_LARGEST_PAYLOAD = 8 << 20
_UNITS_PER_S = 10_000_000
_CLOCK_HZ = 48_000_000
_YUY2 = b"YUY2\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"


def nearest_mode(pixels: int = MJPG, index: int = 1, interval: int = 333333) -> bytes:
    """The mode nearest to what was asked for, in the words of probe and commit."""
    pixels = pixels if pixels in SIZES else MJPG
    index = min(max(index, 1), len(SIZES[pixels]))
    width, height, rates = SIZES[pixels][index - 1]
    interval = min((_UNITS_PER_S // rate for rate in rates), key=lambda one: abs(one - interval))
    head = struct.pack("<HBBI10x", 1, pixels, index, interval)
    tail = struct.pack("<IIIBBBB", width * height * 2, _LARGEST_PAYLOAD, _CLOCK_HZ, 3, 0, 0, 0)
    return head + tail


def mode(committed: bytes) -> tuple[int, int, int, float]:
    """Pixel format, width, height and seconds between pictures."""
    _, pixels, index, interval = struct.unpack_from("<HBBI", committed)
    width, height, _ = SIZES[pixels][index - 1]
    return pixels, width, height, interval / _UNITS_PER_S


def standard_request(kind: int, request: int, value: int, serial: str) -> bytes | None:
    """The answer to what every USB device is asked; None refuses."""
    if kind == 0x80 and request == 6:
        which = value >> 8
        return _string(value & 255, serial) if which == 3 else {1: DEVICE, 2: CONFIG}.get(which)
    answers = {(0x80, 0): b"\0\0", (0x81, 0): b"\0\0", (0x82, 0): b"\0\0", (0x80, 8): b"\1"}
    if kind < 3:
        return b"" if request in (1, 3, 5, 9, 11) else None
    return b"\0" if (kind, request) == (0x81, 10) else answers.get((kind, request))


def _string(index: int, serial: str) -> bytes | None:
    texts = ["", "Lab", "HD USB Camera", serial]
    if index >= len(texts):
        return None
    text = struct.pack("<H", 0x0409) if index == 0 else texts[index].encode("utf-16-le")
    return bytes([2 + len(text), 3]) + text


def _formats() -> bytes:
    return b"".join(_format(pixels) for pixels in SIZES)


def _format(pixels: int) -> bytes:
    sizes = SIZES[pixels]
    if pixels == MJPG:
        head = struct.pack("<11B", 11, 0x24, 6, pixels, len(sizes), 1, 1, 0, 0, 0, 0)
    else:
        head = struct.pack("<5B16s6B", 27, 0x24, 4, pixels, len(sizes), _YUY2, 16, 1, 0, 0, 0, 0)
    frames = b"".join(
        _frame(7 if pixels == MJPG else 5, index, *size) for index, size in enumerate(sizes, 1)
    )
    return head + frames + bytes([6, 0x24, 13, 1, 1, 4])


def _frame(subtype: int, index: int, width: int, height: int, rates: tuple[int, ...]) -> bytes:
    intervals = [_UNITS_PER_S // rate for rate in rates]
    size = width * height * 2
    head = struct.pack("<5BHH", 26 + 4 * len(intervals), 0x24, subtype, index, 0, width, height)
    bits = (size * 8 * min(rates), min(size * 8 * max(rates), 0xFFFFFFFF))
    return head + struct.pack(
        f"<IIIIB{len(intervals)}I", *bits, size, intervals[0], len(intervals), *intervals
    )


def _configuration() -> bytes:
    units = (
        struct.pack("<BBBBHBBHHHB3s", 18, 0x24, 2, 1, 0x0201, 0, 0, 0, 0, 0, 3, b"\0\0\0")
        + struct.pack("<BBBBBHBHBB", 12, 0x24, 5, PROCESSING_UNIT, 1, 0, 2, 1, 0, 0)
        + struct.pack("<BBBBHBBB", 9, 0x24, 3, 3, 0x0101, 0, 2, 0)
    )
    control = struct.pack("<BBBHHIBB", 13, 0x24, 1, 0x0110, 13 + len(units), _CLOCK_HZ, 1, 1)
    formats, count = _formats(), len(SIZES)
    length = 13 + count + len(formats)
    head = (13 + count, 0x24, 1, count, length, 0x81, 0, 3, 0, 0, 0, 1)
    rest = (
        bytes([8, 11, 0, 2, 14, 3, 0, 2])
        + bytes([9, 4, 0, 0, 0, 14, 1, 0, 2])
        + control
        + units
        + bytes([9, 4, 1, 0, 1, 14, 2, 0, 0])
        + struct.pack("<BBBBHBBBBBBB", *head)
        + bytes(count)
        + formats
        + struct.pack("<BBBBHB", 7, 5, 0x81, 2, 512, 0)
    )
    return struct.pack("<BBHBBBBB", 9, 2, 9 + len(rest), 2, 1, 0, 0x80, 250) + rest


DEVICE = struct.pack(
    "<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0xEF, 2, 1, 64, 0x1D6B, 0x0102, 0x0100, 1, 2, 3, 1
)
CONFIG = _configuration()
