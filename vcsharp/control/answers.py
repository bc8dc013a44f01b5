"""Refusals: one line, the same at every door."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from vcsharp.redact import redact


class Problem(BaseModel):
    """Why a request was not carried out."""

    detail: str
    """One line: what, where, why, cure."""


def problem(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of one line, without line ends and passwords."""
    line = redact("; ".join(text.split("\n")))
    return JSONResponse({"detail": line}, status, headers)
