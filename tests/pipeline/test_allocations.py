"""In the steady state a frame's way takes no new memory of a frame's size."""

from __future__ import annotations

import tracemalloc
from collections import deque

import numpy as np
import pytest

from vcsharp.buffers import PICTURES
from vcsharp.engine.worker import Engine, choose
from vcsharp.fit import fit
from vcsharp.frame import Color, ColorMatrix, ColorRange, Frame, Result, frame_bytes
from vcsharp.overlay import split, with_line

WIDTH, HEIGHT = 640, 360
LUMA_BYTES = WIDTH * HEIGHT
IN_FLIGHT = 6
"""Results that mailboxes and outputs hold at a time."""


def frames(width: int, height: int, color: Color, count: int = 3) -> list[Frame]:
    rng = np.random.default_rng(0)
    size = frame_bytes(width, height)
    return [
        Frame(rng.integers(0, 256, size).astype(np.uint8), width, height, color=color)
        for _ in range(count)
    ]


def growth(engine: Engine, source: list[Frame], width: int = WIDTH, height: int = HEIGHT) -> int:
    """Bytes that Python and NumPy had to ask for while a frame was on its way, for every frame.

    The least of several: what a frame costs, each of them pays; what other threads of the process
    take, now and then, is not a frame's.
    """
    held: deque[Result] = deque(maxlen=IN_FLIGHT)
    grown = list[int]()
    for number in range(3 * IN_FLIGHT):
        if number == 2 * IN_FLIGHT:
            tracemalloc.start()
        if tracemalloc.is_tracing():
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
        else:
            before = 0
        fitted = fit(source[number % len(source)], width, height, Color())
        held.append(Result(engine.process(fitted), fitted))
        if tracemalloc.is_tracing():
            grown.append(tracemalloc.get_traced_memory()[1] - before)
    return min(grown)


@pytest.fixture(autouse=True)
def _room_in_the_pool():
    """The pool is the process's: pictures that other tests still hold would fill it."""
    PICTURES.clear()


@pytest.fixture(autouse=True)
def _trace_ends():
    yield
    tracemalloc.stop()


@pytest.fixture(scope="module")
def nano():
    with choose("nano", "cpu", "ort", "int8", 1, 256, 0) as engine:
        yield engine


FULL_709 = Color(ColorRange.FULL, ColorMatrix.BT709)


@pytest.mark.parametrize(
    ("width", "height", "color"),
    [
        (WIDTH, HEIGHT, Color()),
        (WIDTH, HEIGHT, Color(ColorRange.FULL)),
        (WIDTH, HEIGHT, FULL_709),
        (480, 360, Color()),  # letterboxed
        (639, 359, FULL_709),  # padded
    ],
)
def test_no_frame_takes_new_memory_of_its_size(nano, width, height, color):
    assert growth(nano, frames(width, height, color)) < LUMA_BYTES / 8


@pytest.mark.parametrize("threshold", [0, 4])
def test_keeping_tiles_takes_none_either(threshold):
    source = frames(WIDTH, HEIGHT, Color(), 1) * 2 + frames(WIDTH, HEIGHT, Color(), 2)
    with choose("nano", "cpu", "ort", "int8", 1, 256, threshold) as engine:
        assert growth(engine, source) < LUMA_BYTES / 8


def test_a_plane_that_has_to_be_padded_takes_none():
    source = frames(638, 358, Color())  # no multiples of the student's stride
    with choose("nano", "cpu", "ort", "int8", 1, 256, 0) as engine:
        assert growth(engine, source, 638, 358) < LUMA_BYTES / 8


def test_the_measurement_sees_a_hidden_copy(nano):
    """The test of the test: an engine that copies is found out."""

    class Copying(Engine):
        def process(self, frame: Frame) -> Frame:
            return super().process(frame.replaced(data=frame.data.copy()))

    from vcsharp.engine.backend import NullBackend

    with Copying(NullBackend(), None) as engine:
        assert growth(engine, frames(WIDTH, HEIGHT, Color())) >= LUMA_BYTES


@pytest.mark.parametrize("draw", [lambda r: with_line(r.frame, "30 fps"), split])
def test_drawing_takes_strips_only(draw):
    results = [Result(frame, frame) for frame in frames(WIDTH, HEIGHT, Color())]
    held = [draw(result) for result in results]
    tracemalloc.start()
    for number in range(12):
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        held[number % 3] = draw(results[number % 3])
        if number > 6:
            assert tracemalloc.get_traced_memory()[1] - before < LUMA_BYTES / 2
