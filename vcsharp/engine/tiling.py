"""Where the tiles of a plane lie. Pure geometry: numbers in, numbers out.

A student with a finite receptive field sees at most `halo_px` around a pixel. Tiles overlap by two
halos, start at multiples of the student's stride, and of each only the inner part (the core) is
kept. So a tiled plane equals the whole plane's result, seams included.

All tiles of a plan have one shape. The runtime then plans its memory once, and a GPU can take them
as one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Span:
    """A tile along one axis, in pixels of the padded plane."""

    start: int
    """First pixel that the network sees."""
    core_start: int
    """First pixel whose result is kept."""
    core_stop: int
    """One past the last pixel whose result is kept."""

    @property
    def inner(self) -> slice:
        """The core inside the tile."""
        return slice(self.core_start - self.start, self.core_stop - self.start)

    @property
    def core(self) -> slice:
        """The core inside the plane."""
        return slice(self.core_start, self.core_stop)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: rows and columns."""

    rows: Span
    columns: Span


@dataclass(frozen=True, slots=True)
class Plan:
    """All tiles of one plane. Immutable; safe to share between threads."""

    height: int
    """Of the padded plane; a multiple of the stride."""
    width: int
    tile_height: int
    tile_width: int
    tiles: tuple[Tile, ...]

    @property
    def overhead(self) -> float:
        """Pixels computed per pixel kept; 1.0 for a single tile."""
        return len(self.tiles) * self.tile_height * self.tile_width / (self.height * self.width)

    def __str__(self) -> str:
        return f"{len(self.tiles)} x {self.tile_width}x{self.tile_height}"


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is at least `value`."""
    return -(-value // multiple) * multiple


def spans(length: int, limit: int, halo: int, multiple: int) -> tuple[int, tuple[Span, ...]]:
    """(tile length, spans) that cover `length` pixels with equal tiles of at most `limit` pixels.

    `length` and `limit` must be multiples of `multiple`; `limit` must exceed two halos.
    """
    if length <= limit:
        return length, (Span(0, 0, length),)
    count = -(-(length - 2 * halo) // (limit - 2 * halo))
    tile = min(limit, round_up(-(-(length + 2 * halo * (count - 1)) // count), multiple))
    starts = [_start(index, count, length - tile, multiple) for index in range(count)]
    # A seam lies in the middle of the overlap, at least a halo away from both tiles' ends.
    seams = [0, *((left + tile + right) // 2 for left, right in pairwise(starts))]
    stops = [*seams[1:], length]
    return tile, tuple(Span(*edges) for edges in zip(starts, seams, stops, strict=True))


def _start(index: int, count: int, last_start: int, multiple: int) -> int:
    """Even steps, rounded down to the stride; the last tile ends with the plane."""
    return (
        last_start
        if index == count - 1
        else index * last_start // (count - 1) // multiple * multiple
    )


@lru_cache(maxsize=64)
def plan(width: int, height: int, tile_px: int, halo_px: int, multiple: int) -> Plan:
    """Tiles for a plane of `width` x `height` pixels, which is padded up to multiples of
    `multiple`.

    Raises ValueError if `tile_px` leaves nothing between two halos.
    """
    limit = tile_px // multiple * multiple
    if limit <= 2 * halo_px + multiple:
        raise ValueError(
            f"tile_px must exceed {2 * halo_px + multiple} for a halo of {halo_px} px, "
            f"got '{tile_px}'"
        )
    padded_height, padded_width = round_up(height, multiple), round_up(width, multiple)
    tile_height, rows = spans(padded_height, limit, halo_px, multiple)
    tile_width, columns = spans(padded_width, limit, halo_px, multiple)
    tiles = tuple(Tile(row, column) for row in rows for column in columns)
    return Plan(padded_height, padded_width, tile_height, tile_width, tiles)
