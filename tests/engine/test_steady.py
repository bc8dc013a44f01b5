"""Steadiness: against a slow plain version, what it promises, and in the engine."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from vcsharp.engine.backend import NullBackend
from vcsharp.engine.steady import DEFAULT_LEVELS, Steady
from vcsharp.engine.worker import Engine
from vcsharp.frame import Frame
from vcsharp.settings import RunSettings


def _noisy(count: int, shape: tuple[int, int] = (37, 53)) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    scene = rng.integers(0, 256, shape)
    steps = [np.clip(scene + rng.integers(-4, 5, shape), 0, 255) for _ in range(count)]
    return [step.astype(np.uint8) for step in steps]


def _slow(planes: list[np.ndarray], levels: int) -> list[np.ndarray]:
    shown = [[int(value) for value in planes[0].ravel()]]
    for plane in planes[1:]:
        pairs = zip(plane.ravel().tolist(), shown[-1], strict=True)
        shown.append([old if abs(new - old) <= levels else new for new, old in pairs])
    return [np.array(values, np.uint8).reshape(planes[0].shape) for values in shown]


def _held(planes: list[np.ndarray], levels: int) -> list[np.ndarray]:
    steady, found = Steady(levels), [plane.copy() for plane in planes]
    for plane in found:
        steady.hold(plane)
    return found


@pytest.mark.parametrize("levels", [0, 1, 2, 8])
def test_it_equals_a_slow_one_and_stays_within_its_levels(levels):
    planes = _noisy(9)
    found = _held(planes, levels)
    for fast, slow, plane in zip(found, _slow(planes, levels), planes, strict=True):
        assert np.array_equal(fast, slow)
        assert np.abs(fast.astype(int) - plane).max() <= levels


def test_a_run_holds_what_the_measurements_are_made_with():
    assert RunSettings.model_fields["steady"].default == DEFAULT_LEVELS


def test_noise_moves_less_the_more_is_held():
    def moved(planes: list[np.ndarray]) -> float:
        return float(np.mean([a != b for a, b in pairwise(planes)]))

    planes = _noisy(9)
    shares = [moved(_held(planes, levels)) for levels in (0, 1, 2, 3)]
    assert shares == sorted(shares, reverse=True)
    assert shares[3] < shares[0] / 2


def test_a_slow_fade_comes_through():
    fade = [np.full((8, 8), level, np.uint8) for level in range(100, 140)]
    found = _held(fade, 2)
    assert found[-1].max() >= 137
    assert len({int(plane[0, 0]) for plane in found}) > 10


def test_another_size_and_forgetting_begin_anew():
    steady = Steady(8)
    for plane in (np.full((8, 8), 10, np.uint8), np.full((4, 6), 12, np.uint8)):
        kept = plane.copy()
        steady.hold(kept)
        assert np.array_equal(kept, plane)
    steady.forget()
    kept = np.full((4, 6), 15, np.uint8)
    steady.hold(kept)
    assert (kept == 15).all()


def _frame(level: int, notice: bool = False) -> Frame:
    data = np.full(16 * 8 * 3 // 2, level, np.uint8)
    return Frame(data, 16, 8, 0, 0, notice="standing in" if notice else "")


@pytest.mark.parametrize("change_threshold", [None, 0])
def test_an_engine_holds_the_frames_of_its_stream_and_nothing_else(change_threshold):
    with Engine(NullBackend(), None, change_threshold=change_threshold, steady=2) as engine:
        assert engine.process(_frame(100)).y[0, 0] == 100
        second = engine.process(_frame(102))
        assert (second.y == 100).all()
        assert (second.data[16 * 8 :] == 102).all()  # chroma is what came in
        assert engine.process(_frame(103)).y[0, 0] == 103
        assert engine.sharpen_luma(np.full((8, 16), 104, np.uint8), 1.0)[0, 0] == 104


@pytest.mark.parametrize("change", [{"strength": 0.0}, {"share": 0.0}])
def test_what_passes_unsharpened_is_not_held_and_ends_what_was(change):
    with Engine(NullBackend(), None, change_threshold=0, steady=2) as engine:
        engine.process(_frame(100))
        for name, value in change.items():
            setattr(engine, name, value)
        assert engine.process(_frame(101)).y[0, 0] == 101
        for name in change:
            setattr(engine, name, 1.0)
        assert engine.process(_frame(102)).y[0, 0] == 102


def test_a_placeholder_ends_what_was_shown():
    with Engine(NullBackend(), None, steady=2) as engine:
        engine.process(_frame(100))
        assert engine.process(_frame(101, notice=True)).y[0, 0] == 101
        assert engine.process(_frame(102)).y[0, 0] == 102
