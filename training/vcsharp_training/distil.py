"""Training our own students: floating point first, then with the rounding of the int8 file.

`vcsharp-train distil RECIPE.toml` runs both phases, and then, from the same float weights, both for
each expert that the recipe names; killed and started again, it goes on where it was and ends with
the same weights. The target is the ground truth, and, where the recipe says so and the teacher did
better than nothing, the teacher's picture.

Phases have names: `float` and `qat`, for an expert `expert-KIND`, `finish-KIND` and `qat-KIND`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Protocol

import torch
from torch import Tensor, nn

from vcsharp.nets.plain import PlainStudent
from vcsharp_training import (
    checkpoint,
    grow,
    loop,
    losses,
    perceptual,
    quant,
    rounding,
    sampling,
    validate,
)
from vcsharp_training.bank import Bank
from vcsharp_training.errors import RecipeError
from vcsharp_training.loop import Batch, Listener, Loop, Objective
from vcsharp_training.processes import Processes
from vcsharp_training.recipe import LossSettings, PhaseSettings, Recipe
from vcsharp_training.reparam import RepStudent

EXAMPLES = 4
ROUNDING = "compensated, short steps"
"""Names how the int8 phase rounds: what another way began is not gone on with."""


class Student(Protocol):
    """What is needed of a network."""

    def residual(self, luma: Tensor) -> Tensor:
        """What to add to `luma`."""


class LumaObjective(Objective):
    """The mix of `losses/luma.py`."""

    def __init__(self, student: nn.Module, weights: LossSettings) -> None:
        super().__init__(student)
        self.weights = weights
        # A tuple: it is neither trained, averaged nor saved.
        self._eyes: tuple[perceptual.Lpips, ...] = ()
        if weights.lpips:
            self._eyes = (perceptual.load(weights.lpips_weights),)

    def place(self, device: torch.device) -> None:
        """Moves what LPIPS sees with."""
        self._eyes = tuple(eyes.to(device) for eyes in self._eyes)

    def forward(
        self, degraded: Tensor, sharp: Tensor, flats: Tensor, taught: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Mean over all that has to be good at once."""
        pairs = sampling.Pairs(degraded, sharp, taught)
        found = [self._loss_of(student, pairs, flats) for student in _students(self.student)]
        return {"loss": torch.stack(found).mean()}

    def _loss_of(self, student: Student, pairs: sampling.Pairs, flats: Tensor) -> Tensor:
        weights, residual = self.weights, student.residual(pairs.degraded)
        loss = losses.total(pairs.degraded, residual, pairs.sharp, weights)
        for eyes in self._eyes:
            seen = losses.perceived(eyes, pairs.degraded, residual, pairs.sharp, weights)
            loss = loss + weights.lpips * seen
        if pairs.taught is not None:
            lesson = losses.taught(pairs.degraded, residual, pairs.taught, pairs.sharp, weights)
            loss = loss + weights.teacher * lesson
        return loss + weights.flat * losses.flat(student.residual(flats))


class Phase:
    """What one phase trains, and on what."""

    def __init__(self, name: str, recipe: Recipe, bank: Bank, model: nn.Module) -> None:
        self.name, self.recipe, self.bank = name, recipe, bank
        self.kind = kind_of(name)
        self.settings = settings_of(name, recipe, bank)
        self.objective: Objective = LumaObjective(model, self.settings.loss)
        self.rows = bank.rows(held_out=False)
        self.shares = sampling.shares(bank, self.rows, self.settings)

    def batch(self, step: int, part: int, parts: int) -> Batch:
        """Crops and plain greys; step and seed decide everything."""
        key = (self.recipe.seed, *self.name.encode(), step)
        pairs = sampling.batch(self.bank, self.rows, self.settings, key, part, parts, self.shares)
        flats = sampling.flats(self.settings.flat_levels, key)
        found = {"degraded": pairs.degraded, "sharp": pairs.sharp, "flats": flats}
        return found if pairs.taught is None else found | {"taught": pairs.taught}

    def validate(self, student: nn.Module) -> dict[str, float]:
        """Gains in dB per profile, and the one figure that sums them up: an expert's is its own."""
        stride = self.recipe.network.stride
        scores = validate.scores(_student(student), self.bank, stride, _device(student))
        summary_db = scores.get(self.kind, validate.summary_db(scores, self.settings.shares))
        return {loop.SCORE: summary_db, **scores}

    @torch.no_grad()
    def examples(self, student: nn.Module) -> Tensor:
        """Held-out crops: what came in, what came out, the truth."""
        rows = self.bank.rows(held_out=True)[:EXAMPLES]
        degraded, sharp = next(
            sampling.in_order(self.bank, rows, EXAMPLES, self.recipe.network.stride)
        )
        here = degraded.to(_device(student))
        output = (here + _student(student).residual(here)).clamp(0, 1).cpu()
        return torch.cat([torch.cat([*planes], dim=-1) for planes in (degraded, output, sharp)], -2)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _student(model: nn.Module) -> Student:
    return model  # type: ignore[return-value]  # every module here has `residual`


def _students(model: nn.Module) -> list[Student]:
    """What the loss looks at: with int8 rounding, also the float student of the same weights.

    Left alone, the weights come to rely on the rounding as a noise gate, and the fp32 file, which
    does not round, brightens plain greys by several levels.
    """
    plain = [_student(model.plain)] if isinstance(model, quant.QuantStudent) else []
    return [_student(model), *plain]


def kind_of(phase: str) -> str:
    """What kind of picture a phase makes an expert for; empty for none."""
    return phase.partition("-")[2]


def rounds(phase: str) -> bool:
    """Whether a phase trains with the rounding of the int8 file."""
    return phase.startswith("qat")


def settings_of(phase: str, recipe: Recipe, bank: Bank) -> PhaseSettings:
    """A phase's own."""
    kind = kind_of(phase)
    if not kind:
        return recipe.qat if rounds(phase) else recipe.train
    shares = recipe.experts.shares_of(kind, sorted(set(map(str, bank.profile))))
    return _expert_settings(phase, recipe).model_copy(update={"shares": shares})


def _expert_settings(phase: str, recipe: Recipe) -> PhaseSettings:
    """The biases of a finished expert are trained for what it was, but not with LPIPS, for time."""
    kind = kind_of(phase)
    if not rounds(phase):
        return (recipe.finish if phase.startswith("finish") else recipe.experts).of(kind)
    if kind not in recipe.finish.kinds:
        return recipe.qat
    loss = recipe.finish.of(kind).loss.model_copy(update={"lpips": 0.0})
    return recipe.qat.model_copy(update={"loss": loss})


def run_id(recipe: Recipe, phase: str) -> str:
    """Names what decides a phase's weights: the settings up to it, not the places of things."""
    kind = kind_of(phase)
    names = {"seed", "network", "bank", "train"} | ({"qat"} if rounds(phase) else set())
    decides = {name: value for name, value in recipe.decides().items() if name in names}
    if kind:
        decides["experts"] = recipe.experts.of(kind).decides() | {"kinds": kind}
    if kind in recipe.finish.kinds and not phase.startswith("expert"):
        decides["finish"] = recipe.finish.of(kind).decides() | {"kinds": kind}
    if rounds(phase):
        decides["rounding"] = ROUNDING
    if rounds(phase) and kind:
        decides["ranges"] = quant.OWN_RANGE_SHARE
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def prepare(threads: int, seed: int, device: str) -> None:
    """Seeds torch and, on the CPU, forbids whatever does not repeat bit for bit."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=device == "cpu")
    torch.manual_seed(seed)


def _train(
    name: str, recipe: Recipe, bank: Bank, model: nn.Module, listener: Listener
) -> dict[str, Tensor]:
    """One phase; returns the best averaged weights."""
    task = Phase(name, recipe, bank, model)
    run, folder = run_id(recipe, name), recipe.phase_folder(name)
    group = Processes(recipe.device)
    Loop(name, recipe.name, run, folder, task.settings, task, listener, group).train()
    return _best(recipe, name)


def _best(recipe: Recipe, phase: str) -> dict[str, Tensor]:
    """The best averaged weights of a finished phase. Raises CheckpointError if there are none."""
    state = loop.load(recipe.phase_folder(phase) / "best.pt", run_id(recipe, phase))
    best: dict[str, Tensor] = state["averaged"]
    return best


def _is_done(recipe: Recipe, phase: str, steps: int) -> bool:
    """Whether a phase was at its end; rounding all weights again for nothing takes a minute."""
    path = recipe.phase_folder(phase) / "last.pt"
    return path.is_file() and bool(loop.load(path, run_id(recipe, phase))["step"] >= steps)


def _rep_student(recipe: Recipe) -> RepStudent:
    network = recipe.network
    return RepStudent(network.channels, network.stride, network.expansion)


def train_float(recipe: Recipe, bank: Bank, listener: Listener) -> PlainStudent:
    """The float phase; returns the best averaged weights, collapsed."""
    prepare(recipe.threads, recipe.seed, recipe.device)
    model = _rep_student(recipe)
    if recipe.network.start:
        grow.start_from(model, recipe.network.start)
    model.load_state_dict(_train("float", recipe, bank, model, listener))
    return model.collapse()


def train_expert(recipe: Recipe, bank: Bank, kind: str, listener: Listener) -> PlainStudent:
    """The float phases of an expert, from the best weights of `float`; returns its own, likewise.

    Raises RecipeError if the bank has no pictures of that kind.
    """
    if kind not in bank.profile:
        raise RecipeError(
            f"no crops of profile '{kind}' in the bank, but the recipe wants an expert for it; "
            f"profiles are {', '.join(sorted(set(bank.profile)))}"
        )
    prepare(recipe.threads, recipe.seed, recipe.device)
    model = _rep_student(recipe)
    model.load_state_dict(_best(recipe, "float"))
    model.load_state_dict(_train(f"expert-{kind}", recipe, bank, model, listener))
    if kind in recipe.finish.kinds:
        model.load_state_dict(_train(f"finish-{kind}", recipe, bank, model, listener))
    return model.collapse()


def train_quantised(
    recipe: Recipe, bank: Bank, plain: PlainStudent, listener: Listener, kind: str = ""
) -> quant.QuantStudent:
    """The int8 phase, from float weights (of an expert, if there is a `kind`, with ranges taken
    from its own pictures); returns the best averaged weights.

    The weights are put on their steps so that they make up for each other, and stay there; the
    biases, of which the file keeps every digit, are trained with all that is rounded in place.
    (Weights that train while they are rounded swing between two steps, and lose more.)
    """
    if _is_done(recipe, _rounding(kind), recipe.qat.steps):
        return load_quantised(recipe, kind)
    prepare(recipe.threads, recipe.seed, recipe.device)
    rows = bank.rows(held_out=False)
    rows = rows[bank.profile[rows] == kind] if kind else rows
    rows = rows[:: max(1, len(rows) // recipe.qat.calibration_crops)]
    planes = [degraded for degraded, _ in sampling.in_order(bank, rows, 32, recipe.network.stride)]
    share = quant.OWN_RANGE_SHARE if kind else quant.RANGE_SHARE
    quant.equalise(plain, planes, share)
    scales = quant.calibrate(plain, planes, share)
    rounding.round_weights(plain, scales, planes)
    for conv in quant.convolutions(plain):
        conv.weight.requires_grad = False
    model = quant.QuantStudent(plain, scales)
    _train(_rounding(kind), recipe, bank, model, listener)
    return load_quantised(recipe, kind)


def load_quantised(recipe: Recipe, kind: str = "") -> quant.QuantStudent:
    """The best weights of a finished run, or of its expert for a kind of picture.

    Raises CheckpointError if there are none.
    """
    phase = _rounding(kind)
    plain = PlainStudent(recipe.network.channels, recipe.network.stride)
    model = quant.QuantStudent(plain, torch.ones(len(plain.convs)))
    checkpoint.restore(model, _best(recipe, phase), recipe.phase_folder(phase) / "best.pt")
    return model.eval()


def _rounding(kind: str) -> str:
    return f"qat-{kind}" if kind else "qat"
