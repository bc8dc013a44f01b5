"""Measures filters on held-out pictures, per kind of degradation and per category of picture.

Pictures are centre-cut to at most 1920 x 1080, turned into limited-range luma and degraded with a
seed made of their name, so that every run and every filter sees the same bytes.
"""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from vcsharp_training import baselines, colour, degrade, images, metrics, probes
from vcsharp_training.filters import EngineFilter

MAX_HEIGHT, MAX_WIDTH = 1080, 1920
STILL_HEIGHT, STILL_WIDTH = 360, 640
MULTIPLE = 4
ALL = "all"
"""Stands for the mean over every category."""

Filter = Callable[[images.Plane], images.Plane]

BASELINES: dict[str, Filter] = {
    "input": baselines.identity,
    "unsharp": baselines.unsharp,
    "cas 0": partial(baselines.cas, sharpness=0.0),
    "cas 1": partial(baselines.cas, sharpness=1.0),
}


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    images_per_category: int | None = None
    """The first few of each category by name; None takes all."""
    lpips: Path | None = None
    """Folder with the weights of LPIPS; None leaves it out."""
    rgb: bool = False
    """Also PSNR and SSIM of the coloured picture, which takes three times as long."""
    profiles: tuple[str, ...] = field(default_factory=lambda: tuple(degrade.EVALUATION))


class Sample(NamedTuple):
    """Figures of one output on one picture; NaN where they were not asked for."""

    psnr_db: float
    ssim: float
    energy: float
    truth_energy: float
    lpips: float
    psnr_rgb_db: float
    ssim_rgb: float


class Score(NamedTuple):
    """Means over pictures."""

    psnr_db: float
    ssim: float
    images: int
    sharpness: float = np.nan
    """High-frequency energy of all outputs over that of all truths."""
    lpips: float = np.nan
    psnr_rgb_db: float = np.nan
    ssim_rgb: float = np.nan


Key = tuple[str, str, str]
"""Profile, category, filter."""
Report = dict[Key, Score]


@dataclass(frozen=True)
class _Task:
    path: Path
    category: str
    profile: str
    filters: Mapping[str, Filter]
    options: Options


def pair_of(path: Path, profile: str) -> degrade.Pair:
    """The degraded plane and its ground truth; sides are multiples of 4."""
    luma = images.centre_cut(images.read_luma(path), MAX_HEIGHT, MAX_WIDTH)
    pair = degrade.EVALUATION[profile](luma, degrade.seed_of(path, profile))
    return degrade.Pair(*(_multiple(plane) for plane in pair))


def _multiple(plane: images.Plane) -> images.Plane:
    height, width = (side // MULTIPLE * MULTIPLE for side in plane.shape)
    return np.ascontiguousarray(plane[:height, :width])


def _measure(task: _Task) -> list[tuple[Key, Sample]]:
    """All filters on one degraded picture. Runs in a worker process."""
    cv2.setNumThreads(1)
    pair = pair_of(task.path, task.profile)
    distance = _lpips(task.options, pair.sharp)
    coloured = _coloured(task)
    found = list[tuple[Key, Sample]]()
    for name, sharpen in task.filters.items():
        output = sharpen(pair.degraded)
        sample = Sample(
            metrics.psnr_db(output, pair.sharp),
            metrics.ssim(output, pair.sharp),
            metrics.energy(output),
            metrics.energy(pair.sharp),
            distance(output),
            *coloured(sharpen),
        )
        found.append(((task.profile, task.category, name), sample))
    return found


def _lpips(options: Options, truth: images.Plane) -> Callable[[images.Plane], float]:
    if not options.lpips:
        return lambda _: np.nan
    import torch

    from vcsharp_training import perceptual

    torch.set_num_threads(1)
    return perceptual.LumaLpips(perceptual.load(options.lpips), truth)


def _coloured(task: _Task) -> Callable[[Filter], tuple[float, float]]:
    if not task.options.rgb:
        return lambda _: (np.nan, np.nan)
    return partial(colour.scores, pair=degrade.colour_pair(task.path, task.profile))


def _results(tasks: Sequence[_Task], workers: int) -> Iterable[list[tuple[Key, Sample]]]:
    if workers == 1:
        yield from map(_measure, tasks)
        return
    # A forked child could inherit a lock that one of torch's threads holds.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_measure, tasks, chunksize=2)


def chosen(dev: Path, images_per_category: int | None) -> list[tuple[Path, str]]:
    """Pictures and their categories; of each category the first few by name, or all."""
    seen = defaultdict[str, int](int)
    found = list[tuple[Path, str]]()
    for path in images.find_images(dev):
        kind = images.category(path, dev)
        seen[kind] += 1
        if images_per_category is None or seen[kind] <= images_per_category:
            found.append((path, kind))
    return found


def measure(
    dev: Path,
    filters: Mapping[str, Filter],
    *,
    workers: int = 1,
    options: Options | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Scores of every filter on every picture, per profile, per category and over all."""
    wanted = options or Options()
    tasks = [
        _Task(path, kind, profile, filters, wanted)
        for path, kind in chosen(dev, wanted.images_per_category)
        for profile in wanted.profiles
    ]
    samples = defaultdict[Key, list[Sample]](list)
    for done, found in enumerate(_results(tasks, workers), 1):
        for (profile, kind, name), sample in found:
            samples[profile, kind, name].append(sample)
            samples[profile, ALL, name].append(sample)
        if progress:
            progress(done, len(tasks))
    return {key: _mean(values) for key, values in samples.items()}


def _mean(samples: Sequence[Sample]) -> Score:
    mean = Sample(*(float(value) for value in np.mean(samples, axis=0)))
    return Score(
        mean.psnr_db,
        mean.ssim,
        len(samples),
        mean.energy / max(mean.truth_energy, 1e-9),
        mean.lpips,
        mean.psnr_rgb_db,
        mean.ssim_rgb,
    )


def probe(
    dev: Path, filters: Mapping[str, Filter], stills_per_category: int = 1
) -> dict[str, probes.Probe]:
    """What each filter adds of its own, on still clips of the first pictures of each category."""
    scenes = [images.read_luma(path) for path, _ in chosen(dev, stills_per_category)]
    cut = [_multiple(images.centre_cut(scene, STILL_HEIGHT, STILL_WIDTH)) for scene in scenes]
    clips = [probes.still_clip(scene) for scene in cut]
    return {name: probes.probe(sharpen, clips) for name, sharpen in filters.items()}


def model_filters(
    folder: Path, precisions: Sequence[str] = ("fp32", "int8"), device: str = "cpu"
) -> dict[str, EngineFilter]:
    """A model as the runtime runs it, once per precision, as filters named after it."""
    return {f"{folder.name} {kind}": EngineFilter(folder, kind, device) for kind in precisions}
