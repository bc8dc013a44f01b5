"""Addresses of streams: what counts as one, and how it is shown without its credentials."""

from __future__ import annotations

import re

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# Up to the last "@" of the word: an unescaped "/" or "@" in a password is wrong but common, and to
# hide the host of an address with an "@" in its path is the lesser evil.
_CREDENTIALS = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s'\"]*@", re.IGNORECASE)
_SECRET_ARGUMENT = re.compile(
    r"((?:pass(?:word|wd|phrase)?|pwd|token|secret|auth|api_?key|access_?key|sig(?:nature)?)=)[^&\s'\"]+",
    re.IGNORECASE,
)


def scheme_of(spec: str) -> str | None:
    """`rtsp` for `RTSP://...`, None for anything without `://`."""
    match = _SCHEME.match(spec)
    return match.group(1).lower() if match else None


def redact(text: str) -> str:
    """The text with user names, passwords and the like in every URL replaced by `***`."""
    return _SECRET_ARGUMENT.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", text))
