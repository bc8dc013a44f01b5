"""Folders of blurred and sharp twins, as they are found in the wild.

Two folders beside each other belong together where one is named for what is blurred (`blur`,
`blurred`, `blur_gamma`, `blur_Image`, `motion_blurred`, `input`) and one for what is sharp
(`sharp`, `sharp_Image`, `target`, `gt`). Twins have the same path below them, or the same name but
for words that all files of one side share (`0_PHONE_M.jpg` and `0_PHONE_S.jpg`,
`blurred_7.png` and `7.png`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_BLURRED = {"blur", "blurred", "blurry", "input", "inputs", "lq", "degraded"}
_SHARP = {"sharp", "target", "targets", "gt", "groundtruth", "hq"}
_FILLERS = {"image", "images", "img", "imgs", "gamma", "motion", "defocused", "dataset"}
_SEQUENCE = re.compile(r"GOPR\d+_\d+_\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Sides:
    """A folder of sharp pictures and those of their blurred twins."""

    sharp: Path
    blurred: tuple[Path, ...]


@dataclass(frozen=True)
class Twins:
    """What was matched below one pair of folders, and what was not."""

    matched: list[tuple[Path, Path]]
    """Blurred, sharp."""
    alone: list[tuple[Path, str]]
    """A file without a partner, and where that was looked for."""


def words(name: str) -> list[str]:
    """Parts of a file's or folder's name, in lower case."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[_\-.\s]+", parted.lower()) if word]


def _context(name: str) -> frozenset[str]:
    """What a side's name says besides which side it is: `train` of `blur_train`."""
    return frozenset(words(name)) - _BLURRED - _SHARP - _FILLERS


def _is(side: set[str], name: str) -> bool:
    return not side.isdisjoint(words(name))


def sides_in(children: Iterable[Path]) -> list[Sides]:
    """Sides among sibling folders; those that say `train`, `val` and so on only with their like."""
    folders = sorted(children)
    found = list[Sides]()
    for sharp in (folder for folder in folders if _is(_SHARP, folder.name)):
        blurred = tuple(
            folder
            for folder in folders
            if _is(_BLURRED, folder.name) and _context(folder.name) == _context(sharp.name)
        )
        if blurred and not _is(_BLURRED, sharp.name):
            found.append(Sides(sharp, blurred))
    return found


def _shared_words(names: Sequence[list[str]]) -> tuple[int, int]:
    """How many words at the start and at the end all names share; words with digits never count."""
    shortest = min(map(len, names))
    counts = list[int]()
    for step in (1, -1):
        count = 0
        for column in zip(*(name[::step] for name in names), strict=False):
            if len(set(column)) > 1 or any(letter.isdigit() for letter in column[0]):
                break
            count += 1
        counts.append(count)
    start, end = counts
    return (start, end) if start + end < shortest else (0, 0)


def _plain_keys(files: Mapping[Path, Path]) -> dict[tuple[str, ...], list[Path]]:
    """Files by folder and name, less the words that the whole side shares."""
    names = {path: words(relative.stem) for path, relative in files.items()}
    start, end = _shared_words(list(names.values())) if names else (0, 0)
    found = dict[tuple[str, ...], list[Path]]()
    for path, relative in files.items():
        kept = names[path][start : len(names[path]) - end]
        plain = [word for word in kept if word not in _BLURRED | _SHARP | _FILLERS]
        found.setdefault((*relative.parts[:-1], *(plain or kept)), []).append(path)
    return found


def match(blurred: Sequence[Path], sharp: Sequence[Path], sides: tuple[Path, Path]) -> Twins:
    """Finds twins among the files below a blurred and a sharp folder (`sides`)."""
    left = {path: path.relative_to(sides[0]) for path in blurred}
    right = {path: path.relative_to(sides[1]) for path in sharp}
    matched = _same_path(left, right)
    for one, other in matched:
        del left[one], right[other]
    keys, others = _plain_keys(left), _plain_keys(right)
    for key, found in keys.items():
        if len(found) == len(others.get(key, ())) == 1:
            matched.append((found[0], others[key][0]))
    taken = {path for pair in matched for path in pair}
    alone = [(path, sides[1].name) for path in left if path not in taken]
    alone += [(path, sides[0].name) for path in right if path not in taken]
    return Twins(sorted(matched), alone)


def _same_path(left: Mapping[Path, Path], right: Mapping[Path, Path]) -> list[tuple[Path, Path]]:
    """Twins with the same path but for the kind of file, where there is just one of each."""
    by_name, others = (_by_name(files) for files in (left, right))
    return [
        (paths[0], others[name][0])
        for name, paths in by_name.items()
        if len(paths) == len(others.get(name, ())) == 1
    ]


def _by_name(files: Mapping[Path, Path]) -> dict[Path, list[Path]]:
    found = dict[Path, list[Path]]()
    for path, relative in files.items():
        found.setdefault(relative.with_suffix(""), []).append(path)
    return found


def group_of(sharp: Path, side: Path) -> str:
    """What is held out for validation as one: the recording that a picture is a frame of."""
    if found := _SEQUENCE.search(str(sharp.relative_to(side.parent.parent))):
        return found[0]
    below = sharp.relative_to(side).parent
    return sharp.stem if below == Path() else below.as_posix()
