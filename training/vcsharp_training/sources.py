"""What a folder of data holds: sharp pictures, clips, pairs; and what of it cannot be used.

Layouts are recognised by their names: pairs of folders as in `pairs.py`, and super-resolution sets
whose `..._HR` folders stand beside reduced `..._LR...` ones (DIV2K), of which only the HR count.
Everything else is a sharp picture or a clip. Hidden files are passed over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from vcsharp_training import clips, images, pairs
from vcsharp_training.errors import DataError

_SPLITS = {"val": "valid", "valid": "valid", "validation": "valid", "test": "test"}
_HIGH, _LOW = re.compile(r"(^|_)HR(_|$)", re.IGNORECASE), re.compile(r"(^|_)LR(_|$)", re.IGNORECASE)


class Skipped(NamedTuple):
    """A file that is not used, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"skipped '{self.path}': {self.reason}"


@dataclass(frozen=True)
class Source:
    """One picture, clip or pair."""

    kind: Literal["picture", "clip", "pair"]
    path: Path
    """The sharp picture, or the clip."""
    group: str
    """Sources of one group are held out together."""
    blurred: Path | None = None
    """The twin of a pair's sharp picture."""
    split: str | None = None
    """`valid` or `test` where the layout says so."""

    @property
    def files(self) -> list[Path]:
        """Every file that it is made of."""
        return [self.path] if self.blurred is None else [self.blurred, self.path]


@dataclass
class Found:
    """Everything below a folder."""

    sources: list[Source] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was left out on purpose, in whole folders."""


def find(folder: Path) -> Found:
    """Looks through `folder`. Raises DataError if there is nothing to cut crops from."""
    found = Found()
    files = _without_reduced(list(_walk(folder, found.skipped)), found.notes)
    paired = _pairs(folder, files, found)
    found.sources += [_single(folder, path) for path in files if paired.isdisjoint(path.parents)]
    _leave_test(folder, found)
    found.sources.sort(key=lambda source: source.files[0])
    if not found.sources:
        raise DataError(f"no pictures in '{folder}': {_why(folder, found)}")
    return found


def _why(folder: Path, found: Found) -> str:
    cure = "give a folder of JPEG or PNG files, clips, or blurred and sharp pairs"
    if found.skipped:
        return f"{len(found.skipped)} skipped, the first '{found.skipped[0].path}': " + (
            f"{found.skipped[0].reason}; {cure}"
        )
    return f"{'it holds no pictures' if folder.is_dir() else 'it is not a folder'}; {cure}"


def _walk(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """Pictures and clips in order of their paths."""

    def unreadable(error: OSError) -> None:
        if folder.is_dir():
            skipped.append(Skipped(Path(error.filename), f"cannot be read: {error.strerror}"))

    paths = list[Path]()
    for where, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        paths += [Path(where, name) for name in names if not _is_hidden(name)]
    for path in sorted(paths):
        if path.suffix.lower() not in images.SUFFIXES | clips.SUFFIXES:
            continue
        if os.access(path, os.R_OK):
            yield path
        else:
            reason = "a link to nothing" if path.is_symlink() else "no right to read it"
            skipped.append(Skipped(path, reason))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _single(root: Path, path: Path) -> Source:
    high = [part for part in path.relative_to(root).parts if _HIGH.search(part)]
    split = "valid" if any("valid" in pairs.words(part) for part in high) else None
    is_clip = path.suffix.lower() in clips.SUFFIXES
    return Source("clip" if is_clip else "picture", path, path.name, split=split)


def _without_reduced(files: Sequence[Path], notes: list[str]) -> list[Path]:
    """All files but those in LR folders that have an HR folder beside them."""
    folders = {parent for path in files for parent in path.parents}
    high = {folder for folder in folders if _HIGH.search(folder.name)}
    parents = {folder.parent for folder in high}
    low = {folder for folder in folders - high if _LOW.search(folder.name)}
    low = {folder for folder in low if folder.parent in parents}
    for folder in sorted(low):
        count = sum(folder in path.parents for path in files)
        notes.append(f"left out {count} reduced pictures in '{folder}'")
    return [path for path in files if low.isdisjoint(path.parents)]


def _pairs(root: Path, files: Sequence[Path], found: Found) -> set[Path]:
    """Adds all pairs to `found` and returns the folders that they lie in."""
    below = dict[Path, list[Path]]()
    for path in files:
        for parent in path.relative_to(root).parents[:-1]:
            below.setdefault(root / parent, []).append(path)
    children = dict[Path, list[Path]]()
    for folder in below:
        children.setdefault(folder.parent, []).append(folder)
    used = set[Path]()
    for folder in sorted(children):
        if used.isdisjoint([folder, *folder.parents]):
            for sides in pairs.sides_in(children[folder]):
                _take(root, sides, below, found)
                used |= {sides.sharp, *sides.blurred}
    return used


def _take(
    root: Path, sides: pairs.Sides, below: Mapping[Path, Sequence[Path]], found: Found
) -> None:
    """Adds the twins of one sharp folder, and skips what has no twin in any blurred one."""
    used = set[Path]()
    alone = dict[Path, list[str]]()
    for folder in sides.blurred:
        twins = pairs.match(below[folder], below[sides.sharp], (folder, sides.sharp))
        for blurred, sharp in twins.matched:
            group = pairs.group_of(sharp, sides.sharp)
            split = _split(blurred.relative_to(root))
            found.sources.append(Source("pair", sharp, group, blurred, split))
            used.add(sharp)
        for path, where in twins.alone:
            alone.setdefault(path, []).append(f"'{where}'")
    for path, places in alone.items():
        if path not in used:
            found.skipped.append(Skipped(path, f"no partner in {', '.join(places)}"))


def _split(below_root: Path) -> str | None:
    """What the layout says a pair is for: `train/blur` or `blur_val`."""
    named = [word for part in below_root.parts[:-1] for word in pairs.words(part)]
    return next((_SPLITS[word] for word in named if word in _SPLITS), None)


def _leave_test(folder: Path, found: Found) -> None:
    """Test pictures stay unseen where there are others to train on."""
    others = [source for source in found.sources if source.split != "test"]
    left = len(found.sources) - len(others)
    if others and left:
        found.sources = others
        found.notes.append(f"left out {left} test pairs in '{folder}': they are for measuring")
