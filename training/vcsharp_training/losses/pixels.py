"""Terms of the difference between two pictures (float N x C x H x W); one number per picture.

All are zero for a zero difference. The transforms are linear, so the caller takes the difference.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_SOBEL = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]]) / 8
_PER_PICTURE = (1, 2, 3)


def l1(difference: Tensor) -> Tensor:
    """Mean absolute error; Zhao et al. 2017 (arXiv 1511.08861) compare it with the next."""
    return difference.abs().mean(dim=_PER_PICTURE)


def mse(difference: Tensor) -> Tensor:
    """Mean square error, the one behind PSNR; SRCNN's (Dong et al. 2014, arXiv 1501.00092)."""
    return difference.square().mean(dim=_PER_PICTURE)


def charbonnier(difference: Tensor, epsilon: float) -> Tensor:
    """A smooth L1: parabola below `epsilon`, line above (Lai et al. 2017, arXiv 1704.03915)."""
    return ((difference.square() + epsilon**2).sqrt() - epsilon).mean(dim=_PER_PICTURE)


def fourier(difference: Tensor) -> Tensor:
    """L1 of the real and imaginary parts of the orthonormal spectrum (Cho et al. 2021, arXiv
    2108.05054; weight 0.05 as SAFMN, Sun et al. 2023).
    """
    return (
        torch.view_as_real(torch.fft.rfft2(difference, norm="ortho")).abs().mean(dim=(1, 2, 3, 4))
    )


def edge(difference: Tensor) -> Tensor:
    """L1 of the Sobel gradients (Sobel and Feldman 1968), of every channel, inside the border.

    Kernels are scaled so that a ramp of one level a pixel counts one level.
    """
    kernels = torch.stack([_SOBEL, _SOBEL.T])[:, None].to(difference)
    planes = difference.flatten(0, 1)[:, None]
    gradients = functional.conv2d(planes, kernels)
    return gradients.abs().reshape(len(difference), -1).mean(dim=1)
