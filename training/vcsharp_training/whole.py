"""Small text files that are there as a whole or not at all, whenever the process is killed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Puts `text` (as UTF-8) into the file, in place of what was there.

    Raises OSError where it cannot; what was there is then still there, and no draft is left.
    """
    draft = path.with_suffix(".part")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
