"""Runs what `vcsharp-train evaluate` asks for."""

from __future__ import annotations

import json
from pathlib import Path

from vcsharp import catalogue
from vcsharp_training import checks, images, plots, progress, report
from vcsharp_training import evaluate as evaluation
from vcsharp_training.filters import EngineFilter
from vcsharp_training.findings import Findings, find
from vcsharp_training.measuring import Evaluate

MODELS = Path("models")


def folder_of(name: str) -> Path:
    """A model's folder, by path, by name in `models/`, or as the runtime finds it."""
    for folder in (Path(name), MODELS / name):
        if (folder / "card.json").is_file():
            return folder
    return catalogue.find(name).folder


def measure(wanted: Evaluate) -> Findings:
    """Scores, probes and costs of models and baselines."""
    images.find_images(wanted.data)
    models = dict[str, EngineFilter]()
    for name in wanted.models:
        models |= evaluation.model_filters(folder_of(name), wanted.precisions, wanted.device)
    with progress.bar("measuring") as bar:
        return find(
            wanted.data,
            models,
            wanted,
            workers=wanted.workers,
            timed=wanted.speed,
            progress=bar,
        )


def evaluate(wanted: Evaluate) -> str:
    """Measures, writes the files that were asked for, and returns the tables."""
    found = measure(wanted)
    text = markdown(found)
    if wanted.json_file:
        wanted.json_file.write_text(report.to_json(found.scores), "utf-8")
    if wanted.out:
        wanted.out.mkdir(parents=True, exist_ok=True)
        (wanted.out / "evaluation.md").write_text(text, "utf-8")
        (wanted.out / "evaluation.json").write_text(_json(found), "utf-8")
        plots.gains(found.scores, wanted.out / "gains.png")
    return text


def markdown(found: Findings) -> str:
    """Every table, and a line per model and profile on what is asked of it."""
    scores = found.scores
    parts = [report.gain_table(scores), report.profile_table(scores), report.look_table(scores)]
    parts += [report.rgb_table(scores)] if report.has_rgb(scores) else []
    parts += [
        f"{name}, by category\n\n{report.category_table(scores, name)}" for name in found.models
    ]
    parts += [report.probe_table(found.probes)]
    parts += [report.classic_table(found.classics)] if found.classics else []
    parts += [report.cost_table(found.costs)] if found.costs else []
    demands = [
        f"- {line}" for name in found.models for line in checks.lines(scores, name, found.probes)
    ]
    parts += ["\n".join(demands)]
    return "\n\n".join(parts) + "\n"


def _json(found: Findings) -> str:
    content = {
        "scores": report.nested(found.scores),
        "probes": {name: probe._asdict() for name, probe in found.probes.items()},
        "benchmarks": found.classics,
        "costs": {name: cost._asdict() for name, cost in found.costs.items()},
    }
    return json.dumps(content, indent=1) + "\n"
