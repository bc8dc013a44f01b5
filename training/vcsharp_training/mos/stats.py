"""Means with confidence intervals by Student's t distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_INTERVALS = 2000
"""Of Simpson's rule; even. The error is far below what anybody prints."""


class Mean(NamedTuple):
    """A mean of `values` independent values; the true one lies within `reach` of it."""

    value: float
    reach: float
    """Half the width of the confidence interval; infinite for a single value."""
    values: int


def _share_within(angle: float, freedom: int) -> float:
    """Probability that |t| is below sqrt(freedom) * tan(angle): an integral of a cosine's power."""
    step = angle / _INTERVALS
    values = [math.cos(index * step) ** (freedom - 1) for index in range(_INTERVALS + 1)]
    simpson = values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])
    log_norm = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    return 2 * math.exp(log_norm) / math.sqrt(math.pi) * simpson * step / 3


def t_quantile(confidence: float, freedom: int) -> float:
    """The t that |t| stays below with probability `confidence`, at `freedom` degrees."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if _share_within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def mean(values: Sequence[float], confidence: float = 0.95) -> Mean:
    """The mean of independent values, of which there is at least one."""
    count = len(values)
    centre = math.fsum(values) / count
    if count == 1:
        return Mean(centre, math.inf, 1)
    variance = math.fsum((value - centre) ** 2 for value in values) / (count - 1)
    return Mean(centre, t_quantile(confidence, count - 1) * math.sqrt(variance / count), count)
