"""What a student on RGB promises, so that one loop can train any of them."""

from __future__ import annotations

from torch import Tensor, nn


class RgbStudent(nn.Module):
    """Float N x 3 x H x W in 0..1 to the same shape; any sides of at least 16 px."""

    @property
    def widths(self) -> dict[str, int]:
        """Channels of the levels that a teacher's maps can be compared with; empty if none."""
        return {}

    def features(self, rgb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What `forward` returns, and the maps of the levels of `widths` on the way to it."""
        return self(rgb), {}


def conv3(inputs: int, outputs: int, dilation: int = 1) -> nn.Conv2d:
    """3x3, same size out as in."""
    return nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
