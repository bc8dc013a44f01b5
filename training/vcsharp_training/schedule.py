"""Learning rates as functions of the step alone, so that there is no state to lose in a kill."""

from __future__ import annotations

import math

from vcsharp_training.loop_settings import LoopSettings


def learning_rate(settings: LoopSettings, step: int) -> float:
    """The rate of a step: linear warm-up, then what `settings.schedule` says."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    drop = settings.learning_rate - settings.final_learning_rate
    done = _done(settings, step - settings.warmup_steps)
    return settings.final_learning_rate + drop * (1 + math.cos(math.pi * done)) / 2


def _done(settings: LoopSettings, step: int) -> float:
    """How far the current cosine has come, 0..1."""
    if settings.schedule == "constant":
        return 0.0
    if settings.schedule == "cosine":
        return step / max(settings.steps - settings.warmup_steps, 1)
    length = settings.restart_steps
    while step >= length:
        step, length = step - length, length * settings.restart_factor
    return step / length
