"""Measures filters on held-out pictures, per kind of degradation and per category of picture.

Pictures are centre-cut to at most 1920 x 1080, turned into limited-range luma and degraded with a
seed made of their name, so that every run and every filter sees the same bytes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from vcsharp_training import baselines, degrade, images, metrics
from vcsharp_training.filters import OnnxFilter

MAX_HEIGHT, MAX_WIDTH = 1080, 1920
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


class Score(NamedTuple):
    """Means over pictures."""

    psnr_db: float
    ssim: float
    images: int


Key = tuple[str, str, str]
"""Profile, category, filter."""
Report = dict[Key, Score]


@dataclass(frozen=True)
class _Task:
    path: Path
    category: str
    profile: str
    filters: Mapping[str, Filter]


def _centre(luma: images.Plane) -> images.Plane:
    height, width = min(luma.shape[0], MAX_HEIGHT), min(luma.shape[1], MAX_WIDTH)
    y, x = (luma.shape[0] - height) // 2, (luma.shape[1] - width) // 2
    return np.ascontiguousarray(luma[y : y + height, x : x + width])


def pair_of(path: Path, profile: str) -> degrade.Pair:
    """The degraded plane and its ground truth; sides are multiples of 4."""
    digest = hashlib.sha256(f"{path.name}/{profile}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    pair = degrade.EVALUATION[profile](_centre(images.read_luma(path)), rng)
    height, width = (side // MULTIPLE * MULTIPLE for side in pair.sharp.shape)
    return degrade.Pair(*(np.ascontiguousarray(plane[:height, :width]) for plane in pair))


def _measure(task: _Task) -> list[tuple[Key, float, float]]:
    """All filters on one degraded picture. Runs in a worker process."""
    cv2.setNumThreads(1)
    pair = pair_of(task.path, task.profile)
    found = list[tuple[Key, float, float]]()
    for name, sharpen in task.filters.items():
        output = sharpen(pair.degraded)
        scores = metrics.psnr_db(output, pair.sharp), metrics.ssim(output, pair.sharp)
        found.append(((task.profile, task.category, name), *scores))
    return found


def _results(tasks: Sequence[_Task], workers: int) -> Iterable[list[tuple[Key, float, float]]]:
    if workers == 1:
        yield from map(_measure, tasks)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_measure, tasks, chunksize=2)


def measure(
    dev: Path,
    filters: Mapping[str, Filter],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Scores of every filter on every picture, per profile, per category and over all."""
    paths = images.find_images(dev)
    tasks = [
        _Task(path, images.category(path, dev), profile, filters)
        for path in paths
        for profile in degrade.EVALUATION
    ]
    samples = defaultdict[Key, list[tuple[float, float]]](list)
    for done, found in enumerate(_results(tasks, workers), 1):
        for (profile, kind, name), psnr_db, ssim in found:
            samples[profile, kind, name].append((psnr_db, ssim))
            samples[profile, ALL, name].append((psnr_db, ssim))
        if progress:
            progress(done, len(tasks))
    return {key: _mean(values) for key, values in samples.items()}


def _mean(values: Sequence[tuple[float, float]]) -> Score:
    psnr_db, ssim = np.mean(values, axis=0)
    return Score(float(psnr_db), float(ssim), len(values))


def model_filters(folder: Path) -> dict[str, Filter]:
    """The int8 and fp32 files of an exported model, as filters named after it."""
    files = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
    return {f"{folder.name} {kind}": OnnxFilter(folder / file) for kind, file in files.items()}
