"""Terms of structure: one minus (multi-scale) structural similarity, and local spectra."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

WINDOW_PX = 11
SIGMA_PX = 1.5
C1, C2 = 0.01**2, 0.03**2
"""For a range of 1."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Table I of the multi-scale paper, finest first."""
FLOOR = 1e-6
"""Below it a similarity's power has no usable gradient."""
BLOCK_PX = 16
MAGNITUDE_FLOOR = 1e-8
"""Keeps the root's gradient finite where a picture is flat."""
ENERGY_FLOOR = 0.02
"""Five levels: a crop with less detail than this asks for little, or grain would be made of it."""


def _blur(x: Tensor) -> Tensor:
    """Gaussian mean of every window that lies inside the picture."""
    places = torch.arange(WINDOW_PX, device=x.device, dtype=x.dtype) - WINDOW_PX // 2
    line = torch.exp(-places.square() / (2 * SIGMA_PX**2))
    line = (line / line.sum()).expand(x.shape[1], 1, 1, WINDOW_PX)
    across = functional.conv2d(x, line, groups=x.shape[1])
    return functional.conv2d(across, line.mT, groups=x.shape[1])


def _similarity(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean similarity, and mean of its contrast and structure part alone; each N x C."""
    mean_a, mean_b = _blur(output), _blur(target)
    covariance = _blur(output * target) - mean_a * mean_b
    variances = _blur(output.square()) - mean_a.square() + _blur(target.square()) - mean_b.square()
    structure = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * mean_a * mean_b + C1) / (mean_a.square() + mean_b.square() + C1)
    return (luminance * structure).mean(dim=(2, 3)), structure.mean(dim=(2, 3))


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """1 - SSIM (Wang et al. 2004), Gaussian window of 11 px, mean over channels; one per picture.

    Sides of at least 11 px.
    """
    return 1 - _similarity(output, target)[0].mean(dim=1)


def _scales(side_px: int) -> int:
    """How many halvings leave a whole window."""
    fitting = [n for n in range(1, len(SCALE_WEIGHTS) + 1) if side_px >> (n - 1) >= WINDOW_PX]
    return max(fitting, default=1)


def ms_ssim(output: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM (Wang, Simoncelli and Bovik 2003); one per picture.

    Five scales from 176 px a side; smaller pictures have fewer, whose weights then add up to one.
    """
    weights = SCALE_WEIGHTS[: _scales(min(output.shape[-2:]))]
    product = torch.ones(output.shape[:2], device=output.device)
    for number, weight in enumerate(weights, 1):
        whole, structure = _similarity(output, target)
        part = whole if number == len(weights) else structure
        product = product * part.clamp_min(FLOOR) ** (weight / sum(weights))
        output, target = functional.avg_pool2d(output, 2), functional.avg_pool2d(target, 2)
    return 1 - product.mean(dim=1)


def amplitude(output: Tensor, truth: Tensor) -> Tensor:
    """L1 between the magnitudes of local spectra: orthonormal, of blocks of 16 pixels at every 8th.

    Magnitudes say how much detail of each size there is, not where it lies to the pixel: a squared
    error asks a network that cannot know that for too little detail, this does not. The magnitudes
    are those of a short-time Fourier transform, as spectral losses for sound compare (Yamamoto et
    al. 2020, arXiv 1910.11480).
    """
    distance = (_magnitudes(output) - _magnitudes(truth)).abs()
    return distance.flatten(1).mean(dim=1)


def crispness(output: Tensor, truth: Tensor) -> Tensor:
    """How much of the truth's high-frequency energy is missing, as a share; more is not counted.

    The energy is that of `metrics.sharpness`: the mean absolute Laplacian of a picture. It says
    nothing of places, so it goes with terms that do. 3 x 3 neighbourhoods inside the picture.
    """
    found, wanted = energy(output), energy(truth)
    return (1 - (found + ENERGY_FLOOR) / (wanted + ENERGY_FLOOR)).clamp_min(0)


def energy(picture: Tensor) -> Tensor:
    """High-frequency energy: the mean absolute Laplacian; one per picture."""
    middle = picture[..., 1:-1, 1:-1]
    across = picture[..., 1:-1, :-2] + picture[..., 1:-1, 2:]
    down = picture[..., :-2, 1:-1] + picture[..., 2:, 1:-1]
    return (across + down - 4 * middle).abs().flatten(1).mean(dim=1)


def _magnitudes(picture: Tensor) -> Tensor:
    blocks = picture.unfold(2, BLOCK_PX, BLOCK_PX // 2).unfold(3, BLOCK_PX, BLOCK_PX // 2)
    spectrum = torch.fft.rfft2(blocks, norm="ortho")
    magnitudes: Tensor = (spectrum.real.square() + spectrum.imag.square() + MAGNITUDE_FLOOR).sqrt()
    return magnitudes
