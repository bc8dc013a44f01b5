"""Tiles that are kept: the same bytes as computing everything, or an error with a bound."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from vcsharp.catalogue import find
from vcsharp.engine import reuse
from vcsharp.engine.backend import NullBackend
from vcsharp.engine.ort import OrtBackend
from vcsharp.engine.reuse import Tally, differs
from vcsharp.engine.worker import Engine
from vcsharp.errors import BackendError
from vcsharp.frame import Frame, black, frame_bytes

TILE_PX = 64


def noise(width: int, height: int, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    return Frame(rng.integers(0, 256, frame_bytes(width, height)).astype(np.uint8), width, height)


def changed(frame: Frame, top: int, left: int, edge: int = 1, levels: int = 1) -> Frame:
    """A copy with a square that is lighter or darker."""
    result = frame.copied()
    result.y[top : top + edge, left : left + edge] ^= levels
    return result


class Watched(NullBackend):
    """Inverts, and remembers which tiles it was given."""

    def __init__(self) -> None:
        self.tiles: list[int] = []
        self.error: Exception | None = None

    def sharpen(self, plane, plan, strength, out) -> None:
        if self.error:
            raise self.error
        super().sharpen(255 - plane, plan, strength, out)
        self.tiles.append(len(plan.tiles))


def watched(threshold: int = 0) -> tuple[Engine, Watched, list[Tally]]:
    backend = Watched()
    tallies: list[Tally] = []
    engine = Engine(backend, None, TILE_PX, threshold)
    engine.on_tiles = tallies.append
    return engine, backend, tallies


# What can happen between two frames.
events = st.lists(
    st.sampled_from(["same", "same", "pixel", "pixel", "new", "strength", "size", "chroma"]),
    min_size=2,
    max_size=8,
)


@settings(deadline=None, max_examples=25)
@given(events, st.integers(0, 9999), st.sampled_from([(160, 120), (203, 131), (40, 30)]))
def test_threshold_0_equals_the_full_computation_bit_for_bit(random_model, story, seed, size):
    rng = np.random.default_rng(seed)
    frame = noise(size[0], size[1], seed)
    backend = OrtBackend(random_model, "int8", "cpu", 2)
    with (
        Engine(backend, random_model, 96, 0) as lazy,
        Engine(OrtBackend(random_model, "int8", "cpu", 1), random_model, 96) as full,
    ):
        for event in story:
            frame = next_frame(frame, event, rng, lazy)
            full.strength = lazy.strength
            assert (lazy.process(frame).data == full.process(frame).data).all()


def next_frame(frame: Frame, event: str, rng: np.random.Generator, engine: Engine) -> Frame:
    if event == "pixel":
        return changed(frame, int(rng.integers(frame.height)), int(rng.integers(frame.width)))
    if event == "strength":
        engine.strength = float(rng.choice([0.0, 0.5, 1.0, 2.0]))
    if event == "new":
        return noise(frame.width, frame.height, int(rng.integers(999)))
    if event == "size":  # by one, so that the padded plane stays what it was
        return noise(frame.width ^ 1, frame.height ^ 1, int(rng.integers(2)))
    result = frame.copied()
    if event == "chroma":
        result.u[:] += 1
    return result


def test_only_tiles_that_see_a_change_are_computed():
    engine, backend, tallies = watched()
    frame = noise(256, 128)
    engine.process(frame)
    engine.process(frame.copied())
    engine.process(changed(frame, 0, 0))
    assert backend.tiles == [8, 1]
    assert tallies == [Tally(computed=8), Tally(kept=8), Tally(computed=1, kept=7)]


def test_a_change_in_the_halo_alone_is_a_change(random_model):
    backend = OrtBackend(random_model, "int8", "cpu", 1)
    tallies: list[Tally] = []
    with Engine(backend, random_model, 96, 0) as engine:
        engine.on_tiles = tallies.append
        frame = noise(160, 80)
        seam = engine.plan(160, 80).tiles[0].columns.core_stop
        engine.process(frame)
        engine.process(changed(frame, 40, seam + 3))
    assert tallies[1] == Tally(computed=2)


def test_after_a_fault_nothing_old_is_kept():
    engine, backend, _ = watched()
    first, second = noise(64, 64), noise(64, 64, 1)
    engine.process(first)
    backend.error = BackendError("planted")
    with pytest.raises(BackendError):
        engine.process(second)
    backend.error = None
    assert (engine.process(second).y == 255 - second.y).all()
    assert backend.tiles == [1, 1]


def test_without_a_threshold_everything_is_computed():
    tallies: list[Tally] = []
    engine = Engine(Watched(), None, TILE_PX)
    engine.on_tiles = tallies.append
    for _ in range(2):
        engine.process(noise(128, 64))
    assert tallies == [Tally(computed=2)] * 2


@pytest.mark.parametrize("threshold", [0, 1, 7, 254])
def test_differs_compares_with_the_largest_difference(threshold):
    plane = noise(70, 200).y
    for row in (0, 100, 199):
        other = plane.copy()
        step = -1 if other[row, 5] > 127 else 1
        other[row, 5] = max(0, min(255, int(other[row, 5]) + step * threshold))
        assert not differs(plane, other, threshold)
        assert differs(plane, other, abs(int(other[row, 5]) - int(plane[row, 5])) - 1)


def test_slow_changes_do_not_add_up():
    engine, _, tallies = watched(threshold=4)
    frame = black(64, 64)
    for level in range(100, 110):
        frame = frame.copied()
        frame.y[:] = level
        shown = 255 - int(engine.process(frame).y[0, 0])
        assert abs(shown - level) <= 4
    assert [tally.computed for tally in tallies] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_a_tile_within_the_threshold_is_computed_again_in_time():
    engine, _, tallies = watched(threshold=4)
    for _ in range(3 * reuse.REFRESH_FRAMES):
        engine.process(black(256, 128))
    later = [tally.computed for tally in tallies[1:]]
    assert max(later) == 1  # not all of them at once
    assert 8 * 2 <= sum(later) <= 8 * 3


class Layer:
    """One convolution of a shipped int8 student."""

    def __init__(self, values: dict[str, np.ndarray], index: int) -> None:
        self.weight = values[f"weight{index}"].astype(np.int64)
        self.weight_scale = values[f"weight{index}_scale"].astype(float)
        self.scale = float(values[f"x{index}_scale"])
        self.bias = values[f"bias{index}"].astype(np.int64)


def shipped_layers() -> list[Layer]:
    graph = onnx.load(find("nano").path("int8")).graph
    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    return [Layer(values, index) for index in range(3)]


def bound_levels(layers: list[Layer], threshold: int, strength: float) -> float:
    """How far the outputs for two inputs can be apart that differ by at most `threshold`.

    Each layer passes on the sum of its absolute weights times what comes in (cutting off at zero
    only shrinks a difference), and rounding adds at most one step of its output. The last layer's
    output is a byte, so its two values are at most 255 steps apart.
    """
    apart = np.full(layers[0].weight.shape[1], threshold / 255)
    for layer in layers:
        sums = np.abs(layer.weight).sum((2, 3)) @ apart * layer.weight_scale
        apart = np.minimum(sums + layer.scale, 255 * layer.scale)
    return threshold + strength * 255 * float(apart.max()) + 1


@pytest.mark.parametrize("threshold", [1, 4, 12])
def test_a_kept_tile_is_within_the_bound_of_the_computed_one(threshold):
    layers, nano = shipped_layers(), find("nano")
    rng = np.random.default_rng(threshold)
    base = np.kron(rng.integers(0, 256, (12, 16)), np.ones((8, 8))).astype(int)
    with (
        Engine(OrtBackend(nano, "int8", "cpu", 1), nano, TILE_PX, threshold) as lazy,
        Engine(OrtBackend(nano, "int8", "cpu", 1), nano, TILE_PX) as full,
    ):
        worst = 0
        for _ in range(6):
            frame = black(128, 96)
            grain = rng.integers(-threshold // 2, threshold // 2 + 1, base.shape)
            frame.y[:] = np.clip(base + grain, 0, 255)
            apart = lazy.process(frame).y.astype(int) - full.process(frame).y
            worst = max(worst, int(np.abs(apart).max()))
    assert 0 < worst <= bound_levels(layers, threshold, 1.0)


def test_the_documented_bound_is_what_the_weights_allow():
    """docs/architecture.md: the threshold, the residual's whole range of 127.5 levels, rounding."""
    layers = shipped_layers()
    for threshold in (1, 4, 12):
        for strength in (0.5, 1.0, 2.0):
            documented = threshold + 127.5 * strength + 1
            assert bound_levels(layers, threshold, strength) == pytest.approx(documented)


# The order when there is no time for all.


def moving(frame: Frame, number: int) -> Frame:
    """Only the top left tile moves."""
    return changed(frame, 5, 5, levels=1 + number)


def test_at_most_the_share_is_computed_and_the_rest_passes():
    engine, _, tallies = watched()
    engine.share = 0.5
    frame = noise(256, 256)
    result = engine.process(frame)
    assert tallies == [Tally(computed=8, passed=8)]
    inverted, plain = result.y == 255 - frame.y, result.y == frame.y
    assert (inverted | plain).all()
    assert inverted[64:192, 64:192].all()  # the centre


def test_changed_tiles_come_before_those_that_wait():
    engine, _, tallies = watched()
    engine.share = 0.25
    frame = noise(256, 256)
    engine.process(frame)
    results = [engine.process(moving(frame, number)) for number in range(1, 6)]
    assert [(t.computed, t.passed) for t in tallies] == [
        (4, 12), (4, 8), (4, 5), (4, 2), (3, 0), (1, 0),
    ]  # fmt: skip
    for number, result in enumerate(results, 1):
        assert (result.y[:64, :64] == 255 - moving(frame, number).y[:64, :64]).all()
    assert (results[-1].y == 255 - moving(frame, 5).y).all()


def test_share_0_passes_the_frame_itself():
    engine, backend, tallies = watched()
    engine.share = 0.0
    frame = noise(128, 64)
    assert engine.process(frame) is frame
    assert tallies == [Tally(passed=2)]
    assert backend.tiles == []


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 255), st.sampled_from([0.1, 0.5, 1.0])), max_size=12))
def test_each_tile_is_computed_or_as_it_came_whatever_the_share(story):
    engine, _, tallies = watched()
    frame = noise(256, 128)
    for place, share in story:
        engine.share = share
        frame = changed(frame, place % 128, place, edge=30, levels=7)
        result = engine.process(frame)
        for tile in engine.plan(256, 128).tiles:
            area = tile.rows.core, tile.columns.core
            inverted = (result.y[area] == 255 - frame.y[area]).all()
            assert inverted or (result.y[area] == frame.y[area]).all()
        assert tallies[-1].computed <= max(1, 8 * share)
        assert sum((tallies[-1].computed, tallies[-1].kept, tallies[-1].passed)) == 8
