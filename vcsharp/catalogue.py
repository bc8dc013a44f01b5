"""The models at hand: their cards, where they are looked for, and whether their files are intact.

A model is a folder `NAME/` with `card.json` and the files that the card names. Order of search for
a name: `$XDG_DATA_HOME/vcsharp/models/NAME`, then the models that came with the package. A path is
taken as it is.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import logging
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vcsharp.errors import ModelError, ModelNotFoundError

log = logging.getLogger(__name__)

FileKind = Literal["int8", "fp32", "torch"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModelFile(_Strict):
    """One file of a model."""

    name: str
    """File name inside the model's folder."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Checksum; the runtime refuses a file that does not match."""
    bytes: int = Field(gt=0)
    """Size on disk."""


class Architecture(_Strict):
    """What `vcsharp.nets` has to build for the torch backend."""

    kind: Literal["plain"] = "plain"
    channels: tuple[int, ...]
    stride: int = Field(gt=0)


class ProfileMetrics(_Strict):
    """Means over the held-out pictures of one degradation. Gains are output minus input."""

    psnr_in_db: float
    psnr_out_db: float
    psnr_gain_db: float
    ssim_in: float
    ssim_out: float
    ssim_gain: float
    images: int


class Card(_Strict):
    """`card.json`: a network plus the facts that the runtime trusts; written by the export."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    version: str
    summary: str
    """One line for people."""
    architecture: Architecture
    params: int = Field(gt=0)
    mac_per_px: int = Field(gt=0)
    receptive_field_px: int = Field(gt=0)
    halo_px: int = Field(ge=0)
    """Pixels around a tile; tiles then equal the whole frame."""
    multiple_of: int = Field(gt=0)
    """Tiles start at, and planes are padded to, multiples of this many pixels."""
    input_layout: Literal["luma"] = "luma"
    """Planes that the network restores; the others pass through untouched."""
    input_range: Literal["uint8"] = "uint8"
    """Sample format at the network's door: the frame's own bytes."""
    files: dict[FileKind, ModelFile]
    teacher: str
    data: str
    recipe: str
    """Path of the recipe, relative to the repository, whose run made the weights."""
    metrics: dict[str, ProfileMetrics]
    clean_psnr_db: float
    """PSNR of the output to the input on undegraded pictures: how little harm is done."""
    licence: str


class Model:
    """A card and the folder it was found in. Immutable; safe to share between threads."""

    def __init__(self, card: Card, folder: Path) -> None:
        self.card = card
        self.folder = folder

    def path(self, kind: FileKind) -> Path:
        """The checked path of a file. Raises ModelError if it is missing or damaged."""
        entry = self.card.files.get(kind)
        if entry is None:
            raise ModelError(
                f"model '{self.card.name}' has no {kind} file; "
                f"its card lists: {', '.join(self.card.files)}"
            )
        path = self.folder / entry.name
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(
                f"cannot read '{path}' of model '{self.card.name}': {error.strerror}; "
                "reinstall vcsharp"
            ) from error
        if digest != entry.sha256:
            raise ModelError(
                f"'{path}' does not match the checksum in its card.json "
                f"(sha256 {digest[:12]}..., expected {entry.sha256[:12]}...); reinstall the model"
            )
        return path


def load(folder: Path) -> Model:
    """Reads `folder/card.json`. Raises ModelNotFoundError or ModelError."""
    card_path = folder / "card.json"
    try:
        card = Card.model_validate_json(card_path.read_text("utf-8"))
    except OSError as error:
        raise ModelNotFoundError(
            f"no model in '{folder}': {card_path.name}: {error.strerror}"
        ) from error
    except (ValidationError, json.JSONDecodeError) as error:
        first = str(error).splitlines()
        reason = "; ".join(line.strip() for line in first[1:3]) or first[0]
        raise ModelError(f"'{card_path}' is not a model card: {reason}") from error
    return Model(card, folder)


def packaged_folder() -> Path:
    """The models that came with the package. Raises ModelNotFoundError if they were lost."""
    folder = Path(str(importlib.resources.files("vcsharp"))) / "_models"
    if not folder.is_dir():
        raise ModelNotFoundError(
            f"'{folder}' is not a folder: the symbolic link to models/ was lost in unpacking; "
            "install vcsharp with pip or git clone"
        )
    return folder


def search_folders() -> list[Path]:
    """Folders whose sub-folders are models, first match wins."""
    data_home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return [data_home / "vcsharp" / "models", packaged_folder()]


def find(name_or_path: str) -> Model:
    """A model by name, or by its folder's path. Raises ModelNotFoundError with all places."""
    if os.sep in name_or_path or name_or_path.startswith("."):
        return load(Path(name_or_path).expanduser())
    tried = search_folders()
    for folder in tried:
        if (folder / name_or_path / "card.json").is_file():
            return load(folder / name_or_path)
    known = ", ".join(model.card.name for model in every()) or "none"
    raise ModelNotFoundError(
        f"no model named '{name_or_path}'; known: {known}; looked in: {', '.join(map(str, tried))}"
    )


def every() -> list[Model]:
    """All models, cheapest first; a name found in two folders counts once.

    A folder whose card cannot be read is left out with a warning.
    """
    found: dict[str, Model] = {}
    for folder in search_folders():
        for card_path in sorted(folder.glob("*/card.json")):
            _add(found, card_path.parent)
    return sorted(found.values(), key=lambda model: model.card.mac_per_px)


def _add(found: dict[str, Model], folder: Path) -> None:
    try:
        found.setdefault(folder.name, load(folder))
    except ModelError as error:
        log.warning("%s", error)
