"""What the tests of the bench share: small pictures in place of the demo scene."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from vcsharp.bench import frames
from vcsharp.frame import Frame, frame_bytes

SIZE = (64, 48)


def picture(seed: int, width: int = SIZE[0], height: int = SIZE[1]) -> Frame:
    data = np.random.default_rng(seed).integers(16, 236, frame_bytes(width, height), np.uint8)
    return Frame(data, width, height)


@pytest.fixture
def small_scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Frame]]:
    """Four pictures of 64x48 are the scene, all the same: a camera that shows a wall."""
    scene = [picture(0) for _ in range(frames.COUNT)]
    monkeypatch.setattr(frames, "_scene", lambda: scene)
    frames.pictures.cache_clear()
    yield scene
    frames.pictures.cache_clear()
