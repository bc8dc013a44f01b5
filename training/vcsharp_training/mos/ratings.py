"""Reads what raters sent back, and puts the names of the methods to it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from vcsharp_training.errors import DataError

COLUMNS = ("study", "session", "rater", "stimulus", "rating")
LOWEST, HIGHEST = 1, 5


class _Stimulus(BaseModel):
    model_config = ConfigDict(frozen=True)

    method: str
    scene: str
    category: str


class Key(BaseModel):
    """What a page's key file holds."""

    study: str
    methods: list[str]
    stimuli: dict[str, _Stimulus]


class Rating(NamedTuple):
    """One mark by one person."""

    rater: str
    """The session: two people may give the same name."""
    method: str
    scene: str
    category: str
    rating: int


def read_key(path: Path) -> Key:
    """Raises DataError if it is no key file."""
    try:
        return Key.model_validate(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise DataError(f"cannot read key '{path}': {error.strerror}") from error
    except (ValidationError, ValueError) as error:
        raise DataError(f"'{path}' is not a key that 'vcsharp-train mos build' wrote") from error


def read(paths: Sequence[Path], key: Key) -> list[Rating]:
    """All ratings; of a picture that one session rated in several files, the last file's counts.

    Raises DataError, with file and line, for what is not a rating of this study.
    """
    found = dict[tuple[str, str], Rating]()
    for path in paths:
        for line, row in enumerate(_rows(path), 2):
            found[row["session"], row["stimulus"]] = _rating(row, key, f"'{path}', line {line}")
    if not found:
        raise DataError(f"no ratings in {', '.join(map(repr, map(str, paths)))}")
    return list(found.values())


def _rows(path: Path) -> Iterable[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DataError(f"cannot read ratings '{path}': {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' is not a CSV file that the rating page saved") from error
    if rows and not set(COLUMNS) <= set(rows[0]):
        raise DataError(
            f"'{path}' lacks the columns {', '.join(sorted(set(COLUMNS) - set(rows[0])))}; "
            "give the files that the rating page saved"
        )
    return rows


def _rating(row: dict[str, str], key: Key, where: str) -> Rating:
    if row["study"] != key.study:
        raise DataError(f"{where}: of study '{row['study']}', but the key is of '{key.study}'")
    stimulus = key.stimuli.get(row["stimulus"])
    if stimulus is None:
        raise DataError(f"{where}: no picture '{row['stimulus']}' in the key")
    text = row["rating"] or ""
    if not text.isdecimal() or not LOWEST <= int(text) <= HIGHEST:
        raise DataError(f"{where}: '{text}' is no mark from {LOWEST} to {HIGHEST}")
    return Rating(row["session"], stimulus.method, stimulus.scene, stimulus.category, int(text))
