"""`vcsharp-train mos build` and `vcsharp-train mos report`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliApp, CliImplicitFlag, CliPositionalArg, CliSubCommand

from vcsharp_training.strict import Strict


class Build(Strict):
    """Make the page on which people rate pictures without knowing what made them."""

    results: CliPositionalArg[Path]
    """Folder with a sub-folder per method, all with the same pictures (`METHOD/PICTURE.png`, or
    `METHOD/CATEGORY/PICTURE.png`).
    """
    out: Path = Path("mos.html")
    """The page. Beside it, `NAME.key.json` says which picture is whose: keep it to yourself."""
    title: str = "Which picture looks better?"
    """Heading of the page."""
    scenes: int | None = Field(None, gt=0)
    """Take only so many pictures, evenly from all categories."""
    seed: int = 0
    """Decides which pictures, and what they are called on the page."""
    folder: CliImplicitFlag[bool] = False
    """Put the pictures into a folder beside the page in the place of the page itself."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        from vcsharp_training import progress
        from vcsharp_training.mos import build

        for line in build.build(self):
            progress.say(line)


class Report(Strict):
    """Mean opinions with confidence intervals from the ratings that people sent back."""

    ratings: CliPositionalArg[list[Path]]
    """CSV files that the page saved."""
    key: Path
    """The page's key file."""
    against: str | None = None
    """Also report every method's difference from this one, rater by rater."""
    confidence: float = Field(0.95, gt=0, lt=1)
    """Of the intervals."""
    json_file: Path | None = None
    """Also write every figure to this JSON file."""

    def cli_cmd(self) -> None:
        """Runs the verb."""
        import sys

        from vcsharp_training.mos import report

        sys.stdout.write(report.report(self))


class Mos(Strict):
    """Ask people: build a blind rating page, or sum up what they said."""

    build: CliSubCommand[Build]
    """Make the blind page."""
    report: CliSubCommand[Report]
    """Means and confidence intervals of the ratings."""

    def cli_cmd(self) -> None:
        """Hands over to the chosen verb."""
        CliApp.run_subcommand(self)
