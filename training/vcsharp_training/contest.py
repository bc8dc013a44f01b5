"""The comparison itself: one bank, a step count for each, training, measuring."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vcsharp.nets.plain import mac_per_px
from vcsharp_training import bank as banks
from vcsharp_training import (
    colour,
    comparison_page,
    degrade,
    distil,
    drawn,
    entrants,
    evaluate,
    images,
    metrics,
    perceptual,
    progress,
    reference,
)
from vcsharp_training.bank import Bank
from vcsharp_training.compare import Compare
from vcsharp_training.entrants import Entrant
from vcsharp_training.images import Picture
from vcsharp_training.students import RgbStudent

COUNTED_PX = 64
TIMED_STEPS = 2
TIMED_PX, TIMED_RUNS, TIMED_S = 512, 4, 2.0
DRAWN = 6


@dataclass(frozen=True)
class Figures:
    """Means over pictures for one profile; RGB."""

    psnr_db: float
    ssim: float
    psnr_y_db: float
    lpips: float | None


@dataclass(frozen=True)
class Result:
    """A row of the table."""

    name: str
    group: str
    taught_by: str
    params: int
    mac_per_px: int
    cpu_ms_512: float
    """Processor time for a picture of 512 x 512 in fp32; not disturbed by what else runs."""
    steps: int
    crops_seen: int
    train_cpu_s: float
    """Processor time, validation at the end included."""
    by_profile: dict[str, Figures]


def compare(wanted: Compare) -> str:
    """Trains and measures whatever has no result yet; writes the page and returns its table."""
    if wanted.smoke:
        progress.say("SMOKE RUN: narrow students, random teachers; what comes out is of no use")
    wanted = _with_pictures(wanted)
    wanted.work.mkdir(parents=True, exist_ok=True)
    taking_part = entrants.every(wanted)
    crops = _bank(taking_part[0], wanted)
    unprocessed = {
        name: _measured(_OnLuma(sharpen), wanted)
        for name, sharpen in evaluate.BASELINES.items()
        if name != "cas 1"
    }
    cheap_first = sorted(taking_part, key=lambda one: macs(entrants.untrained(one), one))
    found = {one.recipe.name: _result(one, crops, wanted) for one in cheap_first}
    results = [found[one.recipe.name] for one in taking_part]
    return comparison_page.write(wanted, len(crops.sharp), unprocessed, results)


def _with_pictures(wanted: Compare) -> Compare:
    places = dict[str, Path]()
    for place, seed in (("data", 1), ("dev", 2)):
        if getattr(wanted, place) == drawn.GENERATED:
            places[place] = drawn.write(wanted.work / "pictures" / place, DRAWN, seed)
    return wanted.model_copy(update=places)


def _bank(first: Entrant, wanted: Compare) -> Bank:
    folder, settings, seed = wanted.work / entrants.BANK, first.recipe.bank, 0
    if not banks.is_current(folder, wanted.data, settings, seed):
        with progress.bar("cutting crops") as bar:
            banks.build(folder, wanted.data, settings, seed=seed, workers=1, progress=bar)
    return banks.load(folder)


def _result(entrant: Entrant, crops: Bank, wanted: Compare) -> Result:
    """From the file of a finished entrant, else by training it."""
    file = wanted.work / entrant.recipe.name / "result.json"
    if file.is_file():
        return _read(file)
    progress.say(f"{entrant.recipe.name}: taught by {entrant.taught_by}")
    steps = _steps(entrant, crops, wanted)
    settings = entrant.recipe.train.model_copy(update={"validate_every": steps})
    recipe = entrant.recipe.model_copy(update={"train": settings})
    started = time.process_time()
    student = reference.train(recipe, steps, crops)
    took_s = time.process_time() - started
    result = Result(
        recipe.name,
        entrant.group,
        entrant.taught_by,
        sum(weight.numel() for weight in plain_weights(student, entrant)),
        macs(student, entrant),
        _cpu_ms(student, COUNTED_PX if wanted.smoke else TIMED_PX),
        steps,
        steps * settings.batch * settings.accumulate,
        round(took_s, 1),
        _measured(_Network(student), wanted),
    )
    file.write_text(json.dumps(asdict(result), indent=1) + "\n", "utf-8")
    return result


def _read(file: Path) -> Result:
    values = json.loads(file.read_text("utf-8"))
    profiles = {name: Figures(**found) for name, found in values.pop("by_profile").items()}
    return Result(**values, by_profile=profiles)


def _steps(entrant: Entrant, crops: Bank, wanted: Compare) -> int:
    """As many as fit the seconds; kept, so that a killed comparison goes on with the same."""
    if wanted.steps:
        return wanted.steps
    file = wanted.work / entrant.recipe.name / "steps.json"
    if not file.is_file():
        step_s = _step_s(entrant, crops)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"steps": max(1, int(wanted.seconds / step_s))}), "utf-8")
    return int(json.loads(file.read_text("utf-8"))["steps"])


def _step_s(entrant: Entrant, crops: Bank) -> float:
    """The fastest of a few steps, forward and backward, after one to warm up."""
    recipe = entrant.recipe
    distil.prepare(recipe.threads, recipe.seed, recipe.device)
    objective = reference.objective(recipe)
    task = reference.ReferenceTask(recipe, crops, objective)
    times = []
    for step in range(TIMED_STEPS + 1):
        started = time.process_time()
        for part in range(recipe.train.accumulate):
            batch = task.batch(step, part, recipe.train.accumulate)
            objective(**batch)["loss"].backward()
        times.append(time.process_time() - started)
    return min(times[1:])


def plain_weights(student: RgbStudent, entrant: Entrant) -> list[Tensor]:
    """What is shipped: for ours the collapsed kernels, else all that is trained."""
    channels = getattr(entrant.recipe.student, "channels", None)
    if channels is None:
        return list(student.parameters())
    pairs = pairwise(channels)
    return [tensor for a, b in pairs for tensor in (torch.empty(b, a, 3, 3), torch.empty(b))]


def macs(student: nn.Module, entrant: Entrant) -> int:
    """Multiply-accumulates per pixel; for ours of the collapsed network."""
    shape = entrant.recipe.student
    channels = getattr(shape, "channels", None)
    if channels is not None:
        return mac_per_px(channels, getattr(shape, "stride", 4))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        student(torch.zeros(1, 3, COUNTED_PX, COUNTED_PX))
    return round(counter.get_total_flops() / 2 / COUNTED_PX**2)


def _cpu_ms(student: nn.Module, side_px: int) -> float:
    """Of the fastest run; the first only warms up, unless it takes seconds."""
    picture, times = torch.rand(1, 3, side_px, side_px), list[float]()
    with torch.inference_mode():
        while len(times) < TIMED_RUNS and sum(times) < TIMED_S:
            started = time.process_time()
            student(picture)
            times.append(time.process_time() - started)
    return round(1000 * min(times), 1)


@dataclass(frozen=True)
class _Network:
    """A student as a function of RGB bytes."""

    student: nn.Module

    @torch.inference_mode()
    def __call__(self, rgb: Picture) -> Picture:
        planes = torch.from_numpy(rgb.astype(np.float32) / 255).permute(2, 0, 1)[None]
        output: Tensor = self.student(planes)[0].permute(1, 2, 0)
        return images.to_bytes(output.numpy() * np.float32(255))


@dataclass(frozen=True)
class _OnLuma:
    """A filter of luma as a function of RGB bytes."""

    sharpen: evaluate.Filter

    def __call__(self, rgb: Picture) -> Picture:
        return colour.sharpened(rgb, self.sharpen)


def _measured(restore: _Network | _OnLuma, wanted: Compare) -> dict[str, Figures]:
    """Every profile on the middles of the first pictures of each category."""
    torch.set_num_threads(wanted.threads)
    chosen = evaluate.chosen(wanted.dev, wanted.images_per_category)
    return {
        profile: _mean([_one(restore, path, profile, wanted) for path, _ in chosen])
        for profile in degrade.EVALUATION
    }


def _one(restore: _Network | _OnLuma, path: Path, profile: str, wanted: Compare) -> Figures:
    given, truth = _middle(path, profile, wanted.dev_px)
    output = restore(given)
    luma, wanted_luma = (images.to_luma(rgb[..., ::-1], "limited") for rgb in (output, truth))
    distance = None
    if wanted.lpips:
        distance = perceptual.LumaLpips(perceptual.load(wanted.lpips), wanted_luma)(luma)
    return Figures(
        metrics.psnr_db(output, truth),
        colour.ssim(output, truth),
        metrics.psnr_db(luma, wanted_luma),
        distance,
    )


@functools.cache
def _middle(path: Path, profile: str, side_px: int) -> degrade.Pair:
    """Cut only after the whole picture went through its codec; kept, as all are shown it."""
    pair = degrade.colour_pair(path, profile)
    return degrade.Pair(*(images.centre_cut(picture, side_px, side_px) for picture in pair))


def _mean(found: list[Figures]) -> Figures:
    return Figures(
        float(np.mean([figures.psnr_db for figures in found])),
        float(np.mean([figures.ssim for figures in found])),
        float(np.mean([figures.psnr_y_db for figures in found])),
        None
        if any(figures.lpips is None for figures in found)
        else float(np.mean([figures.lpips or 0.0 for figures in found])),
    )
