"""Measures against slow, plain versions; what they say about filters that do something known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from vcsharp_training import baselines, metrics, perceptual, probes
from vcsharp_training.errors import CheckpointError

STRIDES = {"0": (4, 2), "3": (1, 2), "6": (1, 1), "8": (1, 1), "10": (1, 1)}


def _plane(height: int = 40, width: int = 52) -> np.ndarray:
    return np.random.default_rng(0).integers(16, 236, (height, width)).astype(np.uint8)


def _slow_convolution(values, weight, bias, stride, pad):
    """A sum over the kernel's places, in float64."""
    padded = np.pad(values, ((0, 0), (pad, pad), (pad, pad)))
    size = weight.shape[-1]
    rows, columns = ((side - size) // stride + 1 for side in padded.shape[1:])
    result = np.zeros((len(weight), rows, columns)) + bias[:, None, None]
    for y, x in np.ndindex(size, size):
        part = padded[:, y : y + stride * rows : stride, x : x + stride * columns : stride]
        result += np.einsum("oi,ihw->ohw", weight[:, :, y, x], part)
    return result


def _slow_pool(values):
    rows, columns = ((side - 3) // 2 + 1 for side in values.shape[1:])
    places = [values[:, y : y + 2 * rows : 2, x : x + 2 * columns : 2] for y, x in np.ndindex(3, 3)]
    return np.max([place[:, :rows, :columns] for place in places], axis=0)


def _slow_levels(rgb, weights):
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    values = (rgb * 2 - 1 - shift[:, None, None]) / scale[:, None, None]
    levels = []
    for name, (stride, pad) in STRIDES.items():
        if name in ("3", "6"):
            values = _slow_pool(values)
        weight, bias = (weights[f"features.{name}.{part}"].numpy() for part in ("weight", "bias"))
        values = np.maximum(_slow_convolution(values, weight, bias, stride, pad), 0)
        levels.append(values / (np.sqrt((values**2).sum(0)) + 1e-10))
    return levels


def test_lpips_equals_a_plain_computation(lpips_folder):
    rng = np.random.default_rng(1)
    first, second = rng.random((2, 3, 64, 72))
    weights = torch.load(lpips_folder / "alex_features.pth", weights_only=True)
    heads = torch.load(lpips_folder / "lin_alex.pth", weights_only=True)
    wanted = sum(
        ((a - b) ** 2 * head.numpy()[0]).sum(0).mean()
        for a, b, head in zip(
            _slow_levels(first, weights), _slow_levels(second, weights), heads.values(), strict=True
        )
    )
    model = perceptual.load(lpips_folder)
    found = model(torch.from_numpy(first)[None].float(), torch.from_numpy(second)[None].float())
    assert np.isclose(float(found), wanted, rtol=1e-4)
    assert float(model(found.new_ones(1, 3, 64, 64), found.new_ones(1, 3, 64, 64))) == 0


def test_lpips_of_planes_looks_at_their_middle_as_a_screen_shows_them(lpips_folder):
    truth = _plane(600, 560)
    model = perceptual.load(lpips_folder)
    distance = perceptual.LumaLpips(model, truth)
    assert distance(truth) == 0
    other = np.asarray(cv2.GaussianBlur(truth, (0, 0), 1), np.uint8)
    shown = [
        torch.from_numpy(np.clip((plane[44:556, 24:536] - 16.0) / 219, 0, 1)).float()
        for plane in (other, truth)
    ]
    wanted = model(*(plane.expand(1, 3, 512, 512) for plane in shown))
    assert np.isclose(distance(other), float(wanted), rtol=1e-4)
    other[:40] = 0  # outside the middle
    assert np.isclose(distance(other), float(wanted), rtol=1e-4)


def test_missing_and_foreign_lpips_weights_are_named(tmp_path, lpips_folder):
    with pytest.raises(CheckpointError, match=r"alex_features\.pth.*published as"):
        perceptual.load(tmp_path)
    (tmp_path / "alex_features.pth").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match="damaged"):
        perceptual.load(tmp_path)
    torch.save({}, tmp_path / "alex_features.pth")
    (tmp_path / "lin_alex.pth").write_bytes((lpips_folder / "lin_alex.pth").read_bytes())
    with pytest.raises(CheckpointError, match="do not fit"):
        perceptual.load(tmp_path)


def test_sharpness_is_the_energy_of_the_laplacian_relative_to_the_truth():
    plane = _plane().astype(np.float64)
    padded = np.pad(plane, 1, mode="reflect")
    ring = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    assert np.isclose(metrics.energy(_plane()), np.abs(ring - 4 * plane).mean(), rtol=1e-5)
    soft = np.asarray(cv2.GaussianBlur(_plane(), (0, 0), 1), np.uint8)
    assert metrics.sharpness(soft, _plane()) < 0.5 < metrics.sharpness(_plane(), _plane()) == 1
    flat = np.full((8, 8), 9, np.uint8)
    assert metrics.sharpness(flat, flat) == 1


def test_flicker_compares_the_change_between_frames():
    still = np.full((4, 4), 100, np.uint8)
    assert metrics.change([still, still + 2, still]) == 2
    assert metrics.flicker([still, still + 3], [still, still + 2]) == 1.5


def test_probes_of_a_filter_that_does_nothing_and_of_unsharp_masking():
    scene = np.asarray(cv2.GaussianBlur(_plane(96, 128), (0, 0), 2), np.uint8)
    clips = [probes.still_clip(scene)]
    assert metrics.change(clips[0]) > 0
    assert probes.probe(baselines.identity, clips) == (1, 0, 1)
    harsh = probes.probe(baselines.unsharp, clips)
    assert harsh.flicker > 1.2
    assert 0.1 < harsh.overshoot < 0.3
    assert harsh.grain > 1.5


def test_overshoot_is_a_share_of_the_step():
    assert metrics.overshoot(np.array([[60, 170]], np.uint8), 70, 170) == 0.1
    assert metrics.overshoot(np.array([[70, 175]], np.uint8), 70, 170) == 0.05
    assert metrics.overshoot(np.array([[80, 160]], np.uint8), 70, 170) == 0
