"""What the training loop has to be told, whatever it trains."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vcsharp_training.strict import LATER, Strict


class LoopSettings(Strict):
    """One stretch of optimisation."""

    steps: int = Field(30_000, gt=0)
    """Optimiser steps."""
    learning_rate: float = Field(1e-3, gt=0)
    """Highest rate, after the warm-up."""
    final_learning_rate: float = Field(1e-6, gt=0)
    """Rate at the end of the cosine."""
    warmup_steps: int = Field(500, ge=0)
    """Steps over which the rate rises from zero."""
    ema: float = Field(0.999, ge=0, lt=1)
    """Decay of the averaged weights, which are the ones that count."""
    clip_norm: float = Field(1.0, gt=0)
    """Largest norm of the gradient; `inf` leaves it as it is."""
    validate_every: int = Field(1000, gt=0)
    """Steps between validations; each also writes a checkpoint."""
    optimiser: Literal["adam", "adamw"] = Field("adam", json_schema_extra=LATER)
    """Adam (Kingma and Ba 2015), or with decoupled weight decay (Loshchilov and Hutter 2019)."""
    betas: tuple[float, float] = Field((0.9, 0.99), json_schema_extra=LATER)
    """Decays of the optimiser's two averages."""
    weight_decay: float = Field(0.0, ge=0, json_schema_extra=LATER)
    """Decay of the weights per step and unit of learning rate."""
    schedule: Literal["cosine", "warm_restarts", "constant"] = Field(
        "cosine", json_schema_extra=LATER
    )
    """How the rate goes after the warm-up; `warm_restarts` is SGDR (Loshchilov and Hutter 2017)."""
    restart_steps: int = Field(1000, gt=0, json_schema_extra=LATER)
    """Length of the first cosine of `warm_restarts`."""
    restart_factor: int = Field(1, gt=0, json_schema_extra=LATER)
    """How many times longer each cosine is than the one before."""
    accumulate: int = Field(1, gt=0, json_schema_extra=LATER)
    """Batches whose gradients are averaged into one step."""
    precision: Literal["float32", "bfloat16"] = Field("float32", json_schema_extra=LATER)
    """Of the forward and backward pass; weights and optimiser stay in float32."""
