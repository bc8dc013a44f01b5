"""Baselines and losses against slow, plain versions."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from skimage.metrics import structural_similarity
from vcsharp_training import baselines, losses, metrics
from vcsharp_training.recipe import LossSettings


def _noise(height: int = 37, width: int = 21) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint8)


def _slow_cas_px(window: np.ndarray, sharpness: float) -> float:
    """The centre of a 3 x 3 window (0..1), in the words of the published description."""
    cross = [window[at] for at in ((0, 1), (1, 0), (1, 1), (1, 2), (2, 1))]
    around = cross + [window[at] for at in ((0, 0), (0, 2), (2, 0), (2, 2))]
    low, high = min(cross) + min(around), max(cross) + max(around)
    amount = np.sqrt(np.clip(min(low, 2 - high) / max(high, 1e-6), 0, 1))
    weight = amount * -1 / (8 + (5 - 8) * sharpness)
    ring = cross[0] + cross[1] + cross[3] + cross[4]
    return float((ring * weight + window[1, 1]) / (1 + 4 * weight))


def _slow_cas(plane: np.ndarray, sharpness: float) -> np.ndarray:
    padded, result = np.pad(plane / 255, 1, mode="edge"), np.zeros_like(plane)
    for y, x in np.ndindex(*plane.shape):
        value = _slow_cas_px(padded[y : y + 3, x : x + 3], sharpness)
        result[y, x] = np.clip(np.rint(255 * value), 0, 255)
    return result


def test_cas_equals_the_slow_version():
    plane = _noise()
    for sharpness in (0.0, 0.4, 1.0):
        difference = baselines.cas(plane, sharpness).astype(int) - _slow_cas(plane, sharpness)
        assert np.abs(difference).max() <= 1  # float32 against float64
        assert np.count_nonzero(difference) < 4


def test_cas_leaves_greys_alone_and_raises_contrast():
    assert (baselines.cas(np.full((8, 8), 77, np.uint8)) == 77).all()
    step = np.repeat([[60, 60, 60, 60, 180, 180, 180, 180]], 8, 0).astype(np.uint8)
    edge = np.asarray(cv2.GaussianBlur(step, (0, 0), 1), np.uint8)
    assert np.ptp(np.diff(baselines.cas(edge, 1.0)[4].astype(int))) > np.ptp(
        np.diff(edge[4].astype(int))
    )


def test_unsharp_equals_the_definition():
    plane = _noise().astype(np.float64)
    offsets = np.arange(-3, 4)
    kernel = np.exp(-(offsets**2) / 2)
    kernel /= kernel.sum()
    padded = np.pad(plane, 3, mode="reflect")
    rows = np.stack([np.convolve(row, kernel, "valid") for row in padded])
    soft = np.stack([np.convolve(column, kernel, "valid") for column in rows.T]).T
    wanted = np.clip(np.rint(2 * plane - soft), 0, 255)
    assert np.abs(baselines.unsharp(plane.astype(np.uint8)).astype(int) - wanted).max() <= 1


def test_psnr_is_the_textbook_formula_and_is_capped_for_equal_planes():
    plane = _noise()
    shifted = np.where(plane < 250, plane + 5, plane - 5).astype(np.uint8)
    assert np.isclose(metrics.psnr_db(plane, shifted), 20 * np.log10(255 / 5), atol=1e-5)
    assert metrics.psnr_db(plane, plane) == metrics.PSNR_CAP_DB


def test_ssim_equals_scikit_image():
    plane = _noise(40, 52)
    soft = np.asarray(cv2.GaussianBlur(plane, (0, 0), 1), np.uint8)
    wanted = structural_similarity(soft, plane, data_range=255)
    assert np.isclose(metrics.ssim(soft, plane), wanted, atol=1e-9)
    assert metrics.ssim(plane, plane) == 1


def test_the_fourier_term_equals_the_plain_transform():
    difference = np.random.default_rng(0).normal(size=(2, 1, 8, 12))
    spectrum = np.fft.rfft2(difference, norm="ortho")
    wanted = np.abs(np.stack([spectrum.real, spectrum.imag])).mean(axis=(0, 2, 3, 4))
    assert np.allclose(losses.fourier(torch.from_numpy(difference)), wanted)


def test_crops_with_large_input_errors_count_less():
    settings = LossSettings(even_levels=3, clean=0.5)
    source, truth = torch.zeros(3, 1, 16, 16), torch.zeros(3, 1, 16, 16)
    truth[1], truth[2] = 2 / 255, 30 / 255
    assert torch.allclose(losses.weights(source, truth, settings), torch.tensor([0.5, 1.0, 0.1]))
    settings = LossSettings(even_levels=0)
    assert losses.total(source, truth, truth, settings) == 0
