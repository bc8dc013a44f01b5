"""`vcsharp-train compare`: the reference projects' students beside ours, on one bank and budget."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliImplicitFlag

from vcsharp_training.strict import Strict


class Compare(Strict):
    """Train the reference projects' students and ours alike, and write one table and one plot.

    Killed, it goes on where it stopped.
    """

    data: Path
    """Folder with sharp pictures to train on; `generated` draws some."""
    dev: Path
    """Folder with other sharp pictures, to measure on; `generated` draws some."""
    recipes: Path = Path("training/recipes")
    """Folder with the references' recipes, `r1-...toml` to `r5-...toml`."""
    work: Path = Path("runs/compare")
    """Folder for the bank, checkpoints and figures."""
    docs: Path = Path("docs")
    """Folder that `comparison.md` and `images/comparison.png` are written into."""
    weights: Path = Path("weights")
    """Folder with the teachers' published checkpoints; where one is missing, the ground truth
    teaches in its place, and the page says so.
    """
    vgg: Path | None = None
    """VGG-19's weights; without them the perceptual terms are left out, and the page says so."""
    lpips: Path | None = None
    """Folder with the weights of LPIPS."""
    seconds: float = Field(180, gt=0)
    """Processor time to train each student for, as steps times what a step was measured to take."""
    steps: int | None = Field(None, gt=0)
    """Optimiser steps of each student, in the place of `seconds`."""
    crop_px: int = Field(128, ge=32)
    """Side of a crop; larger patches of a recipe are cut to it."""
    crops_per_profile: int = Field(2, gt=0)
    """From each picture."""
    dev_px: int = Field(192, ge=64)
    """Side of the middle of each picture that is measured."""
    images_per_category: int | None = Field(2, gt=0)
    """How many pictures of each category are measured."""
    threads: int = Field(1, gt=0)
    """Of the optimiser and of the measurement."""
    smoke: CliImplicitFlag[bool] = False
    """Narrow students and random teachers, to try the way; what comes out is of no use."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        import sys

        from vcsharp_training import contest

        sys.stdout.write(contest.compare(self))
