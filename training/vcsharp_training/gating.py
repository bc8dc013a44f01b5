"""Training of the gate: the small classifier that says which expert a picture is for.

It learns from the crops of the bank, a few of one picture at a time, and from some that were spoilt
in ways that no expert was trained for. Beside it stands what the student and each expert gain on
every kind of held-out crop, so that the runtime can weigh a doubt by what it would cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from vcsharp.engine.gate import FEATURES, Layer, Table, energies, summary
from vcsharp_training import validate, whole
from vcsharp_training.bank import SYNTHETIC, Bank
from vcsharp_training.degrade import Profile
from vcsharp_training.errors import CheckpointError, DataError
from vcsharp_training.quant import QuantStudent
from vcsharp_training.recipe import GateSettings, Recipe
from vcsharp_training.steps import Disc, Gaussian, Grow, Jpeg, Motion, Noise, Sensor, Shrink

OTHER = "other"
"""Stands for whatever no expert was trained for."""
UNTOUCHED_DB = 50.0
"""A clean picture that differs by less counts as untouched."""
JITTER = 0.05
"""Noise on the features while training: crops are fewer squares than a frame."""
SMOOTHING = 0.02
"""Of the labels: no crop is so plain that there could be no doubt."""

_FILTERS = ("bilinear", "bicubic", "area")
OTHERS: tuple[Profile, ...] = (
    Profile(steps=(Shrink(factor=(1.1, 1.35)), Grow(filters=_FILTERS))),
    Profile(steps=(Shrink(factor=(1.4, 1.8)), Grow(filters=_FILTERS))),
    Profile(steps=(Shrink(factor=(2.3, 4.0)), Grow(filters=_FILTERS))),
    Profile(steps=(Shrink(factor=(1.8, 4.0)), Noise(sigma=(1, 5)), Grow(filters=_FILTERS))),
    Profile(steps=(Shrink(factor=(1.8, 4.0)), Jpeg(quality=(25, 80)), Grow(filters=_FILTERS))),
    Profile(steps=(Gaussian(sigma_px=(0.4, 0.75)), Noise(sigma=(0, 2)))),
    Profile(steps=(Gaussian(sigma_px=(2.3, 4.0)), Noise(sigma=(0, 3)))),
    Profile(steps=(Disc(radius_px=(1.0, 3.5)), Noise(sigma=(0, 2)))),
    Profile(steps=(Motion(length_px=(3, 12)), Noise(sigma=(0, 2)))),
    Profile(steps=(Sensor(),)),
    Profile(steps=(Noise(sigma=(2.5, 8)),)),
    Profile(steps=(Jpeg(quality=(25, 90)),)),
    Profile(steps=(Gaussian(sigma_px=(0.6, 1.6)), Jpeg(quality=(30, 85)))),
)
"""Scaled by other factors, blurred otherwise, noisier, compressed at their own size."""


@dataclass(frozen=True)
class Samples:
    """What the classifier is shown."""

    features: NDArray[np.float32]
    """Samples x `FEATURES`."""
    kind: NDArray[np.intp]
    """Place of each among the kinds."""
    held_out: NDArray[np.bool_]


def groups(bank: Bank, size: int) -> Iterator[slice]:
    """Rows that follow each other, of one profile and one split: crops of one picture, mostly."""
    for start in range(0, len(bank.profile) - size + 1, size):
        rows = slice(start, start + size)
        if len({*bank.profile[rows]}) == 1 == len({*bank.held_out[rows].tolist()}):
            yield rows


def others(bank: Bank, size: int, count: int, seed: int) -> Bank:
    """About `count` groups of sharp crops, spoilt in other ways than the bank's profiles do."""
    real = [rows for rows in groups(bank, size) if bank.profile[rows.start] != SYNTHETIC]
    step = max(1, len(real) // count)
    found, rng = list[NDArray[np.uint8]](), np.random.default_rng([seed, *OTHER.encode()])
    chosen = real[::step]
    for number, rows in enumerate(chosen):
        profile = OTHERS[number % len(OTHERS)]
        found += [profile(np.asarray(crop), rng).degraded for crop in bank.sharp[rows]]
    index = np.concatenate([np.arange(rows.start, rows.stop) for rows in chosen])
    names = np.full(len(index), OTHER)
    return Bank(np.stack(found), bank.sharp[index], names, bank.held_out[index])


def kinds(bank: Bank) -> tuple[str, ...]:
    """What the classifier tells apart."""
    return (*sorted({str(name) for name in bank.profile} - {SYNTHETIC}), OTHER)


def samples(banks: tuple[Bank, ...], names: tuple[str, ...], size: int) -> Samples:
    """The features of all groups of `size` crops whose profile is one of `names`."""
    features, kind, held_out = list[NDArray[np.float32]](), list[int](), list[bool]()
    for bank in banks:
        for rows in groups(bank, size):
            if bank.profile[rows.start] not in names:
                continue
            squares = [energies(np.asarray(crop)) for crop in bank.degraded[rows]]
            features.append(summary(np.concatenate(squares)))
            kind.append(names.index(str(bank.profile[rows.start])))
            held_out.append(bool(bank.held_out[rows.start]))
    return Samples(np.array(features), np.array(kind), np.array(held_out))


def classifier(width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    ends = ((FEATURES, width), (width, width), (width, outputs))
    layers = [layer for a, b in ends for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def fit(model: nn.Sequential, found: Samples, settings: GateSettings) -> None:
    """Trains the classifier on normalised features; every kind counts alike, however many."""
    features = torch.from_numpy(found.features[~found.held_out])
    kind = torch.from_numpy(found.kind[~found.held_out])
    counts = torch.bincount(kind, minlength=model[-1].out_features)  # type: ignore[arg-type]
    weight = counts.sum() / counts.clamp_min(1) / len(counts)
    optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    for _ in range(settings.steps):
        rows = torch.randint(len(kind), (settings.batch,))
        shown = features[rows] + JITTER * torch.randn(settings.batch, FEATURES)
        loss = functional.cross_entropy(model(shown), kind[rows], weight, label_smoothing=SMOOTHING)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rate.step()


def gains_db(
    student: QuantStudent, banks: tuple[Bank, ...], names: tuple[str, ...]
) -> tuple[float, ...]:
    """What a student gains on each kind of held-out crop; on clean ones, what it takes away.

    0 where no crop of a kind is held out.
    """
    scores = dict[str, float]()
    for bank in banks:
        scores |= validate.scores(student, bank, student.plain.stride)
    if validate.CLEAN in scores:
        scores[validate.CLEAN] = min(0.0, scores[validate.CLEAN] - UNTOUCHED_DB)
    return tuple(round(scores.get(name, 0.0), 3) for name in names)


@dataclass(frozen=True)
class Trained:
    """A gate, and how good it is."""

    table: Table
    accuracy: float
    """Share of the held-out groups whose kind is told, 0..1."""


def train(recipe: Recipe, bank: Bank, students: Mapping[str, QuantStudent]) -> Trained:
    """The gate for a student (named `""`) and its experts, in some seconds.

    Raises DataError if the bank has too little to learn from.
    """
    settings = recipe.gate
    torch.manual_seed(recipe.seed)
    size, names = recipe.bank.crops_per_window, kinds(bank)
    _refuse_too_few(recipe, bank)
    banks = bank, others(bank, size, settings.others, recipe.seed)
    found = samples(banks, names, size)
    mean, scale = _normalisation(found)
    normal = Samples(
        ((found.features - mean) * scale).astype(np.float32), found.kind, found.held_out
    )
    model = classifier(settings.width, len(names))
    fit(model, normal, settings)
    table = Table(
        kinds=names,
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        layers=tuple(_layer(part) for part in model if isinstance(part, nn.Linear)),
        gains_db={name: gains_db(student, banks, names) for name, student in students.items()},
    )
    return Trained(table, _accuracy(model, normal))


def save(file: Path, table: Table) -> None:
    """Keeps a gate for the export, whole or not at all. Raises CheckpointError where it cannot."""
    try:
        whole.write(file, table.model_dump_json())
    except OSError as error:
        raise CheckpointError(
            f"cannot write the gate '{file}': {error.strerror or error}; "
            "make room or choose another --work, then run the same command again"
        ) from error


def load(file: Path) -> Table:
    """What `save` kept. Raises CheckpointError if there is none."""
    try:
        return Table.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointError(
            f"cannot read the gate '{file}': run 'vcsharp-train distil' with the same recipe first"
        ) from error


def _refuse_too_few(recipe: Recipe, bank: Bank) -> None:
    size = recipe.bank.crops_per_window
    known = {str(bank.profile[rows.start]) for rows in groups(bank, size)}
    if missing := set(kinds(bank)) - known - {OTHER}:
        raise DataError(
            f"the crop bank in '{recipe.bank_folder}' is too small to train a gate: profile "
            f"'{min(missing)}' has nowhere {size} crops of one picture that follow each other; "
            "cut more per picture (bank.crops_per_image)"
        )


def _normalisation(found: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rounded, as the file holds them."""
    known = found.features[~found.held_out].astype(np.float64)
    return known.mean(axis=0).round(4), (1 / known.std(axis=0).clip(1e-3)).round(4)


def _layer(part: nn.Linear) -> Layer:
    return Layer(weight=_digits(part.weight), bias=tuple(_digits(part.bias[None])[0]))


def _digits(values: Tensor) -> tuple[tuple[float, ...], ...]:
    """Rows, with as many digits as matter."""
    return tuple(tuple(round(value, 5) for value in row) for row in values.detach().tolist())


@torch.no_grad()
def _accuracy(model: nn.Sequential, found: Samples) -> float:
    told = model(torch.from_numpy(found.features[found.held_out])).argmax(dim=1).numpy()
    return float((told == found.kind[found.held_out]).mean()) if len(told) else float("nan")
