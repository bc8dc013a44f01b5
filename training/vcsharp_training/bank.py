"""The crop bank: degraded and sharp pairs, cut once, memory-mapped for training.

A folder with `degraded.npy` and `sharp.npy` (uint8, N x crop x crop) and `index.json` (profile,
source and split of each pair, and the settings that made them). Crops start anywhere, so training
sees every phase of the network's grid and of the codec's blocks. The validation split is by source
picture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from vcsharp_training import degrade, images, synthetic
from vcsharp_training.bank_settings import BankSettings
from vcsharp_training.errors import DataError

SYNTHETIC = "synthetic"
Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""


@dataclass(frozen=True)
class Bank:
    """An opened bank. Read-only; safe to share."""

    degraded: NDArray[np.uint8]
    sharp: NDArray[np.uint8]
    profile: NDArray[np.str_]
    held_out: NDArray[np.bool_]
    """True for pairs whose source picture is kept for validation."""

    def rows(self, *, held_out: bool) -> NDArray[np.intp]:
        """Indices of one split."""
        return np.flatnonzero(self.held_out == held_out)


@dataclass(frozen=True)
class _Job:
    """Everything a worker process needs for one picture."""

    path: Path
    number: int
    held_out: bool
    settings: BankSettings
    seed: int


def _window(luma: images.Plane, window_px: int, rng: np.random.Generator) -> images.Plane:
    """A random part of the picture: as real as the whole for a local degradation, and cheaper."""
    height, width = (min(side, window_px) for side in luma.shape)
    y = int(rng.integers(luma.shape[0] - height + 1))
    x = int(rng.integers(luma.shape[1] - width + 1))
    return np.ascontiguousarray(luma[y : y + height, x : x + width])


def _magnified(
    window: images.Plane, settings: BankSettings, rng: np.random.Generator
) -> images.Plane:
    """Sometimes a part of the window scaled up to its size: sharp pictures of big sensors hold no
    detail of one pixel.

    Without these the student takes every soft area for a degraded one, and harms what is merely
    smooth.
    """
    factor = rng.uniform(1, settings.magnify_max)
    if rng.random() >= settings.magnify_share:
        return window
    height, width = (round(side / factor) for side in window.shape)
    part = window[:height, :width]
    return cv2.resize(part, window.shape[::-1], interpolation=cv2.INTER_CUBIC).astype(
        np.uint8, copy=False
    )


def _cut(pair: degrade.Pair, crop_px: int, rng: np.random.Generator) -> degrade.Pair:
    y = int(rng.integers(pair.sharp.shape[0] - crop_px + 1))
    x = int(rng.integers(pair.sharp.shape[1] - crop_px + 1))
    area = np.s_[y : y + crop_px, x : x + crop_px]
    return degrade.Pair(pair.degraded[area], pair.sharp[area])


def _pairs_of(luma: images.Plane, profile: str, count: int, job: _Job) -> list[degrade.Pair]:
    """`count` crops of one profile; every window gives at most `crops_per_window` of them."""
    settings, made = job.settings, list[degrade.Pair]()
    rng = np.random.default_rng([job.seed, job.number, *profile.encode()])
    while len(made) < count:
        window = _magnified(_window(luma, settings.window_px, rng), settings, rng)
        pair = degrade.TRAINING[profile](window, rng)
        wanted = min(settings.crops_per_window, count - len(made))
        made += [_cut(pair, settings.crop_px, rng) for _ in range(wanted)]
    return made


def _crops(job: _Job) -> tuple[list[str], list[degrade.Pair]]:
    """All crops of one picture, in a fixed order. Runs in a worker process."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([job.seed, job.number])
    full = rng.random() < job.settings.full_range_share
    luma = images.read_luma(job.path, "full" if full else "limited")
    if min(luma.shape) < job.settings.crop_px + 40:
        raise DataError(
            f"'{job.path}' is too small ({luma.shape[1]}x{luma.shape[0]}); "
            f"need {job.settings.crop_px + 40} px a side"
        )
    names, pairs = list[str](), list[degrade.Pair]()
    for profile, count in job.settings.crops_per_image.items():
        pairs += _pairs_of(luma, profile, count, job)
        names += [profile] * count
    return names, pairs


def _is_held_out(path: Path, share: float) -> bool:
    """By a hash of the name: the choice stays when pictures are added."""
    digest = hashlib.sha256(path.name.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share


def _jobs(data: Path, settings: BankSettings, seed: int) -> list[_Job]:
    paths = images.find_images(data)
    held_out = [_is_held_out(path, settings.validation_share) for path in paths]
    if not any(held_out):  # a handful of pictures: keep the last for validation
        held_out[-1] = True
    if all(held_out):
        raise DataError(
            f"'{data}' needs at least two pictures: one to train on and one to validate on"
        )
    return [
        _Job(path, i, out, settings, seed)
        for i, (path, out) in enumerate(zip(paths, held_out, strict=True))
    ]


def _made(jobs: Sequence[_Job], workers: int) -> Iterator[tuple[list[str], list[degrade.Pair]]]:
    """Crops of every job in order, whatever the number of processes."""
    if workers == 1:
        yield from map(_crops, jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_crops, jobs, chunksize=4)


def _synthetic(settings: BankSettings, seed: int) -> list[degrade.Pair]:
    rng = np.random.default_rng([seed, *SYNTHETIC.encode()])
    drawn = [synthetic.draw(settings.crop_px, rng) for _ in range(settings.synthetic)]
    return [degrade.Pair(plane, plane) for plane in drawn]


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
) -> None:
    """Cuts the bank from the pictures below `data`. The same arguments give the same bytes.

    `index.json` is written last: a folder without it is not a bank.
    """
    jobs = _jobs(data, settings, seed)
    total = len(jobs) * settings.crops_of_an_image + settings.synthetic
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").unlink(missing_ok=True)
    shape = (total, settings.crop_px, settings.crop_px)
    store = [
        open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape) for name in degrade.Pair._fields
    ]
    index = _Index(fingerprint(data, settings, seed))
    for done, (job, (names, pairs)) in enumerate(zip(jobs, _made(jobs, workers), strict=True), 1):
        index.add(store, names, pairs, held_out=job.held_out)
        progress(done, len(jobs))
    extra = _synthetic(settings, seed)
    index.add(store, [SYNTHETIC] * len(extra), extra, held_out=False)
    (folder / "index.json").write_text(json.dumps(asdict(index)), "utf-8")


@dataclass
class _Index:
    fingerprint: str
    profile: list[str] = field(default_factory=list)
    held_out: list[bool] = field(default_factory=list)

    def add(
        self,
        store: Sequence[NDArray[np.uint8]],
        names: list[str],
        pairs: list[degrade.Pair],
        *,
        held_out: bool,
    ) -> None:
        for offset, pair in enumerate(pairs, len(self.profile)):
            for rows, plane in zip(store, pair, strict=True):
                rows[offset] = plane
        self.profile += names
        self.held_out += [held_out] * len(names)


def fingerprint(data: Path, settings: BankSettings, seed: int) -> str:
    """Names what a bank was cut from: file names and sizes, settings and seed."""
    files = [(path.name, path.stat().st_size) for path in images.find_images(data)]
    text = json.dumps([files, settings.model_dump(), seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_current(folder: Path, data: Path, settings: BankSettings, seed: int) -> bool:
    """Whether `folder` already holds exactly this bank."""
    path = folder / "index.json"
    if not path.is_file():
        return False
    return bool(
        json.loads(path.read_text("utf-8"))["fingerprint"] == fingerprint(data, settings, seed)
    )


def load(folder: Path) -> Bank:
    """Opens a bank. Raises DataError if there is none."""
    try:
        index = json.loads((folder / "index.json").read_text("utf-8"))
        planes = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in degrade.Pair._fields]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"no crop bank in '{folder}': {error}; run 'vcsharp-train prepare' first"
        ) from error
    return Bank(planes[0], planes[1], np.array(index["profile"]), np.array(index["held_out"]))
