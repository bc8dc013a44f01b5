"""What a student has to be better than, and whether it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vcsharp_training.evaluate import ALL, Report, Score
from vcsharp_training.probes import Probe

RIVALS = ("input", "unsharp", "cas 0", "cas 1")
BLURRED = ("soft", "half")
"""Profiles whose result has to be crisp again."""
LEAST_SHARPNESS = 0.7
CLEAN, LEAST_CLEAN_DB = "clean", 45.0
STILL = "still scene"


class Check(NamedTuple):
    """One demand."""

    profile: str
    demand: str
    kept: bool
    figures: str


def checks(report: Report, name: str, probe: Probe) -> list[Check]:
    """Every demand on filter `name`, kept or not."""
    found = list[Check]()
    for profile in dict.fromkeys(key[0] for key in report):
        scores = {key[2]: score for key, score in report.items() if key[:2] == (profile, ALL)}
        found += _clean(scores[name]) if profile == CLEAN else _degraded(profile, name, scores)
    calm = probe.flicker <= 1
    return [*found, Check(STILL, "flicker at most 1", calm, f"{probe.flicker:.3f}")]


def _clean(score: Score) -> list[Check]:
    kept = score.psnr_db >= LEAST_CLEAN_DB
    return [Check(CLEAN, f"at least {LEAST_CLEAN_DB:.0f} dB", kept, f"{score.psnr_db:.2f} dB")]


def _degraded(profile: str, name: str, scores: dict[str, Score]) -> Iterator[Check]:
    own = scores[name]
    for rival in (rival for rival in RIVALS if rival in scores):
        other = scores[rival]
        better = own.psnr_db > other.psnr_db and own.ssim > other.ssim
        figures = f"{own.psnr_db - other.psnr_db:+.2f} dB, {own.ssim - other.ssim:+.4f}"
        yield Check(profile, f"PSNR and SSIM above {rival}", better, figures)
    for rival in (rival for rival in RIVALS[:2] if rival in scores):
        if not math.isnan(own.lpips):
            lower = own.lpips < scores[rival].lpips
            figures = f"{own.lpips:.4f}, {scores[rival].lpips:.4f}"
            yield Check(profile, f"LPIPS below {rival}'s", lower, figures)
    if profile in BLURRED:
        crisp = own.sharpness >= LEAST_SHARPNESS
        yield Check(profile, f"sharpness at least {LEAST_SHARPNESS}", crisp, f"{own.sharpness:.2f}")


def lines(report: Report, name: str, probes: Mapping[str, Probe]) -> list[str]:
    """One line per profile: `ok`, or what is missed and by how much."""
    found = checks(report, name, probes[name])
    result = list[str]()
    for profile in dict.fromkeys(check.profile for check in found):
        missed = [check for check in found if check.profile == profile and not check.kept]
        text = "; ".join(f"not {check.demand} ({check.figures})" for check in missed) or "ok"
        result.append(f"{name}, {profile}: {text}")
    return result
