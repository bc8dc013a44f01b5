"""Writes `docs/comparison.md` and its plot."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vcsharp_training import degrade, evaluate, plots, report, speed
from vcsharp_training.compare import Compare

if TYPE_CHECKING:
    from vcsharp_training.contest import Figures, Result

CLEAN = "clean"
DEGRADED = tuple(name for name in degrade.EVALUATION if name != CLEAN)

EVEN_DB = 0.005
CLAIMED_FPS = 46
"""Of the U-Net at 1080p, by its report."""
REPORTED = {
    "r1-light-cnn": (
        "PSNR 12.91 dB, SSIM 0.4584",
        "It learnt from the teacher's pictures alone and paints each picture anew. One left as it "
        "was scores far higher; the report does not say how much.",
    ),
    "r2-unet-se": (
        "SSIM 0.9120, PSNR 22.43 dB; 361 fps at 512x512, 46 fps at 1080p (RTX 3050 Laptop)",
        "GoPro's motion blur, 50 epochs on a GPU, no score of the input. With its multiplications "
        "in the table, 46 fps at 1080p are {tflops:.0f} TFLOPS, many times what such a card "
        "has: the network that was timed is another one, or the GPU was not waited for.",
    ),
    "r3-residual-unet": (
        "SSIM 95.72 %",
        "Inputs blurred by a Gaussian of 0.5 px. Untouched, ours score 41.0 dB and 98.85 % then: "
        "the result is worse than doing nothing.",
    ),
    "r4-cnn-v3": (
        "about 29.2 dB, about 0.87 (estimated)",
        "GoPro, by the authors' estimate. A sigmoid paints the whole picture anew, so good "
        "pictures are harmed as well.",
    ),
    "r5-shallow-cnn": (
        'mean SSIM 0.7678 on 100 pictures; "99.5 %, 45.01 dB, 655 ms a frame"',
        "DIV2K scaled down and up. Untouched, ours score 0.930 after bicubic by 2 and 0.812 by 4, "
        "so the first figure is below doing nothing, and the second fits neither.",
    ),
}
"""What each project reports, and why that is not the figure here. Untouched scores: RGB, 30
held-out pictures of ours, their middle 512 px."""

_PAGE = """\
# The reference projects beside ours

Five public projects set out to do what vcsharp does. `training/recipes/r1-...toml` to `r5-...toml`
rebuild their students from their reports; `vcsharp-train compare` trains them and ours on the same
crops for the same time and measures all on the same pictures. This page is written by that command.

**The budget: {budget} each**, on {threads} thread(s) of {machine}, {date}. It shows who learns what
in equal time, not what any of them could reach; what is large saw few pictures. All trained on
{crops:,} RGB crops of {crop_px} px with the degradations of [training.md](training.md), not on
their own data; losses, rates and batches are those of their recipes. {pictures} held-out pictures,
their middle {dev_px} px, were measured.

## Result

PSNR of RGB in dB, gain over the input; for `clean`, PSNR to the input (equal pictures count 60).
`seen` is crops looked at, `ms` the processor time for a picture of 512x512 in fp32.

{table}

{worse}

![mean gain against cost](images/comparison.png)

| SSIM of RGB{lpips_title} | {profiles} |
|---|{rule}|
{looks}

## What taught them

{taught}

## What the projects report, and why it differs

{reported}

Untouched scores of ours are of RGB, the middle 512 px of 30 held-out pictures. Missing in all five
reports is just that: the score of the untouched input. Without it no figure says whether a network
helps.

## Repeat

    vcsharp-train compare --data PICTURES --dev HELD_OUT_PICTURES --seconds {seconds:.0f}

Steps are fixed by timing a few steps first, so a faster machine trains longer in the same time;
`--steps N` gives all the same number instead.
"""


def write(
    wanted: Compare,
    crops: int,
    unprocessed: Mapping[str, Mapping[str, Figures]],
    results: Sequence[Result],
) -> str:
    """Writes page and plot, and returns the table."""
    table = _table(unprocessed, results)
    images = wanted.docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    _plot(unprocessed["input"], results, images / "comparison.png")
    text = _PAGE.format(
        budget=f"{wanted.steps} steps"
        if wanted.steps
        else f"{wanted.seconds:.0f} s of processor time",
        threads=wanted.threads,
        machine=speed.machine(),
        date=datetime.datetime.now(datetime.UTC).date(),
        crops=crops,
        crop_px=wanted.crop_px,
        pictures=len(evaluate.chosen(wanted.dev, wanted.images_per_category)),
        dev_px=wanted.dev_px,
        table=table,
        worse=_worse(unprocessed["input"], results),
        lpips_title=" / LPIPS of luma" if wanted.lpips else "",
        profiles=" | ".join(DEGRADED),
        rule="|".join(["---"] * len(DEGRADED)),
        looks=_looks(unprocessed, results),
        taught="\n".join(f"- {result.name}: {result.taught_by}" for result in results),
        reported=_reported(results),
        seconds=wanted.seconds,
    )
    (wanted.docs / "comparison.md").write_text(text, "utf-8")
    return table + "\n"


def _budget(wanted: Compare) -> str:
    return f"{wanted.steps} steps" if wanted.steps else f"{wanted.seconds:.0f} s of processor time"


def _gains(found: Mapping[str, Figures], base: Mapping[str, Figures]) -> list[str]:
    gains = [f"{found[name].psnr_db - base[name].psnr_db:+.2f}" for name in DEGRADED]
    return [*gains, f"{found[CLEAN].psnr_db:.1f}"]


def _table(unprocessed: Mapping[str, Mapping[str, Figures]], results: Sequence[Result]) -> str:
    base = unprocessed["input"]
    rows = [[name, "", "", "", "", *_gains(found, base)] for name, found in unprocessed.items()]
    rows += [
        [
            result.name,
            f"{result.params:,}",
            f"{result.mac_per_px:,}",
            f"{result.cpu_ms_512:.0f}",
            f"{result.crops_seen:,}",
            *_gains(result.by_profile, base),
        ]
        for result in results
    ]
    return report.table(["", "parameters", "MAC/px", "ms", "seen", *DEGRADED, CLEAN], rows)


def _looks(unprocessed: Mapping[str, Mapping[str, Figures]], results: Sequence[Result]) -> str:
    every = dict(unprocessed) | {result.name: result.by_profile for result in results}
    rows = [
        f"| {name} | " + " | ".join(_look(found[profile]) for profile in DEGRADED) + " |"
        for name, found in every.items()
    ]
    return "\n".join(rows)


def _look(figures: Figures) -> str:
    lpips = "" if figures.lpips is None else f" / {figures.lpips:.3f}"
    return f"{figures.ssim:.4f}{lpips}"


def _reported(results: Sequence[Result]) -> str:
    rows = [[one.name, *_claim(one)] for one in results if one.name in REPORTED]
    return report.table(["", "reported", "why it differs"], rows)


def _claim(result: Result) -> list[str]:
    tflops = _tflops_1080p(result, CLAIMED_FPS)
    return [text.format(tflops=tflops) for text in REPORTED[result.name]]


def _worse(base: Mapping[str, Figures], results: Sequence[Result]) -> str:
    """Who would better have done nothing, and who did."""
    gains = {result.name: mean_gain_db(result.by_profile, base) for result in results}
    worse = [name for name, gain in gains.items() if gain < -EVEN_DB]
    even = [name for name, gain in gains.items() if abs(gain) <= EVEN_DB]
    lines = {
        "Worse than the untouched input, over all degraded profiles: ": worse,
        "Not off the untouched input yet, which is where ours begin: ": even,
    }
    said = [f"{words}{', '.join(names)}." for words, names in lines.items() if names]
    return "\n".join(said) or "All are better than the untouched input, over all degraded profiles."


def _tflops_1080p(result: Result, fps: float) -> float:
    """What a frame rate asks of the machine, at two operations per multiply-accumulate."""
    return 2 * result.mac_per_px * 1920 * 1080 * fps / 1e12


def mean_gain_db(result: Mapping[str, Figures], base: Mapping[str, Figures]) -> float:
    """Over the degraded profiles."""
    gains = [result[name].psnr_db - base[name].psnr_db for name in DEGRADED]
    return sum(gains) / len(gains)


def _plot(base: Mapping[str, Figures], results: Sequence[Result], path: Path) -> None:
    points = [
        plots.Point(
            result.name,
            result.mac_per_px,
            mean_gain_db(result.by_profile, base),
            result.group,
        )
        for result in results
    ]
    plots.quality_against_cost(
        points, path, title="Same crops, same training time: quality against cost"
    )
