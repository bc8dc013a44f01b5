"""Addresses of streams: what counts as one, and how it is shown without its credentials."""

from __future__ import annotations

import re

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# An unescaped "/" or "@" in a password is wrong but common: rather hide too much than too little.
_URL_WITH_USER = re.compile(r"([a-z][a-z0-9+.-]*://)([^\s'\"]*)@", re.IGNORECASE)
_PORT_OR_NOTHING = re.compile(r"[^:]*(:\d*)?|\[[^\]]*\](:\d*)?")
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
    return _SECRET_ARGUMENT.sub(r"\1***", _URL_WITH_USER.sub(_hide_user, text))


def _hide_user(match: re.Match[str]) -> str:
    scheme, before_last_at = match.groups()
    authority, slash, _ = before_last_at.partition("/")
    if "@" in authority:  # the last "@" belongs to the path
        return f"{scheme}***@{before_last_at.rpartition('@')[2]}@" if slash else f"{scheme}***@"
    if slash and _PORT_OR_NOTHING.fullmatch(authority):
        return match.group(0)  # a host, and an "@" somewhere in the path
    return f"{scheme}***@"
