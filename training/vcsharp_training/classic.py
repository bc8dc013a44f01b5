"""Set5 and Set14 by the protocol of super-resolution papers, for comparison with what they report.

A picture is cut to a multiple of the scale, reduced with an antialiased bicubic kernel (Keys 1981,
a = -1/2, widened by the scale, as MATLAB's `imresize` does), brought back to its size with the same
kernel, and sharpened by a filter that is not told any of this. PSNR is of limited-range BT.601
luma, with as many pixels left out at every border as the scale says.

The papers' networks know the scale and start from the small picture; ours is one blind filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcsharp_training import images, metrics
from vcsharp_training.images import Picture, Plane

SCALES = (2, 3, 4)
Filter = Callable[[Plane], Plane]


class Published(NamedTuple):
    """A row of a paper's table: Y-PSNR in dB by set and scale, and what the network costs."""

    name: str
    mac_per_px: int | None
    psnr_db: Mapping[str, float]


def _psnr(**scales: tuple[float, float]) -> dict[str, float]:
    """Set5 and Set14 by scale."""
    return {
        f"{name} {scale}": value
        for scale, values in scales.items()
        for name, value in zip(("Set5", "Set14"), values, strict=True)
    }


PUBLISHED = (
    Published("bicubic", None, _psnr(x2=(33.66, 30.24), x3=(30.39, 27.55), x4=(28.42, 26.00))),
    Published("SRCNN", 57_500, _psnr(x2=(36.66, 32.42), x4=(30.48, 27.49))),
    Published("ESPCN", 5_400, _psnr(x2=(36.83, 32.40))),
    Published("FSRCNN", 6_500, _psnr(x2=(37.00, 32.63), x4=(30.71, 27.59))),
    Published("VDSR", 665_000, _psnr(x2=(37.53, 33.03), x4=(31.35, 28.01))),
    Published("ECBSR-M4C16 for x2", 2_865, _psnr(x2=(37.18, 32.79))),
    Published("ECBSR-M4C16 for x3", 1_514, _psnr(x3=(33.07, 29.53))),
    Published("ECBSR-M4C16 for x4", 1_039, _psnr(x4=(30.87, 27.80))),
    Published("ETDS-M for x2", 14_941, _psnr(x2=(37.54, 33.09))),
    Published("ETDS-L for x3", 17_704, _psnr(x3=(33.88, 30.00))),
)
"""As Sun et al. 2023 (SAFMN) list the first five, and Chao et al. 2023 (ETDS) the others, whose
bicubic is 0.2-0.3 dB higher. SRCNN and VDSR work at the output's size, as ours do, and VDSR is one
network for all scales; multiplications are per output pixel for 1280 x 720.
"""


def _keys(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cubic kernel with a = -1/2."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _weights(length: int, target: int) -> NDArray[np.float64]:
    """Matrix target x length; rows sum to 1. Beyond the ends the line is mirrored."""
    ratio = target / length
    stretch = min(ratio, 1.0)
    centres = (np.arange(target) + 0.5) / ratio - 0.5
    reach = int(np.ceil(2 / stretch)) + 1
    places = np.floor(centres)[:, None].astype(int) + np.arange(-reach, reach + 1)
    values = _keys((places - centres[:, None]) * stretch)
    mirrored = np.mod(places, 2 * length)
    mirrored = np.where(mirrored < length, mirrored, 2 * length - 1 - mirrored)
    matrix = np.zeros((target, length))
    np.add.at(matrix, (np.arange(target)[:, None], mirrored), values)
    normed: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    return normed


def bicubic(picture: Picture, height: int, width: int) -> Picture:
    """Resizes uint8 H x W or H x W x 3; antialiased where it gets smaller."""
    rows = np.tensordot(_weights(picture.shape[0], height), picture.astype(np.float64), axes=1)
    columns = np.tensordot(_weights(picture.shape[1], width), rows.swapaxes(0, 1), axes=1)
    return images.to_bytes(columns.swapaxes(0, 1))


def _luma(rgb: Picture) -> Plane:
    return images.to_luma(rgb[..., ::-1], "limited")


def pair(rgb: Picture, scale: int) -> tuple[Plane, Plane]:
    """What the filter gets, and the truth; limited-range luma."""
    height, width = (side // scale * scale for side in rgb.shape[:2])
    truth = rgb[:height, :width]
    small = bicubic(truth, height // scale, width // scale)
    return _luma(bicubic(small, height, width)), _luma(truth)


def psnr_db(output: Plane, truth: Plane, scale: int) -> float:
    """Y-PSNR without `scale` pixels at every border."""
    inner = slice(scale, -scale)
    return metrics.psnr_db(output[inner, inner], truth[inner, inner])


def measure(folder: Path, filters: Mapping[str, Filter]) -> dict[str, dict[str, float]]:
    """Mean Y-PSNR in dB by set and scale (`Set5 x2`), then by filter.

    Args:
        folder: holds one folder of sharp pictures per set.
        filters: each works on one plane.
    """
    result = dict[str, dict[str, float]]()
    sets = sorted({path.parent for path in images.find_images(folder)})
    for pictures in sorted(sets, key=lambda path: (len(path.name), path.name)):
        sharp = [images.read_rgb(path) for path in images.find_images(pictures)]
        for scale in SCALES:
            pairs = [pair(rgb, scale) for rgb in sharp]
            result[f"{pictures.name} x{scale}"] = {
                name: float(
                    np.mean([psnr_db(sharpen(given), truth, scale) for given, truth in pairs])
                )
                for name, sharpen in filters.items()
            }
    return result
