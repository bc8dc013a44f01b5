"""The crop bank: degraded and sharp pairs, cut once, memory-mapped for training.

A folder with `degraded.npy` and `sharp.npy` (uint8, N x crop x crop, or N x crop x crop x 3 RGB)
and `index.json` (profile and split of each pair, and a fingerprint of what made them); in a
temporal bank also `before_degraded.npy` and `before_sharp.npy`. `taught.npy` is a teacher's.
`skipped.txt` lists files that could not be used. The validation split is by source picture.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcsharp_training import crops, pool, sources, store, whole
from vcsharp_training.bank_settings import SYNTHETIC as SYNTHETIC
from vcsharp_training.bank_settings import BankSettings
from vcsharp_training.crops import Cut, Job
from vcsharp_training.errors import DataError
from vcsharp_training.sources import Found, Skipped, Source

INDEX, SKIPPED = "index.json", "skipped.txt"
TAUGHT = ("taught.npy", "taught.json")
Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""


@dataclass(frozen=True)
class Bank:
    """An opened bank. Read-only; safe to share."""

    degraded: NDArray[np.uint8]
    """N x crop x crop luma, or N x crop x crop x 3 RGB."""
    sharp: NDArray[np.uint8]
    profile: NDArray[np.str_]
    held_out: NDArray[np.bool_]
    """True for pairs whose source picture is kept for validation."""
    taught: NDArray[np.uint8] | None = None
    """A teacher's restored pictures, where one has written them."""
    before_degraded: NDArray[np.uint8] | None = None
    """The frame before, in a temporal bank."""
    before_sharp: NDArray[np.uint8] | None = None

    def rows(self, *, held_out: bool) -> NDArray[np.intp]:
        """Indices of one split."""
        return np.flatnonzero(self.held_out == held_out)


@dataclass
class Built:
    """What came of cutting, and where the time went."""

    crops: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was left out on purpose."""
    waiting_s: float = 0.0
    """For worker processes; with one worker, for the cutting itself."""
    writing_s: float = 0.0

    def speed(self) -> str:
        """One line: crops a second and what held them up."""
        total_s = max(self.waiting_s + self.writing_s, 1e-9)
        share = self.waiting_s / total_s
        what = "cutting (the processor)" if share > 0.5 else "writing (the disk)"
        return (
            f"{self.crops:,} crops, {self.crops / total_s:,.0f} a second; {share:.0%} of the time "
            f"went into waiting for workers, {1 - share:.0%} into writing: "
            f"the bottleneck was {what}"
        )


@dataclass
class _Index:
    fingerprint: str
    profile: list[str] = field(default_factory=list)
    held_out: list[bool] = field(default_factory=list)


def _no_progress(done: int, total: int) -> None:
    """Says nothing."""


def build(
    folder: Path,
    data: Path,
    settings: BankSettings,
    *,
    seed: int,
    workers: int = 1,
    progress: Progress = _no_progress,
) -> Built:
    """Cuts the bank from what lies below `data`. The same arguments give the same bytes.

    What cannot be used is skipped and listed. `index.json` is written last: a folder without it is
    not a bank. Raises DataError if there is nothing to cut, or no room for it.
    """
    found = sources.find(data)
    _held_out(found.sources, data, settings.validation_share, found.skipped)
    built = Built(skipped=[*found.skipped], notes=found.notes)
    index = _Index(_fingerprint(found, settings, seed))
    store.check_space(folder, _bytes_needed(found, settings))
    _clear(folder)
    jobs = [Job(source, number, settings, seed) for number, source in enumerate(found.sources)]
    row_shape = (settings.crop_px,) * 2 + ((3,) if settings.colour else ())
    rows = store.Store(folder, crops.fields(settings), row_shape)
    try:
        with rows:
            used = _write(rows, jobs, workers, progress, built, index)
            index.held_out = _marks(used, data, settings, built.skipped)
            _write_drawn(rows, settings, seed, index)
            built.crops = rows.rows
        _write_skipped(folder, built.skipped)
        whole.write(folder / INDEX, json.dumps(asdict(index)))
    except OSError as error:
        raise store.failed(folder, rows.rows, error) from error
    return built


def _clear(folder: Path) -> None:
    """Ends the bank that was there, its teacher's pictures included. Raises DataError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"{name}.npy" for name in crops.FIELDS + crops.FIELDS_BEFORE]
        for name in (INDEX, SKIPPED, *TAUGHT, *names):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise store.failed(folder, 0, error) from error


def _bytes_needed(found: Found, settings: BankSettings) -> int:
    """At most: every picture used, every clip as long as allowed."""
    per_source = {
        "picture": settings.crops_of_an_image,
        "clip": settings.crops_of_an_image * settings.clip_frames,
        "pair": settings.crops_per_pair,
    }
    rows = settings.synthetic + sum(per_source[source.kind] for source in found.sources)
    values = settings.crop_px**2 * (3 if settings.colour else 1)
    return rows * values * len(crops.fields(settings))


def _write(
    rows: store.Store,
    jobs: Sequence[Job],
    workers: int,
    progress: Progress,
    built: Built,
    index: _Index,
) -> list[tuple[Source, int]]:
    """Cuts and appends everything; returns each source that gave crops, and how many."""
    used = list[tuple[Source, int]]()
    results = pool.in_order(crops.cut, jobs, workers)
    asked_s = time.perf_counter()
    for done, (job, found) in enumerate(zip(jobs, results, strict=True), 1):
        got_s = time.perf_counter()
        built.waiting_s += got_s - asked_s
        _append(rows, found, index)
        built.skipped += found.skipped
        if found.crops:
            used.append((job.source, len(found.crops)))
        progress(done, len(jobs))
        asked_s = time.perf_counter()
        built.writing_s += asked_s - got_s
    return used


def _append(rows: store.Store, found: Cut, index: _Index) -> None:
    for crop in found.crops:
        rows.add(crop)
    index.profile += found.profiles


def _write_drawn(rows: store.Store, settings: BankSettings, seed: int, index: _Index) -> None:
    for crop in crops.drawn(settings, seed):
        rows.add(crop)
    index.profile += [SYNTHETIC] * settings.synthetic
    index.held_out += [False] * settings.synthetic


def _marks(
    used: Sequence[tuple[Source, int]],
    data: Path,
    settings: BankSettings,
    skipped: Sequence[Skipped],
) -> list[bool]:
    """For every crop whether it is held out. Raises DataError if too few sources are left."""
    kept = [source for source, _ in used]
    held_out = _held_out(kept, data, settings.validation_share, skipped)
    return [out for out, (_, count) in zip(held_out, used, strict=True) for _ in range(count)]


def _held_out(
    found: Sequence[Source], data: Path, share: float, skipped: Sequence[Skipped]
) -> list[bool]:
    """Which sources are for validation: those that the layout names, else by a hash of the name, so
    that the choice stays when pictures are added.
    """
    if any(source.split == "valid" for source in found):
        held_out = [source.split == "valid" for source in found]
    else:
        held_out = [_hash(source.group) < share for source in found]
    if found and not any(held_out):  # a handful of pictures: keep the last for validation
        held_out = [source.group == found[-1].group for source in found]
    if all(held_out):
        raise DataError(
            f"'{data}' needs at least two pictures, one to train on and one to validate on: "
            f"{len(found)} can be used" + (f"; {skipped[0]}" if skipped else "")
        )
    return held_out


def _hash(name: str) -> float:
    """Evenly spread over 0..1."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def _write_skipped(folder: Path, skipped: Sequence[Skipped]) -> None:
    if skipped:
        (folder / SKIPPED).write_text("".join(f"{skip}\n" for skip in skipped), "utf-8")


def fingerprint(data: Path, settings: BankSettings, seed: int) -> str:
    """Names what a bank was cut from: file names and sizes, settings and seed."""
    return _fingerprint(sources.find(data), settings, seed)


def _fingerprint(found: Found, settings: BankSettings, seed: int) -> str:
    paths = [path for source in found.sources for path in source.files]
    files = [(path.name, path.stat().st_size) for path in paths]
    text = json.dumps([files, settings.decides(), seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_current(folder: Path, data: Path, settings: BankSettings, seed: int) -> bool:
    """Whether `folder` already holds exactly this bank."""
    try:
        index = json.loads((folder / INDEX).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(index["fingerprint"] == fingerprint(data, settings, seed))


def load(folder: Path) -> Bank:
    """Opens a bank. Raises DataError if there is none, or its files do not belong together."""
    try:
        index = json.loads((folder / INDEX).read_text("utf-8"))
        required = {name: _map(folder, name) for name in crops.FIELDS}
        profile, held_out = np.array(index["profile"]), np.array(index["held_out"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"no crop bank in '{folder}': {error}; run 'vcsharp-train prepare' first"
        ) from error
    optional = {
        name: _map(folder, name)
        for name in (*crops.FIELDS_BEFORE, "taught")
        if (folder / f"{name}.npy").is_file()
    }
    for name, rows in (required | optional).items():
        if rows.shape != required["sharp"].shape or len(rows) != len(profile):
            raise DataError(
                f"the crop bank in '{folder}' is torn: '{name}.npy' has shape {rows.shape}, "
                f"index.json knows {len(profile)} crops; cut it again with 'vcsharp-train prepare'"
            )
    return Bank(**required, profile=profile, held_out=held_out, **optional)


def _map(folder: Path, name: str) -> NDArray[Any]:
    mapped: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return mapped
