"""Steps of degradations: what each does to a picture, and how a recipe names them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pydantic import ValidationError
from vcsharp_training import degrade, images, metrics, steps

from tests.shifts import best_shift


def _texture(size_px: int = 96) -> np.ndarray:
    rng = np.random.default_rng(7)
    grain = cv2.GaussianBlur(rng.normal(128, 400, (size_px, size_px)), (0, 0), 3)
    return images.to_bytes(grain.astype(np.float32))


def _through(step: steps.Step, picture: np.ndarray, seed: int = 0) -> np.ndarray:
    scene = steps.Scene(steps.size_of(picture))
    return step([picture], scene, np.random.default_rng(seed))[-1]


@pytest.mark.parametrize(
    "step",
    [
        steps.Gaussian(sigma_px=1.5),
        steps.Disc(radius_px=2.5),
        steps.Motion(length_px=7),
        steps.Noise(sigma=3),
        steps.Sensor(read=2, shot=4),
        steps.Jpeg(quality=30),
        steps.X264(kbps=600),
        steps.Vp8(kbps=600),
    ],
    ids=lambda step: step.kind,
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_step_worsens_keeps_the_shape_and_repeats(step, channels):
    picture = _texture() if channels == 1 else np.dstack([_texture()] * 3)
    first, again = (_through(step, picture, seed=5) for _ in range(2))
    assert first.shape == picture.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert 15 < metrics.psnr_db(first, picture) < 55


@pytest.mark.parametrize("name", ["area", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("factor", [1.5, 2.0, 4.0])
def test_down_and_up_keeps_size_and_place_with_every_filter(name, factor):
    profile = degrade.Profile(
        steps=(steps.Shrink(factor=factor, filters=(name,)), steps.Grow(filters=(name,)))
    )
    pair = profile(_texture(), np.random.default_rng(0))
    assert pair.degraded.shape == pair.sharp.shape
    assert best_shift(pair.degraded, pair.sharp) == (0, 0)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos"])
def test_a_phase_moves_the_sampling_grid_but_not_the_picture(name, whole):
    chain = (
        steps.Phase(shift_px=(1, 2), whole=whole),
        steps.Shrink(factor=2),
        steps.Grow(filters=(name,)),
    )
    plain = degrade.Profile(steps=chain[1:])(_texture(), np.random.default_rng(0))
    pairs = [degrade.Profile(steps=chain)(_texture(), np.random.default_rng(i)) for i in range(3)]
    for pair in pairs:
        assert best_shift(pair.degraded, pair.sharp) == (0, 0)
        inner = np.s_[8:-8, 8:-8]
        lost_db = metrics.psnr_db(*(plane[inner] for plane in plain)) - metrics.psnr_db(
            pair.degraded[inner], pair.sharp[inner]
        )
        assert lost_db < 1.5
    assert not np.array_equal(pairs[0].degraded, pairs[1].degraded) or whole


def test_kernels_are_as_large_as_they_say_and_lie_in_the_middle():
    disc, line = steps.disc_kernel(3.0), steps.line_kernel(9.0, 0.0)
    for kernel in (disc, line, steps.line_kernel(5.0, 30.0), steps.disc_kernel(0.4)):
        assert kernel.sum() == pytest.approx(1)
        assert kernel.shape[0] == kernel.shape[1]
        assert kernel.shape[0] % 2 == 1
        assert np.allclose(kernel, kernel[::-1, ::-1], atol=1e-6)
    assert (disc > 0.5 * disc.max()).sum() == pytest.approx(np.pi * 3**2, rel=0.15)
    assert line[line.shape[0] // 2].sum() == pytest.approx(1)
    assert (line > 0.5 * line.max()).sum() == 9
    turned = steps.line_kernel(9.0, 90.0)
    assert np.allclose(turned, line.T, atol=1e-6)


def test_noise_has_the_sigma_that_it_states_and_differs_from_frame_to_frame():
    grey = np.full((200, 200), 120, np.uint8)
    scene = steps.Scene((200, 200))
    first, second = steps.Noise(sigma=4)([grey, grey], scene, np.random.default_rng(0))
    assert (first - grey.astype(float)).std() == pytest.approx(4, rel=0.05)
    assert not np.array_equal(first, second)


def test_sensor_noise_grows_with_the_light():
    step = steps.Sensor(read=1.0, shot=8.0)
    for level in (30, 200):
        noisy = _through(step, np.full((200, 200), level, np.uint8)).astype(float)
        assert noisy.std() == pytest.approx(np.sqrt(1 + 64 * level / 255), rel=0.05)


def test_jpeg_carries_colour_in_420():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = (255, 0, 0)
    stripes[:, 1::2] = (0, 0, 255)
    coded = images.through_jpeg(stripes, 95)
    assert np.abs(coded[:, :-1].astype(int) - coded[:, 1:].astype(int)).mean() < 60


RECIPE = {
    "pan": {"frames": [4, 4], "speed_px": [0, 2]},
    "steps": [
        {"kind": "phase", "shift_px": 0.5},
        {"kind": "shrink", "factor": [2, 3], "filter": "area"},
        {"kind": "sensor"},
        {"kind": "vp8", "kbps": [300, 1300]},
        {"kind": "grow", "filters": ["bilinear", "bicubic"]},
    ],
}


def test_a_profile_is_read_from_a_recipe_and_says_what_it_drew():
    profile = degrade.Profile.model_validate(RECIPE)
    assert [step.kind for step in profile.steps][:2] == ["phase", "shrink"]
    found = profile.run(_texture(), np.random.default_rng(0))
    text = ", ".join(found.notes)
    for word in ("pan 4 frames", "phase 0.50", "down x2.", "area", "sensor noise", "vp8", "up bi"):
        assert word in text
    assert degrade.Profile.model_validate(profile.model_dump()) == profile


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"kind": "x265", "kbps": 300}, "'x265' found using 'kind' does not match"),
        ({"kind": "noise", "sigma": 1, "sigmas": 2}, "Extra inputs are not permitted"),
        ({"kind": "noise", "sigma": [3, 1]}, "from low to high, not from 3 to 1"),
        ({"kind": "shrink", "factor": 2, "filter": "nearest"}, "'area', 'bilinear'"),
        ({"kind": "gaussian", "sigma_px": 0}, "greater than 0"),
        ({"kind": "phase"}, "after 'phase' a 'grow' has to bring"),
        ({"kind": "shrink", "factor": 2}, "after 'shrink' a 'grow' has to bring"),
    ],
)
def test_what_a_profile_cannot_mean_is_refused(step, says):
    with pytest.raises(ValidationError, match=says):
        degrade.Profile.model_validate({"steps": [step]})


@pytest.mark.parametrize("frames", [[0, 3], [5, 4], [1, 500]])
def test_a_pan_of_no_sensible_length_is_refused(frames):
    with pytest.raises(ValidationError, match="from 1 to 120 frames"):
        degrade.Pan(frames=frames)
