"""Figures as Markdown for people and JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from vcsharp_training.evaluate import ALL, Report, Score


def _unique(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(score: Score | None) -> str:
    return f"{score.psnr_db:.2f} / {score.ssim:.4f}" if score else "-"


def profile_table(report: Report) -> str:
    """One row per profile, one column per filter, over all categories."""
    profiles, filters = _unique([key[0] for key in report]), _unique([key[2] for key in report])
    rows = [
        [profile, *(_cell(report.get((profile, ALL, name))) for name in filters)]
        for profile in profiles
    ]
    return _table(["PSNR dB / SSIM", *filters], rows)


def category_table(report: Report, name: str, base: str = "input") -> str:
    """Gain of filter `name` over `base` per profile and category."""
    profiles = _unique([key[0] for key in report])
    kinds = sorted(_unique([key[1] for key in report if key[1] != ALL]))
    rows = []
    for profile in profiles:
        pairs = [(report[profile, kind, name], report[profile, kind, base]) for kind in kinds]
        rows.append(
            [profile, *(f"{a.psnr_db - b.psnr_db:+.2f} / {a.ssim - b.ssim:+.4f}" for a, b in pairs)]
        )
    return _table(["gain, dB / SSIM", *kinds], rows)


def to_json(report: Report) -> str:
    """Nested: profile, category, filter."""
    nested: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (profile, kind, name), score in report.items():
        nested.setdefault(profile, {}).setdefault(kind, {})[name] = score._asdict()
    return json.dumps(nested, indent=1) + "\n"
