"""Plots hold what they were given; the PNG is there, in the size that was drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from vcsharp_training import evaluate, plots

HISTORY = [
    {"step": step, "loss": 1 / step, "learning_rate": 1e-3, "half": step / 100, "clean": 47.0}
    for step in (10, 20, 30)
]


@pytest.fixture
def figures(monkeypatch) -> list[Figure]:
    """What was drawn, before it became a picture."""
    drawn: list[Figure] = []
    save = plots._save

    def keep(figure, path):
        drawn.append(figure)
        save(figure, path)

    monkeypatch.setattr(plots, "_save", keep)
    return drawn


def _picture(path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def test_curves_show_loss_rate_gain_and_clean(figures, tmp_path):
    plots.training_curves(HISTORY, tmp_path / "new" / "curves.png")
    assert _picture(tmp_path / "new" / "curves.png").std() > 5
    loss, gain, rate, clean = figures[0].axes
    assert list(loss.lines[0].get_ydata()) == [0.1, 0.05, 1 / 30]
    assert [line.get_label() for line in gain.lines][:1] == ["half"]
    assert list(gain.lines[0].get_xdata()) == [10, 20, 30]
    assert "dB" in gain.get_ylabel()
    assert rate.get_xlabel() == clean.get_xlabel() == "step"
    assert list(clean.lines[0].get_ydata()) == [47.0] * 3


def test_a_run_without_validations_gives_empty_curves(tmp_path):
    plots.training_curves([], tmp_path / "curves.png")
    assert _picture(tmp_path / "curves.png").size


def test_quality_against_cost_names_every_point(figures, tmp_path):
    points = [plots.Point("a", 1e3, 0.5, "ours"), plots.Point("b", 1e6, -1.0, "theirs")]
    plots.quality_against_cost(points, tmp_path / "cost.png")
    (axes,) = figures[0].axes
    assert {text.get_text() for text in axes.texts} == {"a", "b"}
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert [tuple(mark.get_offsets()[0]) for mark in axes.collections] == [(1e3, 0.5), (1e6, -1.0)]


def test_large_losses_leave_room_for_gains(figures, tmp_path):
    points = [plots.Point("a", 1e3, 0.5, "ours"), plots.Point("b", 1e6, -20.0, "theirs")]
    plots.quality_against_cost(points, tmp_path / "cost.png")
    (axes,) = figures[0].axes
    assert axes.get_yscale() == "symlog"
    assert "log scale beyond 1" in axes.get_ylabel()


@pytest.mark.parametrize(("lpips", "panels"), [(np.nan, 2), (0.1, 3)])
def test_gains_are_differences_from_the_input(figures, tmp_path, lpips, panels):
    report = {
        (profile, evaluate.ALL, name): evaluate.Score(psnr, 0.9, 3, lpips=lpips)
        for profile in ("half", "clean")
        for name, psnr in (("input", 30.0), ("net", 31.5))
    }
    plots.gains(report, tmp_path / "gains.png")
    assert len(figures[0].axes) == panels
    (bar,) = figures[0].axes[0].patches  # clean has no gain
    assert bar.get_height() == 1.5
