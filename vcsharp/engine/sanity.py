"""Whether weights can be trusted with a picture, beyond their checksum."""

from __future__ import annotations

import numpy as np

from vcsharp.engine.backend import Backend
from vcsharp.engine.tiling import Plan
from vcsharp.errors import ModelError

SANE_LEVELS = 24
"""How far a network may move plain grey before it is taken for broken; trained ones move 0 or 1."""


def refuse_insane(backend: Backend, plan: Plan, name: str) -> None:
    """Lets plain grey through a plan's tiles: not-a-number weights do not leave it as it was.

    Raises:
        ModelError: they did not; `name` stands in it.
        BackendError: the runtime failed.
    """
    grey = np.full((plan.height, plan.width), 128, np.uint8)
    out = grey.copy()
    backend.sharpen(grey, plan, 1.0, out)
    moved = int(np.abs(out.astype(int) - 128).max())
    if moved > SANE_LEVELS:
        raise ModelError(
            f"network '{name}' turns plain grey into something else (by {moved} levels): its "
            "weights are damaged; install the model again"
        )
