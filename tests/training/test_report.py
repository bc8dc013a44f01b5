"""Tables, demands, colour and speed: what is said about a model is what was measured."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from skimage.metrics import structural_similarity
from vcsharp_training import (
    baselines,
    checks,
    colour,
    degrade,
    evaluate,
    images,
    measure_run,
    report,
    speed,
)
from vcsharp_training.evaluate import ALL, Score
from vcsharp_training.probes import Probe

from vcsharp.errors import ModelNotFoundError

NAMES = ("input", "unsharp", "cas 0", "cas 1")
CALM, RESTLESS = Probe(1.0, 0, 1), Probe(1.2, 0, 1)


def _report(**own) -> evaluate.Report:
    """A net that keeps every demand, but for what is given."""
    rivals = Score(30, 0.90, 5, sharpness=0.5, lpips=0.3)
    net = Score(31, 0.91, 5, sharpness=0.8, lpips=0.2)._replace(**own)
    found = {("half", ALL, name): rivals for name in NAMES} | {("half", ALL, "net"): net}
    clean = {("clean", ALL, name): Score(60, 1, 5, sharpness=1) for name in NAMES}
    return found | clean | {("clean", ALL, "net"): Score(47, 1, 5, sharpness=1)}


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({}, "ok"),
        ({"psnr_db": 29.9}, "not PSNR and SSIM above input (-0.10 dB, +0.0100)"),
        ({"ssim": 0.9}, "not PSNR and SSIM above unsharp (+1.00 dB, +0.0000)"),
        ({"lpips": 0.3}, "not LPIPS below unsharp's (0.3000, 0.3000)"),
        ({"lpips": np.nan}, "ok"),
        ({"sharpness": 0.69}, "not sharpness at least 0.7 (0.69)"),
    ],
)
def test_each_demand_that_is_missed_is_named_with_its_figures(own, words):
    lines = checks.lines(_report(**own), "net", {"net": CALM})
    assert lines[0].startswith("net, half: ")
    assert words in lines[0]
    assert lines[1:] == ["net, clean: ok", "net, still scene: ok"]


def test_a_restless_filter_and_one_that_harms_clean_pictures_are_named():
    found = _report() | {("clean", ALL, "net"): Score(44, 1, 5)}
    lines = checks.lines(found, "net", {"net": RESTLESS})
    assert lines[1] == "net, clean: not at least 45 dB (44.00 dB)"
    assert lines[2] == "net, still scene: not flicker at most 1 (1.200)"


def test_the_gain_table_names_every_profile_and_filter():
    table = report.gain_table(_report())
    assert table.splitlines()[0] == "| gain, dB / SSIM | input | unsharp | cas 0 | cas 1 | net |"
    assert "+1.00 / +0.0100 |" in table
    assert "| clean | +0.00 / +0.0000" in table


def test_what_was_not_measured_is_said_and_null():
    found = _report(lpips=np.nan)
    assert "not measured / 0.80" in report.look_table(found)
    assert not report.has_lpips(found)
    nested = json.loads(report.to_json(found))
    assert nested["half"][ALL]["net"]["lpips"] is None
    assert nested["half"][ALL]["net"]["psnr_db"] == 31


def test_colour_holds_chroma_and_scores_as_scikit_image():
    rng = np.random.default_rng(0)
    truth = rng.integers(30, 220, (48, 40, 3)).astype(np.uint8)
    given = images.to_bytes(truth + rng.normal(0, 4, truth.shape))
    assert np.array_equal(colour.sharpened(given, baselines.identity), given)
    lighter = colour.sharpened(given, lambda luma: luma + np.uint8(7)).astype(int) - given
    assert set(np.unique(lighter)) == {8}  # 7 levels of limited range
    psnr_db, ssim = colour.scores(baselines.identity, degrade.Pair(given, truth))
    error = np.mean((given.astype(float) - truth) ** 2)
    assert psnr_db == pytest.approx(10 * np.log10(255**2 / error), abs=1e-4)
    wanted = structural_similarity(given, truth, data_range=255, channel_axis=2)
    assert ssim == pytest.approx(wanted, abs=1e-9)


def test_rgb_is_measured_on_pictures_degraded_in_colour(pictures):
    options = evaluate.Options(images_per_category=1, rgb=True, profiles=("soft",))
    filters = {"input": baselines.identity}
    found = evaluate.measure(pictures, filters, options=options)["soft", ALL, "input"]
    pairs = [degrade.colour_pair(path, "soft") for path, _ in evaluate.chosen(pictures, 1)]
    scores = [colour.scores(baselines.identity, pair) for pair in pairs]
    assert found.images == len(pairs) == 2
    assert (found.psnr_rgb_db, found.ssim_rgb) == pytest.approx(tuple(np.mean(scores, axis=0)))


def test_frames_a_second_leave_the_warm_up_out(monkeypatch):
    clock, runs = itertools.count(0, 0.5), list[int]()  # half a second from look to look
    monkeypatch.setattr("vcsharp_training.speed.time.perf_counter", lambda: next(clock))
    assert speed.fps(lambda: runs.append(1), least_s=2) == 8 / 2.5
    assert len(runs) == speed.WARM_UP_FRAMES + 8


def test_models_are_found_by_path_and_an_unknown_one_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text("{}", "utf-8")
    assert measure_run.folder_of("mine").absolute() == folder
    assert measure_run.folder_of(str(folder)) == folder
    with pytest.raises(ModelNotFoundError, match="no model named 'nobody'"):
        measure_run.folder_of("nobody")
