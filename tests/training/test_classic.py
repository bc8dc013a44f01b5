"""The protocol of the papers, against plain versions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from vcsharp_training import baselines, classic, images


def _keys(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def _slow_line(line: np.ndarray, target: int) -> list[float]:
    """One line, sample by sample, mirrored beyond its ends."""
    ratio = target / len(line)
    stretch = min(ratio, 1)
    result = []
    for index in range(target):
        centre = (index + 0.5) / ratio - 0.5
        total = norm = 0.0
        for place in range(int(centre) - 20, int(centre) + 21):
            weight = _keys((place - centre) * stretch)
            inside = place % (2 * len(line))
            inside = inside if inside < len(line) else 2 * len(line) - 1 - inside
            total, norm = total + weight * line[inside], norm + weight
        result.append(total / norm)
    return result


@pytest.mark.parametrize(("height", "width"), [(12, 9), (6, 18), (48, 36)])
def test_bicubic_is_the_antialiased_kernel_on_each_axis(height, width):
    plane = np.random.default_rng(0).integers(60, 200, (24, 18)).astype(np.uint8)
    rows = np.array([_slow_line(column, height) for column in plane.T.astype(float)]).T
    wanted = np.array([_slow_line(row, width) for row in rows])
    found = classic.bicubic(plane, height, width)
    assert np.abs(found - wanted).max() <= 0.5 + 1e-9
    assert np.array_equal(classic.bicubic(np.dstack([plane] * 3), height, width)[..., 1], found)


def test_enlarging_agrees_with_opencv_where_no_border_is_near():
    plane = np.random.default_rng(0).integers(60, 200, (24, 18)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(plane, (0, 0), 1.5), np.uint8)
    kernel = classic.bicubic(soft, 48, 36)[8:-8, 8:-8].astype(int)
    other = cv2.resize(soft, (36, 48), interpolation=cv2.INTER_CUBIC)[8:-8, 8:-8]  # a = -3/4
    assert np.abs(kernel - other).max() <= 4


def test_the_border_of_the_scale_does_not_count():
    truth = np.full((32, 32), 100, np.uint8)
    output = truth.copy()
    output[:3], output[:, -3:] = 0, 0
    assert classic.psnr_db(output, truth, 3) == 60
    assert classic.psnr_db(output, truth, 2) < 30


def test_sets_are_measured_by_scale_and_filter(tmp_path):
    for name in ("Set14", "Set5"):
        (tmp_path / name).mkdir()
        noise = np.random.default_rng(0).integers(0, 256, (37, 41, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / name / "1.png"), noise)
    filters = {"input": baselines.identity, "unsharp": baselines.unsharp}
    found = classic.measure(tmp_path, filters)
    assert list(found) == [f"{name} x{scale}" for name in ("Set5", "Set14") for scale in (2, 3, 4)]
    given, truth = classic.pair(images.read_rgb(tmp_path / "Set5" / "1.png"), 2)
    assert given.shape == truth.shape == (36, 40)
    assert found["Set5 x2"]["input"] == classic.psnr_db(given, truth, 2)
    assert found["Set5 x2"]["unsharp"] != found["Set5 x2"]["input"]
