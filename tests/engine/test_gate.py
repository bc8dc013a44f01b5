"""The gate: its features against a slow version, its file, and whom it chooses."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vcsharp.engine import gate
from vcsharp.engine.gate import FEATURES, GENERAL, Gate, Layer, Table
from vcsharp.errors import ModelError


def _slow_square(square: np.ndarray) -> list[float]:
    """Energy of every pair of frequencies but brightness, by OpenCV's transform."""
    spectrum = cv2.dct(square.astype(np.float64)) ** 2
    pairs = [(a, b) for a in range(gate.BLOCK_PX) for b in range(a, gate.BLOCK_PX)][1:]
    return [(spectrum[a, b] + spectrum[b, a]) / 2 for a, b in pairs]


def _slow_features(luma: np.ndarray) -> np.ndarray:
    px = gate.BLOCK_PX
    squares = np.array(
        [
            _slow_square(luma[y : y + px, x : x + px])
            for y in range(0, luma.shape[0] - px + 1, px)
            for x in range(0, luma.shape[1] - px + 1, px)
        ]
    )
    ranked = squares[np.argsort(squares.sum(axis=1))]
    ranked = ranked[ranked.sum(axis=1) > 1e-3]
    count = len(ranked)
    calm = ranked[int(count * 0.1) : max(int(count * 0.1) + 1, int(count * 0.4))]
    busy = ranked[int(count * 0.6) :]
    return np.log(np.concatenate([calm.mean(axis=0), busy.mean(axis=0)]) + 0.05)


@pytest.mark.parametrize("shape", [(48, 48), (100, 163), (16, 33)])
def test_features_equal_slow_ones(shape):
    luma = np.random.default_rng(sum(shape)).integers(0, 256, shape).astype(np.uint8)
    luma[:16, :16] = 200  # one calm square
    found = gate.summary(gate.energies(luma))
    assert found.shape == (FEATURES,)
    np.testing.assert_allclose(found, _slow_features(luma), atol=2e-3)


def test_bars_beside_a_picture_say_nothing_of_it():
    picture = np.random.default_rng(5).integers(0, 256, (64, 64)).astype(np.uint8)
    barred = np.full((64, 128), 16, np.uint8)
    barred[:, 32:96] = picture
    plain, boxed = (gate.summary(gate.energies(luma)) for luma in (picture, barred))
    np.testing.assert_allclose(plain, boxed, atol=1e-5)
    assert np.isfinite(gate.summary(gate.energies(np.full((64, 64), 7, np.uint8)))).all()


def test_a_large_plane_is_looked_at_in_part_but_all_over(monkeypatch):
    luma = np.zeros((160, 160), np.uint8)
    luma[:, 80:] = np.random.default_rng(0).integers(0, 256, (160, 80))
    monkeypatch.setattr(gate, "BLOCKS", 10)
    busy = gate.energies(luma).sum(axis=1) > 0
    assert len(busy) == 10
    assert 3 <= busy.sum() <= 7


def _table(**changes: object) -> dict[str, object]:
    """Tells noise from calm by the highest frequency of the calm parts."""
    top = [0.0] * FEATURES
    top[gate.FREQUENCIES - 1] = 1.0
    noisy = Layer(weight=(tuple(top), (0.0,) * FEATURES), bias=(0.0, 0.0))
    table = Table(
        kinds=("noise", "calm"),
        mean=(0.0,) * FEATURES,
        scale=(1.0,) * FEATURES,
        layers=(noisy,),
        gains_db={GENERAL: (0.1, 0.2), "noise": (2.0, -3.0)},
    )
    return table.model_dump() | changes


def _gate(**changes: object) -> Gate:
    return Gate(Table.model_validate(_table(**changes)))


def _noise(sigma: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(128, sigma, (96, 96))
    return np.clip(noise, 0, 255).astype(np.uint8)


def test_the_expert_that_should_gain_most_is_chosen():
    found = _gate()
    assert found.experts == (GENERAL, "noise")
    assert found.choose(_noise(20)) == "noise"
    assert found.choose(_noise(0)) == GENERAL
    likely = found.likelihoods(gate.summary(gate.energies(_noise(20))))
    assert sum(likely.values()) == pytest.approx(1)
    assert likely["noise"] > 0.9


def test_a_doubt_is_weighed_by_what_it_would_cost():
    """At even odds, the expert that may lose 3 dB is not worth its 2; for 4 dB it is."""
    even = [{"weight": [[0.0] * FEATURES] * 2, "bias": [0.0, 0.0]}]
    assert _gate(layers=even).choose(_noise(20)) == GENERAL
    bold = {GENERAL: [0.1, 0.2], "noise": [4.0, -3.0]}
    assert _gate(layers=even, gains_db=bold).choose(_noise(20)) == "noise"


def test_a_whole_picture_is_surer_than_the_classifier():
    """At 0.7 to 0.3 the expert would lose on the mean; at their squares, 0.84 to 0.16, it gains."""
    odds = [{"weight": [[0.0] * FEATURES] * 2, "bias": [float(np.log(7 / 3)), 0.0]}]
    gains = {GENERAL: [0.0, 0.0], "noise": [1.0, -2.5]}
    found = _gate(layers=odds, gains_db=gains)
    features = gate.summary(gate.energies(_noise(20)))
    assert found.likelihoods(features)["noise"] == pytest.approx(0.7)
    assert found.best(features) == found.choose(_noise(20)) == "noise"


def test_a_picture_too_small_to_tell_is_the_students():
    luma = _noise(20)[: gate.SMALLEST_PX - 1]
    assert _gate().choose(luma) == GENERAL


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mean": [0.0]}, "do not agree"),
        ({"gains_db": {"noise": [1.0, 1.0]}}, "nothing is known of the student"),
        ({"gains_db": {"": [1.0]}}, "do not agree"),
        ({"layers": [{"weight": [[1.0]], "bias": [0.0]}]}, f"other than {FEATURES} values"),
        ({"layers": [{"weight": [[1.0] * FEATURES], "bias": [0.0, 1.0]}]}, "one bias"),
        ({"kinds": []}, "at least 1 item"),
        ({"more": 1}, "not permitted"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, changes, words):
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(_table(**changes)), "utf-8")
    with pytest.raises(ModelError, match="is not a gate") as caught:
        Gate.load(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_says_the_same_as_its_table(tmp_path: Path):
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(_table()), "utf-8")
    features = gate.summary(gate.energies(_noise(5)))
    assert Gate.load(path).likelihoods(features) == _gate().likelihoods(features)
    path.write_text("half a fi", "utf-8")
    with pytest.raises(ModelError, match=r"'.*gate\.json' is not a gate: .*reinstall the model"):
        Gate.load(path)
