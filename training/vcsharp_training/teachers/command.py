"""`vcsharp-train teacher`: which there are, whether one works, our own, and their lessons."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliApp, CliPositionalArg, CliSubCommand

from vcsharp_training.teachers.settings import Device, TeacherRecipe


class _Verb(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class List(_Verb):
    """Print every teacher: task, parameters, licence, and whether its file is there."""

    weights: Path = Path("weights")
    """Folder of checkpoints; sub-folders are searched."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training.teachers import verbs

        verbs.list_all(self.weights)


class Check(_Verb):
    """Load a teacher and print what it makes of a drawn picture, or of held-out ones."""

    name: CliPositionalArg[str]
    """A name of `list`, a student's folder, or a checkpoint that spandrel knows."""
    weights: Path = Path("weights")
    """Folder of checkpoints; sub-folders are searched."""
    dev: Path | None = None
    """Also measure it, in luma, on the sharp pictures of this folder and each degradation."""
    pictures: int = Field(20, gt=0)
    """How many of them, spread over the folder."""
    device: Device = "cpu"
    """Where it runs."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training.teachers import verbs

        verbs.check(self.name, self.weights, self.device)
        if self.dev:
            verbs.measure_on(self.name, self.weights, self.dev, self.pictures, self.device)


class Train(TeacherRecipe):
    """Train our own teacher on a prepared bank, or go on training it."""

    recipe: CliPositionalArg[Path]
    """The teacher's recipe, a TOML file."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training.teachers import verbs

        verbs.train(self)


class Cache(_Verb):
    """Write a teacher's pictures of every crop of a bank; goes on where it stopped."""

    name: CliPositionalArg[str]
    """A name of `list`, `truth` for the ground truth, a student's folder, or a checkpoint that
    spandrel knows.
    """
    bank: Path
    """Folder of a prepared crop bank; the pictures go there."""
    weights: Path = Path("weights")
    """Folder of checkpoints; sub-folders are searched."""
    student: Path | None = None
    """Folder of the best student so far. The teacher has to be 0.3 dB ahead of it on the bank's
    held-out crops; our own teacher is never used without that.
    """
    crops: int = Field(100, gt=0)
    """Held-out crops per profile for that."""
    device: Device = "cpu"
    """Where the teacher runs."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training.teachers import verbs

        verbs.cache_lessons(self)


class Teacher(_Verb):
    """List, check, train and use teachers."""

    list: CliSubCommand[List]
    """What there is, and whose file is missing."""
    check: CliSubCommand[Check]
    """Does it load, and what does it gain."""
    train: CliSubCommand[Train]
    """Train our own on a prepared bank."""
    cache: CliSubCommand[Cache]
    """Write a teacher's pictures beside the crops of a bank."""

    def cli_cmd(self) -> None:
        """Hands over to the chosen verb."""
        CliApp.run_subcommand(self)
