"""Addresses of streams: what counts as one, and how it is shown without its credentials."""

from __future__ import annotations

import re

from vcsharp.redact import redact

__all__ = ["STREAM_SCHEMES", "redact", "scheme_of"]

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def scheme_of(spec: str) -> str | None:
    """`rtsp` for `RTSP://...`, None for anything without `://`."""
    match = _SCHEME.match(spec)
    return match.group(1).lower() if match else None
