"""Students that are one chain of 3x3 convolutions, as three of the reference projects have them.

All of them paint the whole picture anew instead of adding to it. That is kept: it is what they are
compared for.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcsharp_training.students.base import RgbStudent, conv3


class LightCnn(RgbStudent):
    """The "lightweight CNN" distilled from Restormer alone: 3x3 convolutions and ReLUs.

    Its report gives no widths; four layers of 32 are ours, and are what "lightweight" means in the
    others.
    """

    def __init__(self, width: int = 32, layers: int = 4) -> None:
        super().__init__()
        channels = [3, *[width] * (layers - 1), 3]
        self.convs = nn.ModuleList(conv3(a, b) for a, b in pairwise(channels))

    def forward(self, rgb: Tensor) -> Tensor:
        """A picture, not clipped."""
        for conv in self.convs[:-1]:
            rgb = functional.relu(conv(rgb))
        painted: Tensor = self.convs[-1](rgb)
        return painted


class ShallowCnn(RgbStudent):
    """Several 3x3 convolutions with ReLUs, batch norm by choice (Ioffe and Szegedy 2015); level
    `body` is what goes into the last one. Number and width of the layers are ours.
    """

    def __init__(self, width: int = 64, layers: int = 5, *, batch_norm: bool = False) -> None:
        super().__init__()
        self.width = width
        parts = list[nn.Module]()
        for inputs, outputs in pairwise([3, *[width] * (layers - 1)]):
            norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
            parts += [conv3(inputs, outputs), *norm, nn.ReLU()]
        self.body = nn.Sequential(*parts)
        self.head = conv3(width, 3)

    @property
    def widths(self) -> dict[str, int]:
        """One level."""
        return {"body": self.width}

    def forward(self, rgb: Tensor) -> Tensor:
        """A picture, not clipped."""
        return self.features(rgb)[0]

    def features(self, rgb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """As in the base class."""
        body = self.body(rgb)
        return self.head(body), {"body": body}


class CnnV3(RgbStudent):
    """The "StudentCNN_v3": 3-64, 64-128, 128-128 with dilation 2 and a residual around it,
    128-64, 64-3, sigmoid.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = conv3(3, width)
        self.widen = conv3(width, 2 * width)
        self.dilated = conv3(2 * width, 2 * width, dilation=2)
        self.narrow = conv3(2 * width, width)
        self.head = conv3(width, 3)

    def forward(self, rgb: Tensor) -> Tensor:
        """A picture within 0..1, whose ends the sigmoid never reaches."""
        wide = functional.relu(self.widen(functional.relu(self.stem(rgb))))
        wide = wide + functional.relu(self.dilated(wide))
        return torch.sigmoid(self.head(functional.relu(self.narrow(wide))))
