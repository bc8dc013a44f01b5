"""Scalars and pictures for TensorBoard: `tensorboard --logdir runs`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter


class Board:
    """Writes the event files of one phase into its folder.

    Args:
        folder: where; shared with the checkpoints.
        step: the step that the run goes on from; what a killed run wrote after it is taken back.
        writes: False in all processes but one, which then do nothing here.
    """

    def __init__(self, folder: Path, step: int, *, writes: bool) -> None:
        self._writer: SummaryWriter | None = None
        if writes:
            self._writer = SummaryWriter(str(folder), purge_step=step or None)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def pictures(self, step: int, name: str, grid: Tensor) -> None:
        """A picture: float 3 x H x W or 1 x H x W, 0..1."""
        if self._writer:
            self._writer.add_image(name, grid, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Writes out what is left and closes the files."""
        if self._writer:
            self._writer.close()
