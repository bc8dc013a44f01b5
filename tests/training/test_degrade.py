"""Degradations: repeatable, aligned, and as bad as they claim."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from vcsharp_training import codec, degrade, images, metrics, steps, synthetic

from tests.shifts import best_shift


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
    rich = steps.X264(kbps=20_000)
    return degrade.Profile(pan=degrade.EVALUATION["call"].pan, steps=(shrink, rich, grow))


@pytest.mark.parametrize(
    "profile", [degrade.EVALUATION["half"], degrade.EVALUATION["mjpeg"], _rich_call()]
)
def test_the_ground_truth_is_not_shifted_against_the_degraded_picture(profile):
    """A shift of one pixel in any direction must not fit better than none."""
    pair = profile(_scene(5), np.random.default_rng(2))
    assert best_shift(pair.degraded, pair.sharp) == (0, 0)


@pytest.mark.parametrize("kind", [codec.X264, codec.VP8])
def test_a_codec_repeats_and_gets_worse_with_less_rate(kind):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (96, 128)).astype(np.uint8)
    clip = [np.roll(noise, step, 1) for step in range(5)]
    rich, again, poor = (codec.last_frames(clip, kbps, kind)[-1] for kbps in (4000, 4000, 200))
    assert np.array_equal(rich, again)
    assert rich.shape == noise.shape
    assert metrics.psnr_db(rich, clip[-1]) > metrics.psnr_db(poor, clip[-1])


def test_a_pan_moves_by_whole_pixels_and_keeps_the_size():
    scene = _scene()
    clip = degrade.Pan(frames=(6, 6), speed_px=(1, 2))(scene, np.random.default_rng(0))
    assert len(clip) == 6
    assert len({plane.shape for plane in clip}) == 1
    assert not np.array_equal(clip[0], clip[-1])


@pytest.mark.parametrize("kind", synthetic.KINDS)
def test_patterns_are_planes_of_the_asked_size(kind):
    plane = kind(48, np.random.default_rng(0))
    assert plane.shape == (48, 48)
    assert plane.dtype == np.uint8


def _colour_scene(height_px: int = 144, width_px: int = 160) -> np.ndarray:
    """Soft colours with detail in luma."""
    rng = np.random.default_rng(4)
    hues = cv2.resize(rng.uniform(40, 215, (4, 5, 3)), (width_px, height_px))
    grain = cv2.GaussianBlur(rng.normal(0, 60, (height_px, width_px, 1)), (0, 0), 1.5)
    return images.to_bytes(hues + grain[..., None])


@pytest.mark.parametrize(
    "profile", [*(degrade.EVALUATION[name] for name in ("half", "soft", "mjpeg")), _rich_call()]
)
def test_colour_goes_the_same_way_as_luma(profile):
    """Seeded alike, the luma of the coloured picture is degraded about as much as luma alone."""
    scene = _colour_scene()
    colour = profile(scene, np.random.default_rng(1))
    assert colour.degraded.shape == colour.sharp.shape
    assert colour.degraded.shape[2] == 3
    assert colour.degraded.dtype == np.uint8
    luma = profile(images.to_luma(scene[..., ::-1], "full"), np.random.default_rng(1))
    planes = [images.to_luma(picture[..., ::-1], "full") for picture in colour]
    assert metrics.psnr_db(*planes) == pytest.approx(metrics.psnr_db(*luma), abs=2.5)
    assert metrics.psnr_db(*colour) > 20


def _plain_420(rgb: np.ndarray) -> list[np.ndarray]:
    """BT.601 by the book, pixel by pixel, in float64."""
    r, g, b = np.moveaxis(rgb.astype(float) / 255, 2, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    cb, cr = (b - y) / 1.772, (r - y) / 1.402
    height, width = y.shape
    small = [
        np.array(
            [
                [plane[i : i + 2, j : j + 2].mean() for j in range(0, width, 2)]
                for i in range(0, height, 2)
            ]
        )
        for plane in (cb, cr)
    ]
    return [16 + 219 * y, *(128 + 224 * plane for plane in small)]


def test_420_is_that_of_the_standard_and_comes_back():
    rgb = np.random.default_rng(0).integers(0, 256, (6, 10, 3)).astype(np.uint8)
    for plane, wanted in zip(codec.to_420(rgb), _plain_420(rgb), strict=True):
        assert np.abs(plane - wanted).max() <= 0.51
    smooth = np.asarray(cv2.resize(rgb[:2, :3], (96, 64)), np.uint8)
    assert np.abs(codec.from_420(*codec.to_420(smooth)).astype(int) - smooth).mean() < 2


@pytest.mark.parametrize("kind", [codec.X264, codec.VP8])
def test_a_codec_carries_colour_and_odd_sizes(kind):
    scene = _colour_scene(63, 85)
    (first, second) = codec.last_frames([scene] * 4, 8000, kind, keep=2)
    assert first.shape == second.shape == scene.shape
    assert metrics.psnr_db(second, scene) > 30
    assert len(codec.last_frames([scene], 8000, kind, keep=2)) == 1


@pytest.mark.parametrize("name", ["soft", "call"])
def test_the_frame_before_is_one_of_the_same_clip(name):
    found = degrade.TRAINING[name].run(_scene(), np.random.default_rng(2), keep=2)
    before, now = found.pairs
    assert before.degraded.shape == now.degraded.shape == now.sharp.shape
    assert not np.array_equal(before.degraded, now.degraded)
    assert np.array_equal(before.sharp, now.sharp) == (name == "soft")
    assert len(found.notes) == len(degrade.TRAINING[name].steps) + (name == "call")


def test_colour_pairs_are_seeded_by_name_and_cut_to_multiples_of_four(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), _colour_scene(150, 171))
    first, again = (degrade.colour_pair(tmp_path / "a.png", "call") for _ in range(2))
    assert np.array_equal(first.degraded, again.degraded)
    assert all(side % 4 == 0 for side in first.sharp.shape[:2])
    cv2.imwrite(str(tmp_path / "b.png"), _colour_scene(150, 171))
    assert not np.array_equal(
        first.degraded, degrade.colour_pair(tmp_path / "b.png", "call").degraded
    )


def test_what_is_measured_does_not_move():
    """The profiles that published figures rest on, as they were when those were measured."""
    dumped = {name: profile.model_dump() for name, profile in degrade.EVALUATION.items()}
    chain = {name: [step["kind"] for step in found["steps"]] for name, found in dumped.items()}
    assert chain == {
        "half": ["shrink", "grow"],
        "soft": ["gaussian", "noise"],
        "mjpeg": ["shrink", "noise", "jpeg", "grow"],
        "call": ["shrink", "x264", "grow"],
        "clean": [],
    }
    assert dumped["call"]["pan"] == {"frames": (12, 12), "speed_px": (0.5, 2.0)}
    assert dumped["soft"]["steps"][0]["sigma_px"] == (0.9, 2.0)
    assert dumped["mjpeg"]["steps"][2]["quality"] == (55.0, 80.0)
