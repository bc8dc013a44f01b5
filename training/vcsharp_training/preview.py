"""A page of examples: what a recipe's profiles do to a few pictures, with what was drawn for each.

The same places of the same pictures in every row, so that the rows can be compared: degraded on the
left, sharp on the right, once pixel by pixel and once enlarged. One picture of each kind, with
faces and text before anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vcsharp_training import clips, crops, degrade, images, metrics, sources
from vcsharp_training.bank_settings import PAIR, BankSettings
from vcsharp_training.errors import DataError
from vcsharp_training.images import Picture
from vcsharp_training.sources import Source

COLUMNS = 3
CANDIDATES = 8
"""Pictures of one kind that are looked at to find a good place."""
FIRST = ("people", "text")
VIEW_PX = (240, 324)
ZOOM = 3
FACE_SEARCH_PX = 240
GAP_PX, LINE_PX = 6, 22
_PAPER, _INK, _FAINT = 24, 240, 195


class Spot(NamedTuple):
    """A place in a picture, and how much there is to see."""

    score: float
    y: int
    x: int


class Place(NamedTuple):
    """A part of a picture worth looking at."""

    score: float
    name: str
    window: Picture
    """BGR, uint8 H x W x 3, at most `window_px` a side."""
    spot: tuple[float, float]
    """What to show, as a share of the window's height and width."""


class Example(NamedTuple):
    """A pair and what to write over it."""

    pair: degrade.Pair
    spot: tuple[float, float]
    label: str


def draw(data: Path, settings: BankSettings, seed: int, path: Path) -> None:
    """Writes the page as PNG. Raises DataError if there is nothing to show, or no way to write."""
    found = sources.find(data).sources
    places = _places([source for source in found if source.kind != PAIR], data, settings)
    bands = list[Picture]()
    if places:
        for name, count in settings.crops_per_image.items():
            if count:
                bands.append(_band(name, list(_examples(name, places, settings, seed))))
    pairs = _pairs([source for source in found if source.kind == PAIR], settings)
    if pairs:
        bands.append(_band("pair (as found)", pairs))
    if not bands:
        raise DataError(f"nothing to draw: no picture below '{data}' can be used")
    if settings.synthetic:
        bands.append(_patterns(settings, seed))
    _save(path, _stacked(bands))


def _save(path: Path, page: Picture) -> None:
    try:
        path.write_bytes(cv2.imencode(".png", page)[1].tobytes())
    except OSError as error:
        raise DataError(f"cannot write '{path}': {error.strerror}") from error


def _places(found: Sequence[Source], data: Path, settings: BankSettings) -> list[Place]:
    """The best place of each kind of picture, faces and text first."""
    kinds = dict[str, list[Source]]()
    for source in found:
        kinds.setdefault(images.category(source.path, data), []).append(source)
    order = [kind for kind in FIRST if kind in kinds] + sorted(kinds.keys() - set(FIRST))
    best = list[Place]()
    while len(best) < COLUMNS and any(kinds.values()):
        for kind in order:
            if kinds[kind] and len(best) < COLUMNS:
                some = kinds[kind][:: -(-len(kinds[kind]) // CANDIDATES)]
                kinds[kind] = [source for source in kinds[kind] if source not in some]
                best += _best_of(some, settings, _face if kind == FIRST[0] else _busiest)
    return best


def _best_of(
    found: Sequence[Source], settings: BankSettings, look: Callable[[Picture], Spot]
) -> list[Place]:
    """One place, or none where no picture can be read."""
    places = list[Place]()
    for source in found:
        try:
            bgr = _picture(source, settings)
        except DataError:
            continue
        if bgr is not None and min(bgr.shape[:2]) >= settings.smallest_px:
            places.append(_place(source.path.name, bgr, settings.window_px, look(bgr)))
    return [max(places, key=lambda place: place.score)] if places else []


def _picture(source: Source, settings: BankSettings) -> Picture | None:
    if source.kind == "clip":
        return next(clips.frames(source.path, settings.clip_stride, 1), None)
    return images.read_bgr(source.path)


def _place(name: str, bgr: Picture, window_px: int, spot: Spot) -> Place:
    """The window around a spot."""
    height, width = (min(side, window_px) for side in bgr.shape[:2])
    top = min(max(spot.y - height // 2, 0), bgr.shape[0] - height)
    left = min(max(spot.x - width // 2, 0), bgr.shape[1] - width)
    window = np.ascontiguousarray(bgr[top : top + height, left : left + width])
    return Place(spot.score, name, window, ((spot.y - top) / height, (spot.x - left) / width))


def _busiest(bgr: Picture) -> Spot:
    """The middle of the square with the most detail."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    detail = np.minimum(np.abs(cv2.Laplacian(grey, cv2.CV_32F)), 40)
    return _peak(_mean(detail, VIEW_PX[0] // ZOOM))


def _face(bgr: Picture) -> Spot:
    """Where a face most likely is: colours of skin with others around them, and some detail.

    A guess, which is enough to choose what to show.
    """
    height = min(FACE_SEARCH_PX, bgr.shape[0])
    width = round(bgr.shape[1] * height / bgr.shape[0])
    small = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA)
    grey, red, blue = cv2.split(cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb))
    skin = ((red > 137) & (red < 173) & (blue > 85) & (blue < 125)).astype(np.float32)
    detail = np.minimum(np.abs(cv2.Laplacian(grey, cv2.CV_32F)), 10)
    found = [
        _peak((_mean(skin, side) - _mean(skin, 3 * side)) * _mean(detail, side))
        for side in (height // 5, height // 3)
    ]
    score, y, x = max(found)
    return Spot(score, round(y * bgr.shape[0] / height), round(x * bgr.shape[1] / width))


def _mean(levels: NDArray[Any], side_px: int) -> NDArray[np.float32]:
    """Over a square around each pixel."""
    return np.asarray(cv2.blur(levels.astype(np.float32), (side_px, side_px)), np.float32)


def _peak(levels: NDArray[np.float32]) -> Spot:
    y, x = np.unravel_index(int(np.argmax(levels)), levels.shape)
    return Spot(float(levels[y, x]), int(y), int(x))


def _examples(
    name: str, places: Sequence[Place], settings: BankSettings, seed: int
) -> Iterator[Example]:
    profile = settings.all_profiles[name]
    for number, place in enumerate(places):
        rng = np.random.default_rng([seed, number, *name.encode()])
        found = profile.run(_channels(place.window, settings), rng)
        pair = found.pairs[-1]
        label = f"{metrics.psnr_db(*pair):.1f} dB   {', '.join(found.notes) or 'unchanged'}"
        yield Example(pair, place.spot, label)


def _channels(bgr: Picture, settings: BankSettings) -> Picture:
    if settings.colour:
        return np.ascontiguousarray(bgr[..., ::-1])
    return images.to_luma(bgr, "limited")


def _pairs(found: Sequence[Source], settings: BankSettings) -> list[Example]:
    """Pairs from all over the folder."""
    shown = list[Example]()
    for source in found[:: max(1, len(found) // COLUMNS)]:
        try:
            blurred, sharp = (images.read_bgr(path) for path in source.files)
        except DataError:
            continue
        if blurred.shape == sharp.shape and len(shown) < COLUMNS:
            spot = _busiest(sharp)
            pair = degrade.Pair(*(_channels(picture, settings) for picture in (blurred, sharp)))
            label = f"{metrics.psnr_db(*pair):.1f} dB   {source.path.name}"
            shown.append(Example(pair, (spot.y / sharp.shape[0], spot.x / sharp.shape[1]), label))
    return shown


def _band(title: str, examples: Sequence[Example]) -> Picture:
    """One row of the page."""
    blocks = [_block(example) for example in examples]
    height = max(block.shape[0] for block in blocks)
    row = np.hstack([_framed(block, height, block.shape[1] + 2 * GAP_PX) for block in blocks])
    return np.vstack([_line(title, row.shape[1], scale=0.7), row])


def _block(example: Example) -> Picture:
    """A label, the pair pixel by pixel, and the pair enlarged."""
    plain = [_view(_shown(picture), example.spot, 1) for picture in example.pair]
    best = _busiest(plain[1])
    inner = (best.y / plain[1].shape[0], best.x / plain[1].shape[1])
    large = [_view(panel, inner, ZOOM) for panel in plain]
    rows = [
        np.hstack([left, _blank(left.shape[0], GAP_PX), right]) for left, right in (plain, large)
    ]
    width = max(row.shape[1] for row in rows)
    parts = [_line(example.label, width), rows[0], _blank(GAP_PX, width), rows[1]]
    return np.vstack([_framed(part, part.shape[0], width) for part in parts])


def _shown(picture: Picture) -> Picture:
    """As a screen shows it: BGR; limited-range luma is stretched."""
    if picture.ndim == 3:
        return np.ascontiguousarray(picture[..., ::-1])
    full = images.to_bytes((picture.astype(np.float32) - 16) * np.float32(255 / 219))
    return np.dstack([full] * 3)


def _view(picture: Picture, spot: tuple[float, float], zoom: int) -> Picture:
    """The part around the spot, every pixel `zoom` times as large."""
    sides = [min(want // zoom, side) for want, side in zip(VIEW_PX, picture.shape, strict=False)]
    starts = [
        min(max(round(share * side) - size // 2, 0), side - size)
        for share, side, size in zip(spot, picture.shape, sides, strict=False)
    ]
    part = picture[starts[0] : starts[0] + sides[0], starts[1] : starts[1] + sides[1]]
    return np.ascontiguousarray(part.repeat(zoom, axis=0).repeat(zoom, axis=1))


def _patterns(settings: BankSettings, seed: int) -> Picture:
    """Some of the drawn patterns."""
    few = settings.model_copy(update={"synthetic": min(settings.synthetic, 3 * COLUMNS)})
    shown = [_shown_pattern(crop[0]) for crop in crops.drawn(few, seed)]
    row = np.hstack([_framed(part, part.shape[0], part.shape[1] + GAP_PX) for part in shown])
    return np.vstack([_line("drawn patterns, to stay as they are", row.shape[1], scale=0.7), row])


def _shown_pattern(picture: Picture) -> Picture:
    return picture[..., ::-1] if picture.ndim == 3 else np.dstack([picture] * 3)


def _blank(height: int, width: int) -> Picture:
    return np.full((height, width, 3), _PAPER, np.uint8)


def _framed(part: Picture, height: int, width: int) -> Picture:
    """On paper of at least that size, in its upper left."""
    paper = _blank(max(height, part.shape[0]), max(width, part.shape[1]))
    paper[: part.shape[0], : part.shape[1]] = part
    return paper


def _line(text: str, width: int, scale: float = 0.45) -> Picture:
    """A line of text, made smaller where it is too long."""
    needed = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]
    scale *= min(1.0, width / max(needed, 1))
    paper = _blank(round(LINE_PX * max(scale, 0.4) / 0.45), width)
    ink = (_INK,) * 3 if scale > 0.5 else (_FAINT,) * 3
    at = (0, paper.shape[0] - 7)
    cv2.putText(paper, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
    return paper


def _stacked(bands: Sequence[Picture]) -> Picture:
    width = max(band.shape[1] for band in bands) + GAP_PX
    head = _line("left: degraded   right: sharp   below: enlarged", width)
    rows = [head, *bands]
    margin = [_framed(row, row.shape[0] + 2 * GAP_PX, width) for row in rows]
    page = np.vstack(margin)
    return np.hstack([_blank(page.shape[0], 2 * GAP_PX), page])
