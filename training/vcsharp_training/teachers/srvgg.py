"""The compact generator of Real-ESRGAN (Wang et al., ICCV-W 2021, arXiv 2107.10833).

A VGG-like row of convolutions at the small size; key names and shapes are those of
`realesr-general-x4v3.pth` and its sister that removes more noise.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class CompactSR(nn.Module):
    """3x3 convolutions and PReLUs at the small size; the enlarged input is added at the end."""

    def __init__(self, width: int = 64, convs: int = 32, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        parts: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(convs):
            parts += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.Sequential(*parts, nn.Conv2d(width, 3 * scale**2, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        """Float N x 3 x H x W, 0..1, to N x 3 x scale H x scale W, not clipped."""
        base = functional.interpolate(picture, scale_factor=self.scale, mode="nearest")
        return functional.pixel_shuffle(self.body(picture), self.scale) + base
