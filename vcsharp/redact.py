"""Takes credentials out of texts. It loads nothing, so that a program can begin with it."""

from __future__ import annotations

import re

# One slash too: a file's path has no empty parts. Not after one letter, which is a drive.
_SCHEME_END = re.compile(r"(?<=[a-z0-9+.-]{2}):/+|://", re.IGNORECASE)
_WORD = re.compile(r"[^\s'\"]+")
_SECRET_ARGUMENT = re.compile(
    r"((?:pass(?:word|wd|phrase)?|pwd|token|secret|auth|api_?key|access_?key|sig(?:nature)?)=)[^&\s'\"]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with user names, passwords and the like in every URL replaced by `***`."""
    hidden = _WORD.sub(lambda word: _without_credentials(word[0]), text)
    return _SECRET_ARGUMENT.sub(r"\1***", hidden)


def redact_word(word: str) -> str:
    """The same for one argument, whose password may even hold spaces and quotes."""
    return redact(_without_credentials(word))


def _without_credentials(word: str) -> str:
    """Hides what stands between the scheme and the last `@`.

    An unescaped `/` or `@` in a password is wrong but common, and to hide the host of an address
    with an `@` in its path is the lesser evil.
    """
    scheme = _SCHEME_END.search(word)
    if scheme is None:
        return word
    _, at, host = word[scheme.end() :].rpartition("@")
    return f"{word[: scheme.end()]}***@{host}" if at else word
