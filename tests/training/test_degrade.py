"""Degradations: repeatable, aligned, and as bad as they claim."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from vcsharp_training import codec, degrade, images, metrics, synthetic


def _scene(seed: int = 0, size_px: int = 144) -> np.ndarray:
    """Soft two-dimensional texture over bars."""
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.normal(128, 900, (size_px, size_px)), (0, 0), 5)
    return images.to_bytes(np.mean([grain, synthetic.bars(size_px, rng)], axis=0))


@pytest.mark.parametrize("name", degrade.EVALUATION)
@pytest.mark.parametrize("profiles", [degrade.EVALUATION, degrade.TRAINING])
def test_the_same_seed_gives_the_same_bytes(profiles, name):
    first, second = (profiles[name](_scene(), np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.degraded, second.degraded)
    assert np.array_equal(first.sharp, second.sharp)
    assert first.degraded.shape == first.sharp.shape
    assert first.degraded.dtype == first.sharp.dtype == np.uint8


@pytest.mark.parametrize("name", ["half", "soft", "mjpeg", "call"])
def test_a_degraded_picture_is_worse_but_recognisable(name):
    pair = degrade.EVALUATION[name](_scene(), np.random.default_rng(1))
    assert 14 < metrics.psnr_db(*pair) < 50


def test_clean_leaves_the_picture_alone():
    scene = _scene()
    assert np.array_equal(
        degrade.EVALUATION["clean"](scene, np.random.default_rng(0)).degraded, scene
    )


def _rich_call() -> degrade.Profile:
    """The call without the starving: a starved encoder really lags behind a pan."""
    shrink, _, grow = degrade.EVALUATION["call"].steps
    steps = (shrink, degrade.X264((20_000, 20_000)), grow)
    return dataclasses.replace(degrade.EVALUATION["call"], steps=steps)


@pytest.mark.parametrize(
    "profile", [degrade.EVALUATION["half"], degrade.EVALUATION["mjpeg"], _rich_call()]
)
def test_the_ground_truth_is_not_shifted_against_the_degraded_picture(profile):
    """A shift of one pixel in any direction must not fit better than none."""
    pair = profile(_scene(5), np.random.default_rng(2))
    inner = np.s_[4:-4, 4:-4]
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    errors = [
        np.abs(
            np.roll(pair.degraded, shift, (0, 1))[inner] - pair.sharp[inner].astype(float)
        ).mean()
        for shift in shifts
    ]
    assert shifts[int(np.argmin(errors))] == (0, 0)


def test_x264_repeats_and_gets_worse_with_less_rate():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (96, 128)).astype(np.uint8)
    clip = [np.roll(noise, step, 1) for step in range(5)]
    rich, again, poor = (codec.x264_last_frame(clip, kbps) for kbps in (4000, 4000, 200))
    assert np.array_equal(rich, again)
    assert rich.shape == noise.shape
    assert metrics.psnr_db(rich, clip[-1]) > metrics.psnr_db(poor, clip[-1])


def test_a_pan_moves_by_whole_pixels_and_keeps_the_size():
    scene = _scene()
    clip = degrade.Pan((6, 6), (1, 2))(scene, np.random.default_rng(0))
    assert len(clip) == 6
    assert len({plane.shape for plane in clip}) == 1
    assert not np.array_equal(clip[0], clip[-1])


@pytest.mark.parametrize("kind", synthetic.KINDS)
def test_patterns_are_planes_of_the_asked_size(kind):
    plane = kind(48, np.random.default_rng(0))
    assert plane.shape == (48, 48)
    assert plane.dtype == np.uint8
