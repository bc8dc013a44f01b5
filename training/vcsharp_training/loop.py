"""The training loop of every student: model, objective and batches in, trained weights out.

It keeps the promises that do not depend on what is trained: the same steps give the same weights,
a killed run goes on exactly where it was, a loss that is no number touches nothing, the best
weights by validation are kept, and curves can be watched while it runs.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vcsharp_training import checkpoint
from vcsharp_training.board import Board
from vcsharp_training.errors import CheckpointError, DivergedError
from vcsharp_training.loop_settings import LoopSettings
from vcsharp_training.prefetch import Prefetched
from vcsharp_training.processes import Processes
from vcsharp_training.schedule import learning_rate

log = logging.getLogger(__name__)

SCORE = "score_db"
"""The figure of a validation that chooses the best weights."""
REPORT_EVERY = 50

Batch = Mapping[str, Tensor]


class Objective(nn.Module):
    """A student and what it is asked to minimise.

    `forward(**batch)` returns the terms, each a number, by name; `loss` is the one to minimise.
    Everything trainable is a module of it, what is frozen (a teacher) is not.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student

    def place(self, device: torch.device) -> None:
        """Moves what is frozen to where the student is."""


class Task(Protocol):
    """What is trained, and on what."""

    @property
    def objective(self) -> Objective:
        """The student with its loss."""

    def batch(self, step: int, part: int, parts: int) -> Batch:
        """One of the parts of a step's pictures, float N x C x H x W. The step decides all of it.

        Called on a thread of its own.
        """

    def validate(self, student: nn.Module) -> dict[str, float]:
        """Figures on pictures that are not trained on; `score_db` chooses the best."""

    def examples(self, student: nn.Module) -> Tensor | None:
        """A picture (float C x H x W, 0..1) of what the student does, for people."""


@dataclass(frozen=True)
class Report:
    """Told to the caller now and then."""

    phase: str
    step: int
    steps: int
    loss: float
    score_db: float
    """Last validation score."""
    verdict: str = ""
    """At the very end: what held the run up."""


Listener = Callable[[Report], None]


def no_listener(_report: Report) -> None:
    """Says nothing."""


@dataclass
class Loop:
    """One stretch of optimisation and its state.

    Args:
        name: of the phase, for people.
        run: names what decides the weights; a checkpoint of another run is refused.
        folder: for checkpoints and curves.
        label: the recipe's name, for people.
    """

    name: str
    label: str
    run: str
    folder: Path
    settings: LoopSettings
    task: Task
    listener: Listener
    processes: Processes
    step: int = 0
    best_db: float = -math.inf
    score_db: float = -math.inf
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Moves everything to the device, makes the averaged copy and the optimiser."""
        self.objective = self.task.objective
        self.shared = self.processes.share(self.objective)
        self.objective.place(self.processes.device)
        self.averaged = copy.deepcopy(self.objective.student).requires_grad_(requires_grad=False)
        self.parameters = [p for p in self.objective.parameters() if p.requires_grad]
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.settings.optimiser]
        self.optimiser = kind(
            self.parameters,
            self.settings.learning_rate,
            self.settings.betas,
            weight_decay=self.settings.weight_decay,
        )

    @property
    def parts(self) -> int:
        """Into how many batches a step's pictures are cut."""
        return self.settings.accumulate * self.processes.count

    def train(self) -> None:
        """Trains to the last step, from the last checkpoint if there is one."""
        self._resume()
        if self.history:
            self._report(self.history[-1]["loss"])
        steps, writes = range(self.step, self.settings.steps), self.processes.is_main
        with (
            Board(self.folder, self.step, writes=writes) as board,
            Prefetched(self._batches, steps) as batches,
        ):
            for found in batches:
                terms = self._advance(found)
                self._tell(terms, board)
                if self.step == self.settings.steps:
                    self._report(terms["loss"], batches.verdict())
        self.processes.wait()

    def _batches(self, step: int) -> list[Batch]:
        """This process's share of a step."""
        count, rank = self.settings.accumulate, self.processes.rank
        return [self.task.batch(step, rank * count + i, self.parts) for i in range(count)]

    def _advance(self, batches: Sequence[Batch]) -> dict[str, float]:
        """One step. Raises DivergedError before a weight is touched by a number that is none."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.settings, self.step)
        self.optimiser.zero_grad()
        terms = self._mean_terms(batches)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm).item()
        if not math.isfinite(terms["loss"] + norm):
            raise DivergedError(
                f"{self.name} training of '{self.label}' diverged at step {self.step}: "
                f"loss {terms['loss']}, gradient {norm}; "
                f"the last good state is in '{self.folder}'; lower learning_rate and run again"
            )
        self.optimiser.step()
        self.step += 1
        self._average()
        return terms

    def _mean_terms(self, batches: Sequence[Batch]) -> dict[str, float]:
        """Adds up the gradients of every batch; returns each term's mean."""
        found = []
        for number, batch in enumerate(batches, 1):
            with self.processes.quietly(self.shared, quiet=number < len(batches)):
                terms = self._terms(batch)
                (terms["loss"] / len(batches)).backward()  # type: ignore[no-untyped-call]
            found.append({name: term.item() for name, term in terms.items()})
        return {name: sum(terms[name] for terms in found) / len(found) for name in found[0]}

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        device = self.processes.device
        there = {name: part.to(device, non_blocking=True) for name, part in batch.items()}
        half = self.settings.precision == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            terms: dict[str, Tensor] = self.shared(**there)
        return terms

    @torch.no_grad()
    def _average(self) -> None:
        """The averaged weights follow; running means of batch norms are taken over as they are."""
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        student = self.objective.student
        for average, weight in zip(self.averaged.parameters(), student.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)
        for kept, buffer in zip(self.averaged.buffers(), student.buffers(), strict=True):
            kept.copy_(buffer)

    def _tell(self, terms: dict[str, float], board: Board) -> None:
        """Validates and speaks when it is time to."""
        at_end = self.step == self.settings.steps
        if at_end or self.step % self.settings.validate_every == 0:
            self._validate(terms["loss"], board)
        if at_end or self.step % REPORT_EVERY == 0:
            rate = {"learning_rate": learning_rate(self.settings, self.step - 1)}
            board.scalars(self.step, {f"train/{name}": v for name, v in (terms | rate).items()})
            self._report(terms["loss"])

    def _report(self, loss: float, verdict: str = "") -> None:
        steps = self.settings.steps
        self.listener(Report(self.name, self.step, steps, loss, self.score_db, verdict))

    def _validate(self, loss: float, board: Board) -> None:
        self.averaged.eval()
        scores = self.task.validate(self.averaged)
        self.score_db = scores[SCORE]
        rate = learning_rate(self.settings, self.step - 1)
        self.history.append({"step": self.step, "loss": loss, "learning_rate": rate, **scores})
        log.info("%s step %d loss %.5f %s", self.name, self.step, loss, scores)
        board.scalars(self.step, {f"validation/{name}": value for name, value in scores.items()})
        grid = self.task.examples(self.averaged) if self.processes.is_main else None
        if grid is not None:
            board.pictures(self.step, "validation", grid)
        self._save()

    def _save(self) -> None:
        better = self.score_db > self.best_db
        self.best_db = max(self.best_db, self.score_db)
        if not self.processes.is_main:
            return
        state = self._state()
        if better:
            checkpoint.save(self.folder / "best.pt", state)
        checkpoint.save(self.folder / "last.pt", state)

    def _state(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "parts": self.parts,
            "step": self.step,
            "best_db": self.best_db,
            "score_db": self.score_db,
            "history": self.history,
            "model": self.objective.student.state_dict(),
            "helpers": self._helpers(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def _helpers(self) -> dict[str, Tensor]:
        """Trainable weights beside the student's: projections to a teacher's widths."""
        found = self.objective.state_dict().items()
        return {name: weight for name, weight in found if not name.startswith("student.")}

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if not path.is_file():
            return
        state = load(path, self.run)
        if state.get("parts", 1) != self.parts:
            raise CheckpointError(
                f"checkpoint '{path}' was made with a step of {state.get('parts', 1)} batches, "
                f"this run has {self.parts}: start it with as many processes as before, "
                f"or delete '{path.parent}' to start over"
            )
        self.step, self.best_db, self.score_db = state["step"], state["best_db"], state["score_db"]
        self.history = state["history"]
        checkpoint.restore(self.averaged, state["averaged"], path)
        student = {f"student.{name}": weight for name, weight in state["model"].items()}
        checkpoint.restore(self.objective, student | state.get("helpers", {}), path)
        self.optimiser.load_state_dict(state["optimiser"])


def load(path: Path, run: str) -> dict[str, Any]:
    """A checkpoint of this very run. Raises CheckpointError if it is missing or of another."""
    state = checkpoint.load(path)
    if state.get("run") != run:
        raise CheckpointError(
            f"checkpoint '{path}' was made with other settings than this recipe's; "
            f"restore them, or delete '{path.parent}' to start over"
        )
    return state
