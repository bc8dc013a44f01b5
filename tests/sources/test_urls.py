"""Credentials never leave an address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcsharp.sources import redact
from vcsharp.sources.urls import scheme_of


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://cam/live", "rtsp://cam/live"),
        ("rtsp://u:p@cam:554/live", "rtsp://***@cam:554/live"),
        ("rtsp://u@cam/live", "rtsp://***@cam/live"),
        ("RTSPS://u:p@cam", "RTSPS://***@cam"),
        ("rtsp://u:p/q@cam/x", "rtsp://***@cam/x"),
        ("rtsp://u:p@q@cam/x", "rtsp://***@cam/x"),
        ("rtsp://u:p@[::1]:554/x", "rtsp://***@[::1]:554/x"),
        ("rtsp://cam/x@1", "rtsp://***@1"),
        ("http://cam/?user=a&password=b&c=1", "http://cam/?user=a&password=***&c=1"),
        ("http://cam/?TOKEN=b", "http://cam/?TOKEN=***"),
        ("cannot open 'rtsp://u:p@cam/x': no", "cannot open 'rtsp://***@cam/x': no"),
        ("/home/me@work/video.mp4", "/home/me@work/video.mp4"),
    ],
)
def test_only_the_credentials_are_hidden(address: str, shown: str) -> None:
    assert redact(address) == shown
    assert redact(shown) == shown


SECRET = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=4).filter(
    lambda text: not set(text) & set("'\"")
)


@given(SECRET)
def test_no_password_is_ever_shown_however_it_is_written(secret: str) -> None:
    assert redact(f"rtsp://admin:{secret}@cam/") == "rtsp://***@cam/"


def test_schemes_are_recognised_in_any_case() -> None:
    assert scheme_of("RTSP://x") == "rtsp"
    assert scheme_of("video.mp4") is None
    assert scheme_of("C:/video.mp4") is None
