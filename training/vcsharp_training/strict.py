"""What every table of a recipe has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen, refuses unknown keys, and takes the text below a field for its help."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
