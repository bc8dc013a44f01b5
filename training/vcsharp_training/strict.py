"""What every table of a recipe has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen, refuses keys that it does not know, and is documented by the text below its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
