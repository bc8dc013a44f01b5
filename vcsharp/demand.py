"""Whether anybody needs pictures: the viewers of all outputs, with a grace time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

LOOK_S = 3.0
"""One question for a picture counts as looking for so long."""


class Demand:
    """Answers from what the outputs tell. Every method may be called from any thread.

    Programs open a camera for a moment to see what it is, and close it between two looks: so the
    demand only ends after a grace time. An output that cannot tell counts as looked at.
    """

    def __init__(
        self,
        tells: Sequence[Callable[[], bool | None]],
        *,
        grace_s: float,
        active: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tells` are the outputs' `wanted`; inactive, there is always a demand."""
        self._tells, self._grace_s, self.active = tells, grace_s, active
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_s = -math.inf
        self._wanted_s = -math.inf

    def look(self) -> None:
        """Somebody asked for a picture by another way than an output."""
        self._looked_s = self._clock()

    @property
    def seen(self) -> bool:
        """Whether somebody looks at this moment, as far as can be told."""
        looked = self._clock() - self._looked_s < LOOK_S
        return looked or any(tell() is not False for tell in self._tells)

    @property
    def wanted(self) -> bool:
        """Whether pictures are needed: somebody looks, or did a moment ago."""
        if not self.active:
            return True
        with self._lock:
            if self.seen:
                self._wanted_s = self._clock()
            return self._clock() - self._wanted_s < self._grace_s
