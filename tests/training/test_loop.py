"""The loop alone: rates, accumulated batches, averages, checkpoints on a full disk, processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts
from vcsharp_training import checkpoint, loop
from vcsharp_training.errors import CheckpointError, RecipeError
from vcsharp_training.loop import Batch, Loop, Objective
from vcsharp_training.loop_settings import LoopSettings
from vcsharp_training.processes import Processes
from vcsharp_training.schedule import learning_rate

FAST = LoopSettings(steps=6, learning_rate=1e-2, warmup_steps=0, validate_every=3)


class Square(Objective):
    """Mean square error to the doubled input."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        error = (self.student(x).float() - 2 * x).square().mean()
        return {"loss": error, "error": error}


@dataclass
class Doubling:
    """Numbers to double; four a step, however many parts there are."""

    objective: Objective = field(default_factory=lambda: Square(_net()))

    def batch(self, step: int, part: int, parts: int) -> Batch:
        numbers = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        return {"x": numbers.chunk(parts)[part]}

    def validate(self, student: nn.Module) -> dict[str, float]:
        with torch.no_grad():
            error = (student(torch.ones(1, 3)) - 2).abs().mean().item()
        return {loop.SCORE: -error}

    def examples(self, student: nn.Module) -> torch.Tensor:
        return torch.full((3, 4, 4), 0.5)


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 3))


def _loop(folder: Path, settings: LoopSettings = FAST, **changes) -> Loop:
    given: dict[str, Any] = {"run": "r", "task": Doubling(), "listener": loop.no_listener} | changes
    return Loop(
        "train", "doubling", folder=folder, settings=settings, processes=Processes(), **given
    )


def _trained(folder: Path, settings: LoopSettings = FAST, **changes) -> dict[str, torch.Tensor]:
    made = _loop(folder, settings, **changes)
    made.train()
    return dict(made.objective.student.state_dict())


def _equal(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_warm_restarts_are_those_of_torch():
    settings = LoopSettings(
        steps=90, learning_rate=2e-4, warmup_steps=0, schedule="warm_restarts", restart_steps=10,
        restart_factor=2, final_learning_rate=1e-6,
    )  # fmt: skip
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 2e-4)
    theirs = CosineAnnealingWarmRestarts(optimiser, 10, 2, 1e-6)
    for step in range(90):
        assert learning_rate(settings, step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        theirs.step()


def test_a_constant_rate_warms_up_and_stays():
    settings = LoopSettings(steps=50, learning_rate=1e-3, warmup_steps=5, schedule="constant")
    rates = [learning_rate(settings, step) for step in range(50)]
    assert rates[:5] == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3])
    assert set(rates[5:]) == {1e-3}


def test_accumulated_batches_do_the_same_as_one_that_is_larger(tmp_path):
    whole = _trained(tmp_path / "whole")
    parts = _trained(tmp_path / "parts", FAST.model_copy(update={"accumulate": 2}))
    assert not _equal(whole, _net().state_dict())
    assert all(torch.allclose(whole[name], parts[name], atol=1e-6) for name in whole)


def test_adam_with_weight_decay_decays_weights(tmp_path):
    decaying = FAST.model_copy(update={"optimiser": "adamw", "weight_decay": 0.5})
    plain, decayed = _trained(tmp_path / "a"), _trained(tmp_path / "b", decaying)
    assert decayed["0.weight"].norm() < plain["0.weight"].norm()


def test_half_precision_computes_in_it_and_keeps_weights_in_full(tmp_path):
    seen = []

    class Watched(Square):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            seen.append(self.student(x).dtype)
            return super().forward(x)

    settings = FAST.model_copy(update={"precision": "bfloat16"})
    weights = _trained(tmp_path, settings, task=Doubling(Watched(_net())))
    assert set(seen) == {torch.bfloat16}
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


def test_the_average_follows_the_weights_and_takes_running_means_as_they_are(tmp_path):
    student: Any = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    made = _loop(tmp_path, FAST.model_copy(update={"ema": 0.5}), task=Doubling(Square(student)))
    first, average = student[0].weight, made._average
    wanted = first.detach().clone()

    def watched() -> None:
        decay = min(0.5, (1 + made.step) / (10 + made.step))
        wanted.mul_(decay).add_((1 - decay) * first.detach())
        average()

    made._average = watched  # type: ignore[method-assign]
    made.train()
    averaged: Any = made.averaged
    assert torch.allclose(averaged[0].weight, wanted, atol=1e-6)
    assert torch.equal(averaged[1].running_mean, student[1].running_mean)
    assert not torch.equal(averaged[0].weight, student[0].weight)


def test_without_an_average_the_last_weights_count(tmp_path):
    made = _loop(tmp_path, FAST.model_copy(update={"ema": 0.0}))
    made.train()
    assert _equal(made.averaged.state_dict(), made.objective.student.state_dict())


def test_the_best_weights_by_validation_are_kept(tmp_path):
    scores = iter([1.0, 3.0, 2.0])
    task = Doubling()
    task.validate = lambda student: {loop.SCORE: next(scores)}  # type: ignore[method-assign]
    made = _loop(tmp_path, FAST.model_copy(update={"validate_every": 2}), task=task)
    made.train()
    best, last = (checkpoint.load(tmp_path / f"{name}.pt") for name in ("best", "last"))
    assert (best["step"], best["score_db"]) == (4, 3.0)
    assert (last["step"], last["best_db"], last["score_db"]) == (6, 3.0, 2.0)
    assert [entry["step"] for entry in last["history"]] == [2, 4, 6]


def test_a_run_that_goes_on_says_at_once_how_far_it_was(tmp_path):
    told: list[loop.Report] = []
    _loop(tmp_path).train()
    _loop(tmp_path, listener=told.append).train()
    assert [(report.step, report.steps) for report in told] == [(6, 6)]
    assert told[0].score_db == checkpoint.load(tmp_path / "last.pt")["score_db"]


def test_curves_and_pictures_can_be_watched(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _loop(tmp_path).train()
    events = EventAccumulator(str(tmp_path)).Reload()
    tags = events.Tags()
    assert {"train/loss", "train/error", "train/learning_rate"} < set(tags["scalars"])
    assert [point.step for point in events.Scalars("validation/score_db")] == [3, 6]
    assert tags["images"] == ["validation"]


def test_a_full_disk_is_one_line_and_the_old_checkpoint_stays(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"step": 1})
    path.with_suffix(".part").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match=r"No space left.*untouched.*make room") as caught:
        checkpoint.save(path, {"step": 2, "weights": torch.zeros(100_000)})
    assert "\n" not in str(caught.value)
    assert checkpoint.load(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
    checkpoint.save(path, {"step": 2})
    assert checkpoint.load(path) == {"step": 2}


def test_a_checkpoint_of_another_network_is_one_line(tmp_path):
    _loop(tmp_path).train()
    wider = Doubling(Square(nn.Sequential(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 3))))
    with pytest.raises(CheckpointError, match=r"another network: '0.weight' is 5x3 there, 7x3 her"):
        _loop(tmp_path, task=wider).train()
    deeper = Doubling(Square(_net().append(nn.Linear(3, 3))))
    with pytest.raises(CheckpointError, match=r"'3.weight' is absent there, 3x3 here"):
        _loop(tmp_path, task=deeper).train()
    with pytest.raises(CheckpointError, match="other settings"):
        _loop(tmp_path, run="another").train()


def test_a_run_does_not_go_on_with_another_number_of_batches(tmp_path):
    _loop(tmp_path).train()
    with pytest.raises(CheckpointError, match="a step of 1 batches, this run has 2"):
        _loop(tmp_path, FAST.model_copy(update={"accumulate": 2})).train()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_one_line():
    with pytest.raises(RecipeError, match="torch sees no CUDA GPU here"):
        Processes("cuda")


def test_two_processes_do_the_same_step_as_one_with_twice_the_batch(tmp_path):
    """`torchrun` on loopback with gloo; the step of each is on half of the four numbers."""
    settings = LoopSettings(steps=2, learning_rate=1e-2, warmup_steps=0, validate_every=1)
    alone = _trained(tmp_path / "alone", settings)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    script = ["--local-addr=127.0.0.1", __file__, str(tmp_path / "both")]
    launched = subprocess.Popen(
        [*command, *script], env=quiet, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _, error = launched.communicate(timeout=120)
    finally:
        with suppress(ProcessLookupError):  # the launcher's workers are in its group
            os.killpg(launched.pid, signal.SIGKILL)
    assert launched.returncode == 0, error
    state = checkpoint.load(tmp_path / "both" / "last.pt")
    assert (state["step"], state["parts"]) == (2, 2)
    assert all(torch.allclose(alone[name], state["model"][name], atol=1e-6) for name in alone)
    assert not _equal(alone, _net().state_dict())


if __name__ == "__main__":
    both = LoopSettings(steps=2, learning_rate=1e-2, warmup_steps=0, validate_every=1)
    group = _loop(Path(sys.argv[1]), both)
    assert group.processes.count == 2
    group.train()
    group.processes.leave()
