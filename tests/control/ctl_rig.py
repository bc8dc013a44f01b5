"""`vcsharp ctl` as a user calls it, in a home of its own."""

from __future__ import annotations


def done(told, *arguments: str) -> str:
    code, out, err = told(*arguments)
    assert (code, err) == (0, "")
    return str(out)


def refused(told, *arguments: str) -> tuple[int, str]:
    """Exit code and the one line."""
    code, out, err = told(*arguments)
    assert out == ""
    assert err.startswith("vcsharp: ")
    return code, err.removeprefix("vcsharp: ").removesuffix("\n")
