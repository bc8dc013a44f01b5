"""Writes a model's folder: both ONNX files, the torch weights, the card and the page for people.
Never by hand.

The figures in the card are measured on the very int8 file that the folder holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from safetensors.torch import save

from vcsharp.catalogue import Architecture, Card, FileKind, ModelFile, ProfileMetrics
from vcsharp.nets.plain import halo_px, mac_per_px, receptive_field_px
from vcsharp_training import degrade, evaluate, onnx_graph, page, report, weights
from vcsharp_training.filters import OnnxFilter
from vcsharp_training.quant import QuantStudent
from vcsharp_training.recipe import Recipe

FILES: dict[FileKind, str] = {
    "int8": "model.int8.onnx",
    "fp32": "model.onnx",
    "torch": "model.safetensors",
}
LICENCE = "GPL-2.0-or-later"
CLEAN = "clean"
FLAT_PX = 64


def write_files(folder: Path, name: str, model: QuantStudent) -> None:
    """Writes the three weight files of a student."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = model.plain
    onnx.save(
        onnx_graph.int8_model(name, weights.int_layers(model), plain.stride), folder / FILES["int8"]
    )
    onnx.save(
        onnx_graph.float_model(name, weights.float_layers(plain), plain.stride),
        folder / FILES["fp32"],
    )
    state = {key: value.contiguous() for key, value in plain.state_dict().items()}
    (folder / FILES["torch"]).write_bytes(save(state))


def model_file(path: Path) -> ModelFile:
    """A card's entry for a file."""
    content = path.read_bytes()
    return ModelFile(name=path.name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def flat_response(sharpen: evaluate.Filter) -> int:
    """By how many levels, at most, plain greys of all 256 levels change, borders included."""
    greys = (np.full((FLAT_PX, FLAT_PX), level, np.uint8) for level in range(256))
    return max(int(np.abs(sharpen(grey).astype(int) - grey).max()) for grey in greys)


def _profile_metrics(found: evaluate.Report, profile: str, name: str) -> ProfileMetrics:
    before, after = found[profile, evaluate.ALL, "input"], found[profile, evaluate.ALL, name]
    return ProfileMetrics(
        psnr_in_db=round(before.psnr_db, 3),
        psnr_out_db=round(after.psnr_db, 3),
        psnr_gain_db=round(after.psnr_db - before.psnr_db, 3),
        ssim_in=round(before.ssim, 5),
        ssim_out=round(after.ssim, 5),
        ssim_gain=round(after.ssim - before.ssim, 5),
        images=after.images,
    )


def make_card(recipe: Recipe, recipe_path: str, params: int, found: evaluate.Report) -> Card:
    """The facts about an exported folder."""
    channels, stride = recipe.network.channels, recipe.network.stride
    int8 = f"{recipe.name} int8"
    degraded = [name for name in degrade.EVALUATION if name != CLEAN]
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
        files={kind: model_file(recipe.model_folder / file) for kind, file in FILES.items()},
        teacher="none: trained on the ground truth",
        data=recipe.data_note,
        recipe=recipe_path,
        metrics={name: _profile_metrics(found, name, int8) for name in degraded},
        clean_psnr_db=round(found[CLEAN, evaluate.ALL, int8].psnr_db, 2),
        licence=LICENCE,
    )


def write_model(
    recipe: Recipe,
    recipe_path: str,
    model: QuantStudent,
    progress: Callable[[int, int], None] | None = None,
) -> Card:
    """Writes, measures and describes a model; returns its card."""
    folder = recipe.model_folder
    write_files(folder, recipe.name, model)
    filters = evaluate.BASELINES | evaluate.model_filters(folder)
    found = evaluate.measure(recipe.dev, filters, workers=recipe.workers, progress=progress)
    params = sum(weight.numel() for weight in model.plain.parameters())
    card = make_card(recipe, recipe_path, params, found)
    (folder / "card.json").write_text(card.model_dump_json(indent=1) + "\n", "utf-8")
    flat = flat_response(OnnxFilter(folder / FILES["int8"]))
    (folder / "README.md").write_text(page.text(card, found, flat), "utf-8")
    recipe.phase_folder("qat").parent.joinpath("evaluation.json").write_text(
        report.to_json(found), "utf-8"
    )
    return card
