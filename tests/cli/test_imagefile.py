"""The heads of picture files, read without decoding them."""

from __future__ import annotations

import contextlib
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcsharp.errors import ImageError
from vcsharp.imagefile import Kind, orientation, read_header


def encoded(kind: str, width: int, height: int, *options: int) -> bytes:
    done, data = cv2.imencode(f".{kind}", np.zeros((height, width, 3), np.uint8), list(options))
    assert done
    return data.tobytes()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (37, 300), (300, 37)])
@pytest.mark.parametrize(
    ("kind", "options", "lossless"),
    [
        ("png", (), True),
        ("bmp", (), True),
        ("jpg", (), False),
        ("jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), False),
        ("webp", (cv2.IMWRITE_WEBP_QUALITY, 80), False),
        ("webp", (cv2.IMWRITE_WEBP_QUALITY, 101), True),
    ],
)
def test_the_size_is_what_was_encoded(
    kind: Kind, options: tuple[int, ...], lossless: bool, width: int, height: int
) -> None:
    header = read_header(encoded(kind, width, height, *options))
    assert (header.kind, header.width, header.height) == (kind, width, height)
    assert header.lossless is lossless
    assert not header.animated


def test_a_tiff_is_known_by_its_first_bytes_and_its_size_by_its_first_page() -> None:
    header = read_header(encoded("tiff", 5, 4))
    assert (header.kind, header.width, header.height) == ("tiff", 5, 4)


@pytest.mark.parametrize("order", "<>")
def test_the_size_of_a_tiff_is_read_in_either_byte_order(order: str) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tags = struct.pack(f"{order}HHIHH", 0x100, 3, 1, 300, 0)
    tags += struct.pack(f"{order}HHII", 0x101, 4, 1, 70_000)
    header = read_header(mark + struct.pack(f"{order}IH", 8, 2) + tags + bytes(4))
    assert (header.width, header.height) == (300, 70_000)
    with pytest.raises(ImageError, match="cut off"):
        read_header(mark + struct.pack(f"{order}IH", 8, 2) + tags[:-1])


def with_profile(data: bytes) -> bytes:
    """The WebP file in the extended form, with a chunk of odd length before the picture."""
    profile = b"ICCP" + struct.pack("<I", 5) + b"VP8L!\0"
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x20\0\0\0" + b"\x07\0\0" + b"\x04\0\0"
    body = b"WEBP" + extended + profile + data[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(("quality", "lossless"), [(80, False), (101, True)])
def test_an_extended_webp_is_read_past_its_other_chunks(quality: int, lossless: bool) -> None:
    header = read_header(with_profile(encoded("webp", 8, 5, cv2.IMWRITE_WEBP_QUALITY, quality)))
    assert (header.width, header.height, header.lossless) == (8, 5, lossless)


def test_animations_are_known() -> None:
    webp = bytearray(with_profile(encoded("webp", 8, 5)))
    webp[20] |= 0x02
    assert read_header(bytes(webp)).animated
    png = encoded("png", 8, 5)
    at = png.index(b"IDAT") - 4
    assert read_header(png[:at] + struct.pack(">I", 0) + b"acTL\0\0\0\0" + png[at:]).animated


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a PNG, JPEG, WebP, BMP or TIFF picture"),
        (b"RIFF\0\0\0\0WAVE", "not a PNG, JPEG, WebP, BMP or TIFF picture"),
        (b"\x89PNG\r\n\x1a\n", "cut off"),
        (b"BM", "cut off"),
        (b"\xff\xd8\xff", "cut off"),
        (b"\xff\xd8\xff\xe0\0\x02", "cut off"),
        (b"\xff\xd8\xff\xe0\0\x02hi", "segments are damaged"),
        (b"RIFF\0\0\0\0WEBPVP8X", "cut off"),
        (b"RIFF\0\0\0\0WEBPVP8L", "cut off"),
    ],
)
def test_what_is_not_a_picture_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        read_header(data)


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF0000WEBPVP8X", b"BM", b"II*\0"]),
    st.binary(max_size=80),
)
def test_random_bytes_give_a_header_or_an_image_error(head: bytes, rest: bytes) -> None:
    with contextlib.suppress(ImageError):
        read_header(head + rest)


def exif(order: str, value: int) -> bytes:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    other = struct.pack(f"{order}HHIHH", 0x010F, 3, 1, 9, 0)
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, value, 0)
    return magic + struct.pack(f"{order}IH", 8, 2) + other + entry + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_found_in_either_byte_order(order: str, value: int) -> None:
    assert orientation(exif(order, value)) == value


@pytest.mark.parametrize("data", [b"", b"II*\0", exif("<", 0), exif(">", 9), exif("<", 6)[:14]])
def test_an_unreadable_orientation_means_upright(data: bytes) -> None:
    assert orientation(data) == 1
