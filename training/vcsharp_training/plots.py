"""Pictures of figures, as PNG: how a run went, how good models are, and what that costs.

Drawn without a display. Colours are Okabe and Ito's, which people with colour blindness can tell
apart; lines also differ in their markers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vcsharp_training.evaluate import ALL, Report

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#333333")
MARKERS = "os^Dv<>P"
INK, GRID = "#333333", "#DDDDDD"
DPI = 110
WIDE_DB = 4.0
"""Losses larger than this would leave no room to tell the gains apart."""
_NOT_GAINS = {"step", "loss", "learning_rate", "score_db", "clean"}


class Point(NamedTuple):
    """A model in a plot of quality against cost."""

    name: str
    cost: float
    quality: float
    group: str
    """Points of one group share a colour."""


def _figure(width_in: float, height_in: float) -> Figure:
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _dress(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor="white")


def training_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Loss, learning rate, gain per profile and PSNR of clean pictures over the steps of a run.

    Args:
        history: one entry per validation, with `step`, `loss`, `learning_rate` and the gain in dB
            of each profile (for `clean` the PSNR itself), as checkpoints hold it.
        path: of the PNG.
    """
    figure = _figure(11, 7)
    steps = [entry["step"] for entry in history]
    (loss, gain), (rate, clean) = figure.subplots(2, 2, sharex=True)
    _curve(loss, steps, history, "loss", 0)
    loss.set_yscale("log")
    _dress(loss, "Loss", "", "loss of the last batch")
    _curve(rate, steps, history, "learning_rate", 1)
    _dress(rate, "Learning rate", "step", "learning rate")
    names = [name for name in history[-1] if name not in _NOT_GAINS] if history else []
    for index, name in enumerate(names):
        _curve(gain, steps, history, name, index)
    gain.axhline(0, color=INK, linewidth=1)
    _legend(gain, len(names))
    _dress(gain, "Gain over the input, held-out crops", "", "PSNR gain, dB")
    _curve(clean, steps, history, "clean", 2)
    _dress(clean, "Clean pictures", "step", "PSNR of output to input, dB")
    _save(figure, path)


def _curve(
    axes: Axes,
    steps: Sequence[float],
    history: Sequence[Mapping[str, float]],
    name: str,
    index: int,
) -> None:
    values = [entry.get(name, math.nan) for entry in history]
    axes.plot(
        steps,
        values,
        color=COLOURS[index % len(COLOURS)],
        marker=MARKERS[index % len(MARKERS)],
        markersize=4,
        markevery=max(1, len(steps) // 12),
        linewidth=1.8,
        label=name,
    )


def _legend(axes: Axes, count: int) -> None:
    if count:
        axes.legend(frameon=False, ncols=min(count, 4), fontsize=9, labelcolor=INK)


def quality_against_cost(
    points: Sequence[Point],
    path: Path,
    *,
    title: str = "Quality against cost",
    cost: str = "multiply-accumulates per pixel (log scale)",
    quality: str = "mean PSNR gain over the input, dB",
) -> None:
    """One mark per model; up and left is better."""
    figure = _figure(9, 5.5)
    axes = figure.subplots()
    groups = list(dict.fromkeys(point.group for point in points))
    for index, group in enumerate(groups):
        members = [point for point in points if point.group == group]
        axes.scatter(
            [point.cost for point in members],
            [point.quality for point in members],
            s=70,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            label=group,
            zorder=3,
        )
    axes.set_xscale("log")
    if min((point.quality for point in points), default=0) < -WIDE_DB:
        axes.set_yscale("symlog", linthresh=1)
        quality += " (log scale beyond 1)"
    axes.margins(0.12, 0.15)
    _name_points(axes, points)
    axes.axhline(0, color=INK, linewidth=1)
    _legend(axes, len(groups))
    _dress(axes, title, cost, quality)
    _save(figure, path)


def _name_points(axes: Axes, points: Sequence[Point]) -> None:
    """A name beside each mark; neighbours get theirs above and below by turns."""
    for index, point in enumerate(sorted(points, key=lambda point: point.cost)):
        above = index % 2 == 0
        axes.annotate(
            point.name,
            (point.cost, point.quality),
            xytext=(0, 9 if above else -9),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            fontsize=9,
            color=INK,
        )


def gains(report: Report, path: Path, base: str = "input") -> None:
    """What every filter gains per profile: PSNR, SSIM, and LPIPS where it was measured."""
    profiles = [name for name in dict.fromkeys(key[0] for key in report) if name != "clean"]
    names = [name for name in dict.fromkeys(key[2] for key in report) if name != base]
    panels = [("psnr_db", "PSNR of luma", "gain, dB"), ("ssim", "SSIM of luma", "gain")]
    if not math.isnan(next(iter(report.values())).lpips):
        panels.append(("lpips", "LPIPS: lower is better", "change"))
    figure = _figure(11, 2.9 * len(panels))
    rows = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axes, (measure, title, label) in zip(rows, panels, strict=True):
        for index, name in enumerate(names):
            values = [
                getattr(report[profile, ALL, name], measure)
                - getattr(report[profile, ALL, base], measure)
                for profile in profiles
            ]
            _bars(axes, values, index, len(names), name)
        axes.set_xticks(range(len(profiles)), profiles)
        axes.axhline(0, color=INK, linewidth=1)
        _dress(axes, title, "", label)
        axes.grid(visible=False, axis="x")
    marks = rows[0].get_legend_handles_labels()
    figure.legend(*marks, loc="outside lower center", ncols=len(names), frameon=False)
    _save(figure, path)


def _bars(axes: Axes, values: Sequence[float], index: int, count: int, name: str) -> None:
    width = 0.8 / count
    places = [place - 0.4 + (index + 0.5) * width for place in range(len(values))]
    axes.bar(places, values, width * 0.92, color=COLOURS[index % len(COLOURS)], label=name)
