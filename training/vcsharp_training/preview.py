"""A picture of the crop bank: what the student will see, one row per profile."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vcsharp_training.bank import Bank
from vcsharp_training.errors import DataError

PAIRS = 5


def draw(bank: Bank, path: Path) -> None:
    """Writes a PNG with five random pairs (degraded, then sharp) of every profile. Raises DataError
    if it cannot.
    """
    rng = np.random.default_rng(0)
    rows = []
    for profile in dict.fromkeys(bank.profile.tolist()):
        chosen = rng.choice(np.flatnonzero(bank.profile == profile), PAIRS)
        rows.append(
            np.hstack([plane for row in chosen for plane in (bank.degraded[row], bank.sharp[row])])
        )
    encoded = cv2.imencode(".png", np.vstack(rows))[1]
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise DataError(f"cannot write '{path}': {error.strerror}") from error
