"""Credentials never leave an address."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcsharp.errors import SettingsError
from vcsharp.redact import redact_word
from vcsharp.sources import make_source, redact
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
        ("C:/me@work/video.mp4", "C:/me@work/video.mp4"),
        ("rtsp:/u:p@cam", "rtsp:/***@cam"),
        ("://u:p@cam", "://***@cam"),
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


@given(st.text(min_size=4))
def test_one_argument_shows_no_password_whatever_it_holds(secret: str) -> None:
    assert redact_word(f"rtsp://admin:{secret}@cam/") == "rtsp://***@cam/"


def test_long_texts_take_no_longer_than_their_length() -> None:
    for text in ("a" * 1_000_000, "a://" * 250_000, "@" * 1_000_000, "pass" * 250_000):
        assert redact(text) == text
        assert len(redact(text + "://u:p@c")) <= len(text) + 12


@pytest.mark.parametrize("blank", [" ", "'", '"', "\t", "\n", "\u2003"])
def test_an_address_whose_password_would_break_its_text_is_refused(blank: str) -> None:
    spec = f"rtsp://admin:my{blank}planted@cam/"
    with pytest.raises(SettingsError, match="write them as %20, %27 and %22") as caught:
        make_source(spec, size=(64, 48), fps=Fraction(30), loop=False, rtsp_transport="tcp")
    assert "planted" not in str(caught.value)


def test_schemes_are_recognised_in_any_case() -> None:
    assert scheme_of("RTSP://x") == "rtsp"
    assert scheme_of("video.mp4") is None
    assert scheme_of("C:/video.mp4") is None
