"""The training loop: floating point first, then with the rounding of the int8 file.

`vcsharp-train distil RECIPE.toml` runs both phases; killed and started again, it goes on where it
was and ends with the same weights. The target is the ground truth; a teacher's pictures would enter
as a further term in `_loss`.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vcsharp.nets.plain import PlainStudent
from vcsharp_training import checkpoint, losses, quant, sampling, validate
from vcsharp_training.bank import Bank
from vcsharp_training.errors import CheckpointError, DivergedError
from vcsharp_training.recipe import PhaseSettings, Recipe
from vcsharp_training.reparam import RepStudent

log = logging.getLogger(__name__)

CALIBRATION_CROPS = 512


class Student(Protocol):
    """What the loop needs of a network."""

    def residual(self, luma: Tensor) -> Tensor:
        """What to add to `luma`."""


@dataclass(frozen=True)
class Report:
    """Told to the caller now and then."""

    phase: str
    step: int
    steps: int
    loss: float
    score_db: float
    """Last validation score."""


Listener = Callable[[Report], None]


@dataclass
class Phase:
    """One stretch of optimisation and its state."""

    name: str
    settings: PhaseSettings
    recipe: Recipe
    bank: Bank
    model: nn.Module
    listener: Listener
    step: int = 0
    best_db: float = -math.inf
    score_db: float = -math.inf
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Makes the averaged copy and the optimiser."""
        self.averaged = copy.deepcopy(self.model)
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), self.settings.learning_rate, (0.9, 0.99)
        )
        self.folder = self.recipe.phase_folder(self.name)
        self.rows = self.bank.rows(held_out=False)

    def run(self) -> None:
        """Trains to the last step, from the last checkpoint if there is one."""
        self._resume()
        while self.step < self.settings.steps:
            loss = self._advance()
            at_end = self.step == self.settings.steps
            if at_end or self.step % self.settings.validate_every == 0:
                self._validate(loss)
            if at_end or self.step % 50 == 0:
                self.listener(
                    Report(self.name, self.step, self.settings.steps, loss, self.score_db)
                )

    def _advance(self) -> float:
        """One step. Raises DivergedError before a weight is touched by a number that is none."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.settings, self.step)
        self.optimiser.zero_grad()
        loss = self._loss()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        if not math.isfinite(loss.item() + norm.item()):
            raise DivergedError(
                f"{self.name} training of '{self.recipe.name}' diverged at step {self.step}: "
                f"loss {loss.item()}, gradient {norm.item()}; "
                f"the last good state is in '{self.folder}'; lower learning_rate and run again"
            )
        self.optimiser.step()
        self.step += 1
        self._average()
        return loss.item()

    def _loss(self) -> Tensor:
        """Mean over all that has to be good at once."""
        key = (self.recipe.seed, *self.name.encode(), self.step)
        pair = sampling.batch(self.bank, self.rows, self.settings, key)
        flats = sampling.flats(self.settings.flat_levels, key)
        found = [self._loss_of(student, pair, flats) for student in _students(self.model)]
        return torch.stack(found).mean()

    def _loss_of(self, student: Student, pair: tuple[Tensor, Tensor], flats: Tensor) -> Tensor:
        degraded, sharp = pair
        weights = self.settings.loss
        loss = losses.total(degraded, student.residual(degraded), sharp, weights)
        return loss + weights.flat * losses.flat(student.residual(flats))

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        pairs = zip(self.averaged.parameters(), self.model.parameters(), strict=True)
        for average, weight in pairs:
            average.lerp_(weight, 1 - decay)

    def _validate(self, loss: float) -> None:
        scores = validate.scores(_student(self.averaged), self.bank, self.recipe.network.stride)
        self.score_db = validate.summary_db(scores)
        self.history.append({"step": self.step, "loss": loss, "score_db": self.score_db, **scores})
        log.info(
            "%s step %d loss %.5f score %.3f dB %s",
            self.name,
            self.step,
            loss,
            self.score_db,
            scores,
        )
        if self.score_db > self.best_db:
            self.best_db = self.score_db
            checkpoint.save(self.folder / "best.pt", self._state())
        checkpoint.save(self.folder / "last.pt", self._state())

    def _state(self) -> dict[str, Any]:
        return {
            "run": run_id(self.recipe, self.name),
            "step": self.step,
            "best_db": self.best_db,
            "score_db": self.score_db,
            "history": self.history,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if not path.is_file():
            return
        state = _load(self.recipe, self.name, path.name)
        self.step, self.best_db, self.score_db = state["step"], state["best_db"], state["score_db"]
        self.history = state["history"]
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])


def _student(model: nn.Module) -> Student:
    return model  # type: ignore[return-value]  # every module here has `residual`


def _students(model: nn.Module) -> list[Student]:
    """What the loss looks at: with int8 rounding, also the float student of the same weights.

    Left alone, the weights come to rely on the rounding as a noise gate, and the fp32 file, which
    does not round, brightens plain greys by several levels.
    """
    plain = [_student(model.plain)] if isinstance(model, quant.QuantStudent) else []
    return [_student(model), *plain]


def _load(recipe: Recipe, phase: str, file: str) -> dict[str, Any]:
    path = recipe.phase_folder(phase) / file
    state = checkpoint.load(path)
    if state.get("run") != run_id(recipe, phase):
        raise CheckpointError(
            f"checkpoint '{path}' was made with other settings than this recipe's; "
            f"restore them, or delete '{path.parent}' to start over"
        )
    return state


def run_id(recipe: Recipe, phase: str) -> str:
    """Names what decides a phase's weights: the settings up to it, not the places of things."""
    settings = {"seed", "network", "bank", "train"} | ({"qat"} if phase == "qat" else set())
    decides = recipe.model_dump(include=settings)
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def learning_rate(settings: PhaseSettings, step: int) -> float:
    """Linear warm-up, then half a cosine down to the final rate."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(settings.steps - settings.warmup_steps, 1)
    drop = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + drop * (1 + math.cos(math.pi * done)) / 2


def _prepare(recipe: Recipe) -> None:
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(recipe.seed)


def train_float(recipe: Recipe, bank: Bank, listener: Listener) -> PlainStudent:
    """The float phase; returns the best averaged weights, collapsed."""
    _prepare(recipe)
    network = recipe.network
    model = RepStudent(network.channels, network.stride, network.expansion)
    Phase("float", recipe.train, recipe, bank, model, listener).run()
    model.load_state_dict(_load(recipe, "float", "best.pt")["averaged"])
    return model.collapse()


def train_quantised(
    recipe: Recipe, bank: Bank, plain: PlainStudent, listener: Listener
) -> quant.QuantStudent:
    """The int8 phase, from float weights; returns the best averaged weights."""
    _prepare(recipe)
    rows = bank.rows(held_out=False)
    rows = rows[:: max(1, len(rows) // CALIBRATION_CROPS)]
    planes = [degraded for degraded, _ in sampling.in_order(bank, rows, 32, recipe.network.stride)]
    quant.equalise(plain, planes)
    model = quant.QuantStudent(plain, quant.calibrate(plain, planes))
    Phase("qat", recipe.qat, recipe, bank, model, listener).run()
    return load_quantised(recipe)


def load_quantised(recipe: Recipe) -> quant.QuantStudent:
    """The best weights of a finished run. Raises CheckpointError if there are none."""
    state = _load(recipe, "qat", "best.pt")
    plain = PlainStudent(recipe.network.channels, recipe.network.stride)
    model = quant.QuantStudent(plain, torch.ones(len(plain.convs)))
    model.load_state_dict(state["averaged"])
    return model.eval()
