"""Damages bytes, the same way for the same random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TEXTS: tuple[bytes, ...] = (
    b"\0",
    b"\n",
    b"'",
    b'"',
    b"%s",
    b"..",
    b"/",
    b"[[",
    b"{",
    b"=",
    b"-1",
    b"1e999",
    b"nan",
)
_TEXTS += (b"9" * 5000, b"\xff\xfe", b"\xed\xa0\x80", b"[" * 500, b"\r\n\r\n", b"true", b"null")


def mutated(seeds: Sequence[bytes], random: Random) -> bytes:
    """One of the seeds, with one to eight damages; one of twenty is pure noise."""
    if random.random() < 0.05:
        return random.randbytes(random.randrange(2000))
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 1, 2, 2, 4, 8))):
        random.choice(_DAMAGES)(data, random)
    if random.random() < 0.1:
        other = random.choice(seeds)
        data[_spot(data, random) :] = other[_spot(other, random) :]
    return bytes(data)


def _spot(data: Sequence[int], random: Random) -> int:
    """Heads are looked at more often than bodies: half of the damage is done there."""
    end = min(len(data), 200) if random.random() < 0.5 else len(data)
    return random.randrange(end + 1)


def _flip_a_bit(data: bytearray, random: Random) -> None:
    at = _spot(data, random)
    if at < len(data):
        data[at] ^= 1 << random.randrange(8)


def _write_an_edge(data: bytearray, random: Random) -> None:
    """A number at the edge of its range, in either byte order."""
    size, order = random.choice((1, 2, 4)), random.choice(("little", "big"))
    at, value = _spot(data, random), random.choice(_EDGES)
    packed = (value & (1 << 8 * size) - 1).to_bytes(size, order)  # type: ignore[arg-type]
    data[at : at + size] = packed


def _insert(data: bytearray, random: Random) -> None:
    at = _spot(data, random)
    data[at:at] = random.choice(_TEXTS)


def _overwrite(data: bytearray, random: Random) -> None:
    at, text = _spot(data, random), random.choice(_TEXTS)
    data[at : at + len(text)] = text


def _remove(data: bytearray, random: Random) -> None:
    at = _spot(data, random)
    del data[at : at + random.choice((1, 2, 16, 200))]


def _repeat(data: bytearray, random: Random) -> None:
    at, length = _spot(data, random), random.choice((1, 4, 64))
    data[at:at] = data[at : at + length] * random.choice((1, 3, 50))


def _cut_off(data: bytearray, random: Random) -> None:
    del data[_spot(data, random) :]


def _scramble(data: bytearray, random: Random) -> None:
    at = _spot(data, random)
    length = min(random.choice((2, 8, 64)), len(data) - at)
    data[at : at + length] = random.randbytes(length)


_DAMAGES: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip_a_bit,
    _flip_a_bit,
    _write_an_edge,
    _write_an_edge,
    _insert,
    _overwrite,
    _remove,
    _repeat,
    _cut_off,
    _scramble,
)
