"""Figures as Markdown for people and JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence

from vcsharp_training.evaluate import ALL, Report, Score
from vcsharp_training.probes import Probe
from vcsharp_training.speed import Cost

Cell = Callable[[Score, Score], str]
"""The text for a score, given the input's score as well."""


def _unique(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


def profiles(report: Report) -> list[str]:
    """The profiles that a report covers."""
    return _unique([key[0] for key in report])


def filters(report: Report) -> list[str]:
    """The filters that a report covers."""
    return _unique([key[2] for key in report])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _by_profile(report: Report, title: str, cell: Cell) -> str:
    """One row per profile, one column per filter, over all categories."""
    names = filters(report)
    rows = [
        [kind, *(cell(report[kind, ALL, name], report[kind, ALL, names[0]]) for name in names)]
        for kind in profiles(report)
    ]
    return table([title, *names], rows)


def profile_table(report: Report) -> str:
    """PSNR and SSIM of luma."""
    return _by_profile(
        report, "PSNR dB / SSIM", lambda score, _: f"{score.psnr_db:.2f} / {score.ssim:.4f}"
    )


def gain_table(report: Report) -> str:
    """Gain over the input, which is the first filter."""
    return _by_profile(
        report,
        "gain, dB / SSIM",
        lambda score, base: f"{score.psnr_db - base.psnr_db:+.2f} / {score.ssim - base.ssim:+.4f}",
    )


def rgb_table(report: Report) -> str:
    """PSNR and SSIM of the coloured picture."""
    return _by_profile(
        report,
        "RGB: PSNR dB / SSIM",
        lambda score, _: f"{score.psnr_rgb_db:.2f} / {score.ssim_rgb:.4f}",
    )


def look_table(report: Report) -> str:
    """LPIPS and sharpness."""
    return _by_profile(
        report,
        "LPIPS / sharpness",
        lambda score, _: f"{_figure(score.lpips)} / {score.sharpness:.2f}",
    )


def _figure(value: float) -> str:
    return "not measured" if math.isnan(value) else f"{value:.4f}"


def category_table(report: Report, name: str, base: str = "input") -> str:
    """Gain of filter `name` over `base` per profile and category."""
    kinds = sorted(_unique([key[1] for key in report if key[1] != ALL]))
    rows = []
    for profile in profiles(report):
        pairs = [(report[profile, kind, name], report[profile, kind, base]) for kind in kinds]
        rows.append(
            [profile, *(f"{a.psnr_db - b.psnr_db:+.2f} / {a.ssim - b.ssim:+.4f}" for a, b in pairs)]
        )
    return table(["gain, dB / SSIM", *kinds], rows)


def probe_table(found: Mapping[str, Probe]) -> str:
    """What each filter adds of its own."""
    rows = [
        [name, f"{probe.flicker:.3f}", f"{100 * probe.overshoot:.1f} %", f"{probe.grain:.3f}"]
        for name, probe in found.items()
    ]
    return table(["", "flicker", "overshoot", "grain"], rows)


def classic_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Y-PSNR by set and scale."""
    names = _unique([name for figures in found.values() for name in figures])
    rows = [[name, *(f"{figures[name]:.2f}" for figures in found.values())] for name in names]
    return table(["Y-PSNR dB", *found], rows)


def cost_table(costs: Mapping[str, Cost]) -> str:
    """What each model costs."""
    rows = [
        [
            name,
            f"{cost.params:,}",
            f"{cost.mac_per_px:,}",
            f"{cost.fps_512:.1f}",
            f"{cost.fps_1080p_tiled:.1f}",
        ]
        for name, cost in costs.items()
    ]
    head = ["", "parameters", "MAC/px", "fps 512x512, one tile", "fps 1920x1080, tiled"]
    return table(head, rows)


def has_rgb(report: Report) -> bool:
    """Whether the coloured picture was measured."""
    return not any(math.isnan(score.psnr_rgb_db) for score in report.values())


def has_lpips(report: Report) -> bool:
    """Whether LPIPS was measured."""
    return not any(math.isnan(score.lpips) for score in report.values())


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON knows no NaN: what was not measured is null."""
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def to_json(report: Report) -> str:
    """Nested: profile, category, filter."""
    return json.dumps(nested(report), indent=1) + "\n"


def nested(report: Report) -> dict[str, dict[str, dict[str, dict[str, float | None]]]]:
    """The report as JSON holds it."""
    result: dict[str, dict[str, dict[str, dict[str, float | None]]]] = {}
    for (profile, kind, name), score in report.items():
        result.setdefault(profile, {}).setdefault(kind, {})[name] = _plain(score._asdict())
    return result
