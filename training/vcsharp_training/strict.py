"""What every table of a recipe has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

LATER: dict[str, Any] = {"later": True}
"""`Field(..., json_schema_extra=LATER)` marks a key that the first recipes did not have."""


class Strict(BaseModel):
    """Frozen, refuses unknown keys, and takes the text below a field for its help."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def decides(self) -> dict[str, Any]:
        """The values that name what is made from them.

        Keys that came later are left out while they are at their defaults: what older recipes made
        keeps its name.
        """
        found = dict[str, Any]()
        for name, field in type(self).model_fields.items():
            value, extra = getattr(self, name), field.json_schema_extra
            later = isinstance(extra, dict) and "later" in extra
            if later and value == field.get_default(call_default_factory=True):
                continue
            found[name] = value.decides() if isinstance(value, Strict) else value
        return found
