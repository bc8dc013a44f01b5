"""How fast a GPU could take a frame, by limits that were measured in the same run. Arithmetic only.

Copies up, work and copies down overlap, so the slowest of the three decides. The work itself is
bound by the matrix units or by memory: layer by layer, every activation is written and read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vcsharp.catalogue import Architecture

UP, DOWN, ON = "to the GPU", "from the GPU", "on the GPU"
SAMPLE_BYTES = {"fp16": 2, "bf16": 2, "fp32": 4}


@dataclass(frozen=True, slots=True)
class Need:
    """What a frame takes."""

    bus_gb: float
    """Gigabytes over the bus, each way."""
    gmac: float
    memory_gb: float
    """Gigabytes read from and written to the GPU's memory, layer by layer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the GPU was measured to do at best; 0 where that was not measured."""

    up_gb_s: float
    down_gb_s: float
    copy_gb_s: float
    """A copy reads and writes: the memory moves twice as much."""
    gmac_s: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the three that a frame goes through."""

    name: str
    """`upload`, `compute`, `download`."""
    ms: float
    """Median, by the GPU's own clock."""
    limit_ms: float
    """What it would take at the measured limits; 0 where there are none."""

    @property
    def percent(self) -> float | None:
        """Of the limit."""
        return 100 * self.limit_ms / self.ms if self.ms and self.limit_ms else None


def need(shape: Architecture, mac_per_px: int, size: tuple[int, int], precision: str) -> Need:
    """Of a frame without the tiles' overlap; luma only, as only luma goes to the GPU."""
    pixels = size[0] * size[1]
    sample_bytes = SAMPLE_BYTES[precision]
    # Each layer reads what the one before has written; the picture itself is read and written.
    widths = [*shape.channels, *shape.channels[1:-1]]
    per_px = sum(widths) * sample_bytes / shape.stride**2 + 2
    return Need(pixels / 1e9, mac_per_px * pixels / 1e9, per_px * pixels / 1e9)


def limits(rates: Mapping[str, float], gmac_s: float) -> Limits:
    """From the names of the copies' ceilings to their rates."""
    up, down, copy = (rates.get(f"memory copies {way}", 0.0) for way in (UP, DOWN, ON))
    return Limits(up, down, copy, gmac_s)


def stages(took_ms: Mapping[str, float], wanted: Need, limit: Limits) -> tuple[Stage, ...]:
    """The three stages beside their limits."""
    least_ms = {
        "upload": _ms(wanted.bus_gb, limit.up_gb_s),
        "compute": max(_ms(wanted.gmac, limit.gmac_s), _ms(wanted.memory_gb, 2 * limit.copy_gb_s)),
        "download": _ms(wanted.bus_gb, limit.down_gb_s),
    }
    return tuple(Stage(name, took_ms[name], least_ms[name]) for name in least_ms)


def roofline_percent(ms: float | None, found: Sequence[Stage]) -> float | None:
    """How near a frame's time comes to the slowest stage's limit."""
    limit_ms = max((stage.limit_ms for stage in found), default=0.0)
    return 100 * limit_ms / ms if ms and limit_ms else None


def _ms(amount: float, per_s: float) -> float:
    return 1e3 * amount / per_s if per_s else 0.0
