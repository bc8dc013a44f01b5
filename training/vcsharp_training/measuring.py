"""`vcsharp-train evaluate`: models beside the baselines, as tables, JSON and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import CliImplicitFlag

from vcsharp_training.strict import Strict

Precision = Literal["int8", "fp32", "fp16"]


class Extras(Strict):
    """What is measured beyond PSNR, SSIM and sharpness of luma."""

    lpips: Path | None = None
    """Folder with the weights of LPIPS (`alex_features.pth`, `lin_alex.pth`)."""
    bench: Path | None = None
    """Folder that holds Set5 and Set14, for the figures that papers report."""
    rgb: CliImplicitFlag[bool] = False
    """Also measure the coloured picture; takes three times as long."""
    images_per_category: int | None = Field(None, gt=0)
    """Measure only the first few pictures of each category."""


class Evaluate(Extras):
    """Measure models beside the baselines, through the runtime's engine; Markdown to stdout."""

    models: list[str] = Field(min_length=1, validation_alias=AliasChoices("models", "model"))
    """Names of models in `models/`, or their folders, separated by commas."""
    data: Path = Field(validation_alias=AliasChoices("data", "dev"))
    """Folder with sharp pictures, one sub-folder per category."""
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    """Arithmetic to measure."""
    device: str = "cpu"
    """Where the models run: `cpu`, `cuda`."""
    json_file: Path | None = None
    """Also write every figure to this JSON file."""
    out: Path | None = None
    """Also write tables (Markdown), figures (JSON) and plots (PNG) into this folder."""
    speed: CliImplicitFlag[bool] = False
    """Also time every model."""
    workers: int = Field(1, gt=0)
    """Processes to use."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        import sys

        from vcsharp_training import measure_run

        sys.stdout.write(measure_run.evaluate(self))
