"""Writes a model's folder: both ONNX files and the torch weights of the student and of each expert,
the gate, the card and the page for people. Never by hand.

The figures in the card are measured on the very int8 file that the folder holds, through the
runtime's engine.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from safetensors.torch import save

from vcsharp.catalogue import (
    Architecture,
    BenchmarkMetrics,
    Card,
    FileKind,
    ModelFile,
    ProfileMetrics,
    SideEffects,
    Speed,
)
from vcsharp.engine.gate import Table
from vcsharp.nets.plain import halo_px, mac_per_px, receptive_field_px
from vcsharp_training import degrade, evaluate, onnx_graph, page, report, weights
from vcsharp_training.errors import DataError
from vcsharp_training.filters import OnnxFilter
from vcsharp_training.findings import Findings, find
from vcsharp_training.measuring import Extras
from vcsharp_training.progress import Bar
from vcsharp_training.quant import QuantStudent
from vcsharp_training.recipe import Recipe

FILES: dict[FileKind, str] = {
    "int8": "model.int8.onnx",
    "fp32": "model.onnx",
    "torch": "model.safetensors",
}
GATE, CARD = "gate.json", "card.json"
LICENCE = "GPL-2.0-or-later"
CLEAN = "clean"
TAUGHT = "taught.json"
FLAT_PX = 64


@dataclass(frozen=True)
class Trained:
    """Everything that a run has made."""

    student: QuantStudent
    experts: Mapping[str, QuantStudent] = field(default_factory=dict)
    """By kind of picture."""
    gate: Table | None = None
    """Chooses between them; there is one where there are experts."""


def file_names(kind: str = "") -> dict[FileKind, str]:
    """What the files of the student, or of an expert, are called."""
    stem = kind or "model"
    return {file: stem + name.removeprefix("model") for file, name in FILES.items()}


def write_files(folder: Path, name: str, model: QuantStudent, kind: str = "") -> None:
    """Writes the three weight files of a student, or of its expert for a kind of picture."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, names = model.plain, file_names(kind)
    onnx.save(
        onnx_graph.int8_model(name, weights.int_layers(model), plain.stride), folder / names["int8"]
    )
    onnx.save(
        onnx_graph.float_model(name, weights.float_layers(plain), plain.stride),
        folder / names["fp32"],
    )
    state = {key: value.contiguous() for key, value in plain.state_dict().items()}
    (folder / names["torch"]).write_bytes(save(state))


def model_file(path: Path) -> ModelFile:
    """A card's entry for a file."""
    content = path.read_bytes()
    return ModelFile(name=path.name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def flat_response(sharpen: evaluate.Filter) -> int:
    """By how many levels, at most, plain greys of all 256 levels change, borders included."""
    greys = (np.full((FLAT_PX, FLAT_PX), level, np.uint8) for level in range(256))
    return max(int(np.abs(sharpen(grey).astype(int) - grey).max()) for grey in greys)


def _rounded(value: float, digits: int) -> float | None:
    """None for what was not measured."""
    return None if math.isnan(value) else round(value, digits)


def _profile_metrics(found: evaluate.Report, profile: str, name: str) -> ProfileMetrics:
    before, after = found[profile, evaluate.ALL, "input"], found[profile, evaluate.ALL, name]
    return ProfileMetrics(
        psnr_in_db=round(before.psnr_db, 5),
        psnr_out_db=round(after.psnr_db, 5),
        psnr_gain_db=round(after.psnr_db - before.psnr_db, 5),
        ssim_in=round(before.ssim, 5),
        ssim_out=round(after.ssim, 5),
        ssim_gain=round(after.ssim - before.ssim, 5),
        images=after.images,
        lpips_in=_rounded(before.lpips, 4),
        lpips_out=_rounded(after.lpips, 4),
        sharpness_in=_rounded(before.sharpness, 3),
        sharpness_out=_rounded(after.sharpness, 3),
        psnr_rgb_gain_db=_rounded(after.psnr_rgb_db - before.psnr_rgb_db, 3),
        ssim_rgb_gain=_rounded(after.ssim_rgb - before.ssim_rgb, 5),
    )


def write_bare(folder: Path, recipe: Recipe, recipe_path: str, made: Trained) -> Card:
    """Writes a model that the runtime can run, with a card that holds no figures yet."""
    write_files(folder, recipe.name, made.student)
    for kind, expert in made.experts.items():
        write_files(folder, recipe.name, expert, kind)
    if made.gate:
        (folder / GATE).write_text(made.gate.model_dump_json() + "\n", "utf-8")
    params = sum(weight.numel() for weight in made.student.plain.parameters())
    card = _bare_card(recipe, recipe_path, params, folder)
    if made.gate:
        experts = {kind: _entries(folder, kind) for kind in made.experts}
        card = card.model_copy(update={"experts": experts, "gate": model_file(folder / GATE)})
    _write_card(folder, card)
    return card


def _entries(folder: Path, kind: str = "") -> dict[FileKind, ModelFile]:
    return {file: model_file(folder / name) for file, name in file_names(kind).items()}


def _bare_card(recipe: Recipe, recipe_path: str, params: int, folder: Path) -> Card:
    channels, stride = recipe.network.channels, recipe.network.stride
    return Card(
        name=recipe.name,
        version=recipe.version,
        summary=recipe.summary,
        architecture=Architecture(channels=channels, stride=stride),
        params=params,
        mac_per_px=mac_per_px(channels, stride),
        receptive_field_px=receptive_field_px(channels, stride),
        halo_px=halo_px(channels, stride),
        multiple_of=stride,
        files=_entries(folder),
        teacher=_teacher(recipe),
        data=recipe.data_note,
        recipe=recipe_path,
        metrics={},
        clean_psnr_db=0.0,
        licence=LICENCE,
    )


def _teacher(recipe: Recipe) -> str:
    """Who taught beside the ground truth, as the bank's own record has it."""
    weight = max(recipe.train.loss.teacher, recipe.qat.loss.teacher)
    if not weight:
        seen = max(recipe.train.loss.lpips, recipe.qat.loss.lpips)
        also = f", and for LPIPS itself (weight {seen:g})" if seen else ""
        return f"none: trained on the ground truth{also}"
    try:
        record = json.loads((recipe.bank_folder / TAUGHT).read_text("utf-8"))
        name = record["made_of"]["teacher"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"cannot tell who taught '{recipe.name}' from '{recipe.bank_folder / TAUGHT}': "
            f"{error}; run 'vcsharp-train teacher cache' on its bank"
        ) from error
    return f"{name}, weight {weight:g} beside the ground truth"


def with_figures(card: Card, found: Findings) -> Card:
    """The card with everything that was measured; its figures are those of the int8 file."""
    int8, scores = f"{card.name} int8", found.scores
    degraded = [name for name in degrade.EVALUATION if name != CLEAN]
    speed = found.costs[int8]._asdict() if int8 in found.costs else None
    return card.model_copy(
        update={
            "metrics": {name: _profile_metrics(scores, name, int8) for name in degraded},
            "clean_psnr_db": round(scores[CLEAN, evaluate.ALL, int8].psnr_db, 2),
            "int8_loss_db": round(_int8_loss_db(card.name, scores, degraded), 3),
            "side_effects": SideEffects(
                **{key: round(value, 3) for key, value in found.probes[int8]._asdict().items()}
            ),
            "benchmarks": {
                place: BenchmarkMetrics(
                    psnr_in_db=round(figures["input"], 2), psnr_out_db=round(figures[int8], 2)
                )
                for place, figures in found.classics.items()
            },
            "speed": _speed(speed) if speed else None,
        }
    )


def _speed(cost: dict[str, object]) -> Speed:
    figures = {key: cost[key] for key in Speed.model_fields}
    return Speed.model_validate(
        figures | {key: round(float(str(cost[key])), 1) for key in ("fps_512", "fps_1080p_tiled")}
    )


def _int8_loss_db(name: str, scores: evaluate.Report, profiles: Sequence[str]) -> float:
    """The largest, over the profiles."""
    return max(
        scores[profile, evaluate.ALL, f"{name} fp32"].psnr_db
        - scores[profile, evaluate.ALL, f"{name} int8"].psnr_db
        for profile in profiles
    )


def write_model(
    recipe: Recipe,
    recipe_path: str,
    made: Trained,
    progress: Bar | None = None,
    extras: Extras | None = None,
) -> Card:
    """Writes, measures and describes a model; returns its card.

    Everything is made in a folder beside the checkpoints and moved to the models at the end, so a
    model that is there already stays whole until its successor is.
    """
    staging = recipe.phase_folder("export") / recipe.name
    shutil.rmtree(staging, ignore_errors=True)
    card = write_bare(staging, recipe, recipe_path, made)
    models = evaluate.model_filters(staging)
    found = find(recipe.dev, models, extras or Extras(), workers=recipe.workers, progress=progress)
    card = with_figures(card, found)
    _write_card(staging, card)
    flat = max(
        flat_response(OnnxFilter(staging / file_names(kind)["int8"]))
        for kind in ("", *made.experts)
    )
    (staging / "README.md").write_text(page.text(card, found, flat), "utf-8")
    _publish(staging, recipe.model_folder)
    recipe.phase_folder("evaluation.json").write_text(report.to_json(found.scores), "utf-8")
    return card


def _write_card(folder: Path, card: Card) -> None:
    (folder / CARD).write_text(card.model_dump_json(indent=1, exclude_none=True) + "\n", "utf-8")


def _publish(staging: Path, folder: Path) -> None:
    """Copies a finished model into its place; the card comes last, as it names the others."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in staging.iterdir() if path.name != CARD)
    for name in (*names, CARD):
        shutil.copyfile(staging / name, folder / name)
