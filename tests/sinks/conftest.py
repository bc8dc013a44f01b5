"""Moving pictures without any file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from vcsharp.frame import Color, Result, black
from vcsharp.sinks.base import StreamFormat

MakeResults = Callable[..., list[Result]]


def make_results(
    count: int, width: int = 64, height: int = 48, color: Color | None = None, fps: int = 25
) -> list[Result]:
    """A diagonal ramp that moves, over moving noise; all byte values occur."""
    rng = np.random.default_rng(width * height)
    noise = rng.integers(0, 256, black(width, height).data.size, dtype=np.uint8)
    results = []
    for number in range(count):
        frame = black(width, height, color)
        rows, columns = np.indices((height, width))
        frame.y[:] = (rows + columns + 3 * number) % 256
        frame.data[width * height :] = np.roll(noise, number)[width * height :]
        frame = frame.replaced(
            sequence=number, timestamp=Fraction(number, fps), captured_ns=number * 40_000_000
        )
        soft = frame.replaced(data=frame.data // 2 + 64)
        results.append(Result(frame, soft))
    return results


@pytest.fixture(name="make_results")
def make_results_fixture() -> MakeResults:
    return make_results


@pytest.fixture
def stream() -> StreamFormat:
    """64x48 at 25 fps, limited range BT.601."""
    return StreamFormat(64, 48, Fraction(25), Color())


@pytest.fixture(autouse=True)
def close_sinks() -> Iterator[None]:
    """Closes what `loopback_rig.make` has made; the module needs Linux."""
    yield
    if sys.platform == "linux":
        from .loopback_rig import close_all

        close_all()
