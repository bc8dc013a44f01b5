"""Mean opinion scores by method and category.

One person's marks hang together, so a person counts as one value: first each rater's mean is taken,
then the mean and its interval over raters. With a single rater the pictures take the raters' place,
and the report says so.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from vcsharp_training import report as tables
from vcsharp_training.errors import DataError
from vcsharp_training.mos import ratings, stats
from vcsharp_training.mos.command import Report
from vcsharp_training.mos.ratings import Rating

ALL = "all"

Unit = Callable[[Rating], str]
"""Names what counts as one value."""
Scores = dict[str, dict[str, stats.Mean]]
"""By category (or `all`), then by method."""


def report(wanted: Report) -> str:
    """The report as Markdown; writes the JSON if it is asked for. Raises DataError."""
    key = ratings.read_key(wanted.key)
    found = ratings.read(wanted.ratings, key)
    if wanted.against and wanted.against not in key.methods:
        raise DataError(f"no method '{wanted.against}'; there are {', '.join(key.methods)}")
    raters = sorted({rating.rater for rating in found})
    unit: Unit = _rater if len(raters) > 1 else _scene
    scores = _by_category(found, lambda part: _means(part, unit, wanted.confidence))
    differences = _differences(found, unit, wanted)
    if wanted.json_file:
        content = {"raters": len(raters), "ratings": len(found), "confidence": wanted.confidence}
        sections = {"scores": _plain(scores), "differences": _plain(differences)}
        wanted.json_file.write_text(json.dumps(content | sections, indent=1) + "\n", "utf-8")
    return _markdown(wanted, found, len(raters), scores, differences)


def _rater(rating: Rating) -> str:
    return rating.rater


def _scene(rating: Rating) -> str:
    return rating.scene


def _by_category(
    found: Sequence[Rating], sum_up: Callable[[Sequence[Rating]], dict[str, stats.Mean]]
) -> Scores:
    categories = sorted({rating.category for rating in found})
    parts = {name: [r for r in found if r.category == name] for name in categories}
    return {ALL: sum_up(found)} | {name: sum_up(part) for name, part in parts.items()}


def _unit_means(found: Sequence[Rating], unit: Unit) -> dict[str, dict[str, float]]:
    """By method, then by unit."""
    marks = defaultdict[tuple[str, str], list[int]](list)
    for rating in found:
        marks[rating.method, unit(rating)].append(rating.rating)
    result = defaultdict[str, dict[str, float]](dict)
    for (method, name), values in marks.items():
        result[method][name] = sum(values) / len(values)
    return dict(sorted(result.items()))


def _means(found: Sequence[Rating], unit: Unit, confidence: float) -> dict[str, stats.Mean]:
    return {
        method: stats.mean(list(values.values()), confidence)
        for method, values in _unit_means(found, unit).items()
    }


def _differences(found: Sequence[Rating], unit: Unit, wanted: Report) -> Scores:
    """Of every method from `against`, paired by unit."""
    base = wanted.against
    if base is None:
        return {}

    def sum_up(part: Sequence[Rating]) -> dict[str, stats.Mean]:
        means = _unit_means(part, unit)
        own = means.get(base, {})
        pairs = {
            method: [value - own[name] for name, value in values.items() if name in own]
            for method, values in means.items()
            if method != base
        }
        return {name: stats.mean(v, wanted.confidence) for name, v in pairs.items() if v}

    return _by_category(found, sum_up)


def _plain(scores: Scores) -> dict[str, dict[str, dict[str, float | None]]]:
    """JSON knows no infinity: an interval that cannot be known is null."""
    return {
        name: {
            method: mean._asdict() | {"reach": None if math.isinf(mean.reach) else mean.reach}
            for method, mean in means.items()
        }
        for name, means in scores.items()
    }


def _markdown(
    wanted: Report, found: Sequence[Rating], raters: int, scores: Scores, differences: Scores
) -> str:
    over = "raters" if raters > 1 else "pictures, as there is one rater only"
    parts = [
        f"{len(found)} ratings by {raters} rater{'s' * (raters > 1)}, 1 (bad) to 5 (excellent). "
        f"Means with {100 * wanted.confidence:g} % confidence intervals (Student's t over {over}).",
        _table("mean opinion", scores, "{:.2f}"),
    ]
    if differences:
        parts.append(_table(f"difference from {wanted.against}", differences, "{:+.2f}"))
    return "\n\n".join(parts) + "\n"


def _table(title: str, scores: Scores, form: str) -> str:
    methods = sorted(scores[ALL], key=lambda method: -scores[ALL][method].value)
    rows = [
        [method, *(_cell(means.get(method), form) for means in scores.values())]
        for method in methods
    ]
    return tables.table([title, *scores], rows)


def _cell(mean: stats.Mean | None, form: str) -> str:
    if mean is None:
        return "-"
    reach = "?" if math.isinf(mean.reach) else f"{mean.reach:.2f}"
    return f"{form.format(mean.value)} ± {reach}"
