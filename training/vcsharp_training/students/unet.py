"""U-Nets (Ronneberger et al. 2015, arXiv 1505.04597) as two of the reference projects have them.

Sides need not be multiples of anything: what comes up from below is brought to its skip's size
bilinearly. Both see far, and the first sees the whole picture: their tiles have to be feathered.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcsharp_training.students.base import RgbStudent, conv3


class Squeeze(nn.Module):
    """Squeeze and excitation (Hu et al. 2018, arXiv 1709.01507): each channel's share in 0..1, from
    the means of all.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.down, self.up = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape out as in."""
        share = torch.sigmoid(self.up(functional.relu(self.down(x.mean(dim=(2, 3))))))
        return x * share[:, :, None, None]


class SqueezedStage(nn.Sequential):
    """Twice a 3x3 convolution and a ReLU, then `Squeeze`."""

    def __init__(self, inputs: int, outputs: int, reduction: int) -> None:
        super().__init__(
            conv3(inputs, outputs),
            nn.ReLU(),
            conv3(outputs, outputs),
            nn.ReLU(),
            Squeeze(outputs, reduction),
        )


def _aligned(x: Tensor, like: Tensor) -> Tensor:
    """`x` at the size of `like`."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


class SqueezedUnet(RgbStudent):
    """The U-Net with SE blocks: stages, max-pooling down, transposed convolutions up, skips joined,
    1x1 out.

    Args:
        base_channels: width of the first stage; it doubles at every pooling. The reference states
            "256, 25.5 M parameters", which no depth gives: 116 and three poolings, whose levels are
            those of Restormer, have 25,460,189; 58 and four have 25,668,125, 256 and four
            499,907,043.
        depth: number of poolings.
        reduction: of the SE blocks.
    """

    def __init__(self, base_channels: int = 116, depth: int = 3, reduction: int = 16) -> None:
        super().__init__()
        self.stages = [base_channels * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            SqueezedStage(a, b, reduction) for a, b in pairwise([3, *self.stages])
        )
        upward = [*pairwise(reversed(self.stages))]
        self.grow = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in upward)
        self.up = nn.ModuleList(SqueezedStage(2 * b, b, reduction) for _, b in upward)
        self.head = nn.Conv2d(base_channels, 3, 1)

    @property
    def widths(self) -> dict[str, int]:
        """`encoder1` at full size to `encoder<depth>`, each half as large, then `latent`."""
        names = [f"encoder{level}" for level in range(1, len(self.stages))]
        return dict(zip([*names, "latent"], self.stages, strict=True))

    def forward(self, rgb: Tensor) -> Tensor:
        """A picture, not clipped."""
        return self.features(rgb)[0]

    def features(self, rgb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """As in the base class."""
        maps = list[Tensor]()
        x = rgb
        for number, stage in enumerate(self.down):
            x = stage(functional.max_pool2d(x, 2) if number else x)
            maps.append(x)
        for grow, stage, skip in zip(self.grow, self.up, reversed(maps[:-1]), strict=True):
            x = stage(torch.cat([_aligned(grow(x), skip), skip], 1))
        return self.head(x), dict(zip(self.widths, maps, strict=True))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input (He et al. 2016, arXiv 1512.03385), without norms
    (EDSR, Lim et al. 2017, arXiv 1707.02921).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv3(channels, channels), conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape out as in."""
        inner: Tensor = self.second(functional.relu(self.first(x)))
        return x + inner


class ResidualUnet(RgbStudent):
    """The U-Net-like student with residual blocks: strided convolutions down, bilinear up, skips
    joined. Its report gives no widths; base 32 and three halvings are ours.
    """

    def __init__(self, base_channels: int = 32, depth: int = 3) -> None:
        super().__init__()
        widths = [base_channels * 2**level for level in range(depth + 1)]
        self.stem = conv3(3, base_channels)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)
        )
        self.encoders = nn.ModuleList(ResidualBlock(width) for width in widths)
        upward = [*pairwise(reversed(widths))]
        self.join = nn.ModuleList(conv3(a + b, b) for a, b in upward)
        self.decoders = nn.ModuleList(ResidualBlock(b) for _, b in upward)
        self.head = conv3(base_channels, 3)

    def forward(self, rgb: Tensor) -> Tensor:
        """A picture, not clipped."""
        x = self.encoders[0](self.stem(rgb))
        maps = [x]
        for down, encoder in zip(self.down, self.encoders[1:], strict=True):
            x = encoder(functional.relu(down(x)))
            maps.append(x)
        for join, decoder, skip in zip(self.join, self.decoders, reversed(maps[:-1]), strict=True):
            x = functional.relu(join(torch.cat([_aligned(x, skip), skip], 1)))
            x = decoder(x)
        painted: Tensor = self.head(x)
        return painted
