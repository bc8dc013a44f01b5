"""waifu2x's network for photographs, `upconv_7_photo`: twice the size, less noise and JPEG damage.

The layers are those of the published ncnn graph; there is no paper.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (3, 16, 32, 64, 128, 128, 256)
PAD_PX = 7
"""What the unpadded convolutions take off, and one pixel for the transposed one."""


class Upconv7(nn.Module):
    """Six unpadded 3x3 convolutions and a transposed one to twice the size."""

    def __init__(self) -> None:
        super().__init__()
        for index, (inputs, outputs) in enumerate(pairwise(WIDTHS), 1):
            self.add_module(f"conv{index}", nn.Conv2d(inputs, outputs, 3))
        self.conv7 = nn.ConvTranspose2d(WIDTHS[-1], 3, 4, stride=2, padding=3)

    def forward(self, picture: Tensor) -> Tensor:
        """Float N x 3 x H x W, 0..1, to N x 3 x 2H x 2W, not clipped."""
        x = functional.pad(picture, (PAD_PX,) * 4, mode="replicate")
        for index in range(1, len(WIDTHS)):
            x = functional.leaky_relu(self.get_submodule(f"conv{index}")(x), 0.1)
        return cast("Tensor", self.conv7(x))
