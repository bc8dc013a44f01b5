"""All that is measured about models: one run through the runtime's engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vcsharp_training import classic, evaluate, probes, speed
from vcsharp_training.evaluate import Filter, Options, Report
from vcsharp_training.filters import EngineFilter
from vcsharp_training.measuring import Extras
from vcsharp_training.progress import Bar


@dataclass(frozen=True)
class Findings:
    """Figures by filter: baselines first, then models."""

    scores: Report
    probes: dict[str, probes.Probe]
    models: tuple[str, ...]
    """Names of the filters that are models."""
    classics: dict[str, dict[str, float]] = field(default_factory=dict)
    """Y-PSNR in dB by set and scale, then by filter."""
    costs: dict[str, speed.Cost] = field(default_factory=dict)


def find(
    data: Path,
    models: Mapping[str, EngineFilter],
    extras: Extras,
    *,
    workers: int = 1,
    timed: bool = True,
    progress: Bar | None = None,
) -> Findings:
    """Measures models beside the baselines on the pictures below `data`."""
    filters: dict[str, Filter] = evaluate.BASELINES | dict(models)
    options = Options(extras.images_per_category, extras.lpips, extras.rgb)
    scores = evaluate.measure(data, filters, workers=workers, options=options, progress=progress)
    return Findings(
        scores,
        evaluate.probe(data, filters),
        tuple(models),
        classic.measure(extras.bench, filters) if extras.bench else {},
        {name: speed.cost(model) for name, model in models.items()} if timed else {},
    )
