"""Which of a model's experts a picture is for: a look at its spectrum, and a small classifier.

What a lens, a scaler or a codec took from a picture shows in how much of each spatial frequency is
left, in its calm parts (noise, grids of blocks) and in its busy ones (blur, missing detail). The
classifier says how likely each kind of damage is; what the experts were measured to gain on each
kind says which one is expected to gain the most. The student itself counts as one of them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vcsharp.errors import ModelError
from vcsharp.frame import Bytes

BLOCK_PX = 16
"""Side of the squares whose spectrum is taken."""
BLOCKS = 4096
"""Squares that are looked at, at most: enough for a mean, whatever the frame's size."""
SMALLEST_PX = 3 * BLOCK_PX
"""Shortest side of a picture that can be told anything about."""
GENERAL = ""
"""Stands for the student itself."""
MARGIN_DB = 0.05
"""An expert has to be expected to gain so much more than the student, which knows more kinds of
pictures: what is next to even is left to it."""
SURENESS = 2.0
"""Power of the likelihoods, for a decision: the classifier has learnt from groups of a few hundred
squares, a whole picture has ten times as many, and is that much less of a matter of chance."""
LARGEST_GATE_BYTES = 1 << 20
_CALM, _BUSY = slice(0.1, 0.4), slice(0.6, 1.0)
"""Shares of the squares, from the calmest to the busiest."""
_NOTHING = 1e-3
"""Energy of an even square, but for what floating point makes of it."""
_FLOOR = 0.05
"""Keeps the logarithm of nothing finite; far below the energy that rounding to levels leaves."""

Features = NDArray[np.float32]
Row = Annotated[tuple[float, ...], Field(min_length=1, max_length=512)]


@cache
def _cosines() -> NDArray[np.float32]:
    """The orthonormal DCT-II, one basis function per row."""
    order, place = np.mgrid[:BLOCK_PX, :BLOCK_PX]
    basis = np.cos(np.pi * (2 * place + 1) * order / (2 * BLOCK_PX)) * np.sqrt(2 / BLOCK_PX)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


def energies(luma: Bytes) -> NDArray[np.float32]:
    """Energy by frequency of squares all over a plane; horizontal and vertical count alike.

    Args:
        luma: uint8, (height, width), both at least `BLOCK_PX`.

    Returns:
        (squares, `FREQUENCIES`), float32 in squared levels; at most `BLOCKS` squares.
    """
    rows, columns = (side // BLOCK_PX for side in luma.shape)
    grid = luma[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    count = rows * columns
    chosen = np.linspace(0, count - 1, min(count, BLOCKS)).astype(np.intp)
    squares = grid[chosen // columns, :, chosen % columns].astype(np.float32)
    spectrum = np.square(_cosines() @ squares @ _cosines().T)
    upper = np.triu_indices(BLOCK_PX)
    mean = (spectrum + spectrum.swapaxes(1, 2)) / 2
    return np.asarray(mean[:, upper[0], upper[1]][:, 1:], np.float32)  # brightness says nothing


FREQUENCIES = BLOCK_PX * (BLOCK_PX + 1) // 2 - 1
FEATURES = 2 * FREQUENCIES


def summary(squares: NDArray[np.float32]) -> Features:
    """What the classifier is told of some squares (see `energies`): (`FEATURES`,), float32.

    Squares without anything in them are left out, unless there are no others: bars beside a picture
    say nothing of it.
    """
    total = squares.sum(axis=1)
    order = np.argsort(total, kind="stable")
    empty = int(np.count_nonzero(total <= _NOTHING))
    ranked = squares[order[empty:] if empty < len(order) else order]
    parts = [_share(ranked, share).mean(axis=0) for share in (_CALM, _BUSY)]
    return np.log(np.concatenate(parts) + _FLOOR).astype(np.float32)


def _share(ranked: NDArray[np.float32], share: slice) -> NDArray[np.float32]:
    """At least one square."""
    first = int(len(ranked) * share.start)
    return ranked[first : max(first + 1, int(len(ranked) * share.stop))]


class Layer(BaseModel):
    """One of the classifier's: `weight @ input + bias`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    weight: tuple[Row, ...] = Field(min_length=1, max_length=256)
    bias: Row


class Table(BaseModel):
    """`gate.json`: the classifier, and what is known of the experts. Written by the export."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kinds: tuple[str, ...] = Field(min_length=1, max_length=32)
    """What a picture may have suffered, in the order of the classifier's outputs."""
    mean: Row
    """Subtracted from the features."""
    scale: Row
    """Multiplied after that."""
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=4)
    """ReLU between them."""
    gains_db: dict[str, Row]
    """By expert (the student itself is `""`): gain in dB on each of `kinds`."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        width = FEATURES
        for layer in self.layers:
            if any(len(row) != width for row in layer.weight):
                raise ValueError(f"a layer takes other than {width} values")
            width = len(layer.bias)
            if len(layer.weight) != width:
                raise ValueError("a layer has not one bias for each output")
        lengths = {width, *map(len, self.gains_db.values())}
        if lengths != {len(self.kinds)} or {len(self.mean), len(self.scale)} != {FEATURES}:
            raise ValueError("the numbers of kinds and features do not agree")
        if GENERAL not in self.gains_db:
            raise ValueError("nothing is known of the student itself")
        return self


class Gate:
    """Says which expert a picture is for. Immutable; safe to share between threads."""

    def __init__(self, table: Table) -> None:
        self._kinds = table.kinds
        self._experts = tuple(table.gains_db)
        self._gains = np.array([table.gains_db[name] for name in self._experts])
        self._gains[self._experts.index(GENERAL)] += MARGIN_DB
        self._mean, self._scale = np.array(table.mean), np.array(table.scale)
        self._layers = [(np.array(x.weight), np.array(x.bias)) for x in table.layers]

    @classmethod
    def load(cls, path: Path) -> Self:
        """From a model's `gate.json`. Raises ModelError if it is none, OSError if unreadable."""
        try:
            with path.open("rb") as file:
                return cls(Table.model_validate_json(file.read(LARGEST_GATE_BYTES)))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]["msg"]
            raise ModelError(f"'{path}' is not a gate: {fault}; reinstall the model") from error

    @property
    def experts(self) -> tuple[str, ...]:
        """Whom it knows; `""` is the student itself."""
        return self._experts

    def likelihoods(self, features: Features) -> dict[str, float]:
        """How likely each kind of damage is, 0..1; they add up to 1."""
        values = (features - self._mean) * self._scale
        for number, (weight, bias) in enumerate(self._layers, 1):
            values = weight @ values + bias
            if number < len(self._layers):
                values = np.maximum(values, 0)
        shares = np.exp(values - values.max())
        return dict(zip(self._kinds, (shares / shares.sum()).tolist(), strict=True))

    def choose(self, luma: Bytes) -> str:
        """The expert that is expected to gain the most on a plane; `""` is the student itself.

        A plane with a side below `SMALLEST_PX` is the student's.

        Args:
            luma: uint8, (height, width).
        """
        if min(luma.shape) < SMALLEST_PX:
            return GENERAL
        return self.best(summary(energies(luma)))

    def best(self, features: Features) -> str:
        """`choose`, from what is known of a plane already."""
        sure = np.array([*self.likelihoods(features).values()]) ** SURENESS
        return self._experts[int(np.argmax(self._gains @ (sure / sure.sum())))]
