"""The models at hand: their cards, where they are looked for, and whether their files are intact.

A model is a folder `NAME/` with `card.json` and the files that the card names. Order of search for
a name: `$XDG_DATA_HOME/vcsharp/models/NAME`, then the models that came with the package. A path is
taken as it is.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import logging
import os
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vcsharp.errors import ModelError, ModelNotFoundError

log = logging.getLogger(__name__)

FileKind = Literal["int8", "fp32", "torch"]

LARGEST_CARD_BYTES = 64 * 1024
LARGEST_FILE_BYTES = 256 * 1024 * 1024
"""Of a model's weights. Larger ones could not keep up with a camera, and would fill the memory."""
LARGEST_HALO_PX = 512

TIERS = ("nano", "small", "base")
"""What `auto` chooses from; other models, people's own or variants, are for those who name them."""
_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"

Name = Annotated[str, Field(pattern=_NAME)]
Width = Annotated[int, Field(gt=0, le=1024)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class ModelFile(_Strict):
    """One file of a model."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """File name inside the model's folder; no path."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Checksum; the runtime refuses a file that does not match."""
    bytes: int = Field(gt=0, le=LARGEST_FILE_BYTES)
    """Size on disk."""


class Architecture(_Strict):
    """What `vcsharp.nets` has to build for the torch backend."""

    kind: Literal["plain"] = "plain"
    channels: tuple[Width, ...] = Field(min_length=2, max_length=64)
    """Widths from the stem to the head."""
    stride: int = Field(gt=0, le=32)

    @model_validator(mode="after")
    def _ends_fit(self) -> Self:
        ends = self.channels[0], self.channels[-1]
        if ends != (self.stride**2, self.stride**2):
            raise ValueError(f"channels must begin and end with stride squared, {self.stride**2}")
        if 4 * sum(9 * a * b for a, b in pairwise(self.channels)) > LARGEST_FILE_BYTES:
            raise ValueError(f"its weights are larger than {LARGEST_FILE_BYTES // 2**20} MiB")
        return self


class ProfileMetrics(_Strict):
    """Means over the held-out pictures of one degradation. Gains are output minus input."""

    psnr_in_db: float
    psnr_out_db: float
    psnr_gain_db: float
    ssim_in: float
    ssim_out: float
    ssim_gain: float
    images: int
    lpips_in: float | None = None
    """LPIPS 0.1 on AlexNet, lower is more alike; none where the weights were not at hand."""
    lpips_out: float | None = None
    sharpness_in: float | None = None
    """High-frequency energy (mean absolute Laplacian of luma) relative to the truth's."""
    sharpness_out: float | None = None
    psnr_rgb_gain_db: float | None = None
    ssim_rgb_gain: float | None = None


class SideEffects(_Strict):
    """What a model adds where there is nothing to restore."""

    flicker: float
    """Change between frames of a still scene with sensor and codec noise, relative to the
    input's."""
    overshoot: float
    """Halo at a soft edge, as a share of the step."""
    grain: float
    """Deviation on noisy plain greys, relative to the input's."""


class BenchmarkMetrics(_Strict):
    """Mean Y-PSNR on a set of super-resolution, reduced and brought back by bicubic; blind."""

    psnr_in_db: float
    psnr_out_db: float


class Speed(_Strict):
    """Frames a second through the engine where the card was written."""

    fps_512: float
    """512 x 512, one tile."""
    fps_1080p_tiled: float
    """1920 x 1080, tiles of at most 512 px."""
    device: str
    precision: str
    threads: int
    machine: str
    """Name of the processor."""


class Card(_Strict):
    """`card.json`: a network plus the facts that the runtime trusts; written by the export."""

    name: str = Field(pattern=_NAME)
    version: str
    summary: str
    """One line for people."""
    architecture: Architecture
    params: int = Field(gt=0)
    mac_per_px: int = Field(gt=0)
    receptive_field_px: int = Field(gt=0)
    halo_px: int = Field(ge=0, le=LARGEST_HALO_PX)
    """Pixels around a tile; tiles then equal the whole frame."""
    multiple_of: int = Field(gt=0, le=256)
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
    int8_loss_db: float | None = None
    """The most PSNR, over all profiles, that the int8 file loses against the fp32 one."""
    side_effects: SideEffects | None = None
    benchmarks: dict[str, BenchmarkMetrics] = {}
    """By set and scale, as `Set5 x2`."""
    speed: Speed | None = None
    experts: dict[Name, dict[FileKind, ModelFile]] = {}
    """By kind of picture damage, as `half`: files of the same network with weights for it."""
    gate: ModelFile | None = None
    """Says which of the experts a picture is for; see `vcsharp.engine.gate`."""

    @model_validator(mode="after")
    def _gate_has_work(self) -> Self:
        if bool(self.experts) != (self.gate is not None):
            raise ValueError("experts need a gate that chooses, and a gate needs experts")
        if taken := {"auto", "off"} & self.experts.keys():
            raise ValueError(f"no expert may be called '{min(taken)}': a setting's word")
        return self

    def every_file(self) -> Iterator[ModelFile]:
        """Those of the student, of its experts, and the gate."""
        for files in (self.files, *self.experts.values()):
            yield from files.values()
        if self.gate:
            yield self.gate


class Model:
    """A card and the folder it was found in. Immutable; safe to share between threads."""

    def __init__(self, card: Card, folder: Path) -> None:
        self.card = card
        self.folder = folder

    def expert(self, kind: str) -> Model:
        """The same model with the weights of one of its experts; `""` is the model itself.

        Raises ModelError if it has none of that name.
        """
        if not kind:
            return self
        files = self.card.experts.get(kind)
        if files is None:
            known = ", ".join(self.card.experts) or "none"
            raise ModelError(
                f"model '{self.card.name}' has no expert '{kind}'; its experts are: {known}"
            )
        card = self.card.model_copy(update={"files": files, "experts": {}, "gate": None})
        return Model(card, self.folder)

    def path(self, kind: FileKind) -> Path:
        """The checked path of a file. Raises ModelError if it is missing or damaged."""
        entry = self.card.files.get(kind)
        if entry is None:
            raise ModelError(
                f"model '{self.card.name}' has no {kind} file; "
                f"its card lists: {', '.join(self.card.files)}"
            )
        return self._checked(entry)

    def check(self) -> None:
        """Reads every file. Raises ModelError if one is missing or damaged."""
        for entry in self.card.every_file():
            self._checked(entry)

    def gate_path(self) -> Path | None:
        """The checked path of the gate; None without experts. Raises ModelError as `path` does."""
        return self._checked(self.card.gate) if self.card.gate else None

    def _checked(self, entry: ModelFile) -> Path:
        """The path of a file that is what the card says."""
        path = self.folder / entry.name
        try:
            self._refuse_unfit(path, entry)
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

    def _refuse_unfit(self, path: Path, entry: ModelFile) -> None:
        """What need not be read to be refused."""
        real = Path(os.path.realpath(path, strict=True))
        if real.parent != self.folder.resolve():
            raise ModelError(
                f"'{path}' is a link out of its model's folder; copy the file into the folder"
            )
        size = path.stat().st_size
        if not path.is_file() or size != entry.bytes:
            raise ModelError(
                f"'{path}' does not match its card.json "
                f"({size} bytes, expected {entry.bytes}); reinstall the model"
            )


def load(folder: Path) -> Model:
    """Reads `folder/card.json`. Raises ModelNotFoundError or ModelError."""
    card_path = folder / "card.json"
    try:
        card = Card.model_validate_json(_read_card(card_path))
    except OSError as error:
        raise ModelNotFoundError(
            f"no model in '{folder}': {card_path.name}: {error.strerror}"
        ) from error
    except ValidationError as error:
        raise ModelError(f"'{card_path}' is not a model card: {_first_fault(error)}") from error
    return Model(card, folder)


def _read_card(path: Path) -> bytes:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ModelError(f"'{path}' is not a model card: not a file")
    with path.open("rb") as file:
        data = file.read(LARGEST_CARD_BYTES + 1)
    if len(data) > LARGEST_CARD_BYTES:
        kib = LARGEST_CARD_BYTES // 1024
        raise ModelError(f"'{path}' is not a model card: larger than {kib} KiB")
    return data


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    where = ".".join(map(str, fault["loc"]))
    return f"{where}: {fault['msg']}" if where else fault["msg"]


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
        return load(_folder(name_or_path))
    tried = search_folders()
    for folder in tried if re.fullmatch(_NAME, name_or_path) else []:
        if (folder / name_or_path / "card.json").is_file():
            return load(folder / name_or_path)
    known = ", ".join(model.card.name for model in every()) or "none"
    raise ModelNotFoundError(
        f"no model named '{name_or_path}'; known: {known}; looked in: {', '.join(map(str, tried))}"
    )


def _folder(text: str) -> Path:
    try:
        if "\0" in text:
            raise ModelNotFoundError(f"no model in {text!r}: a path holds no zero byte")
        return Path(text).expanduser()
    except RuntimeError as error:  # no such user, or no home
        raise ModelNotFoundError(f"no model in '{text}': {error}") from error


def every() -> list[Model]:
    """All models, cheapest first; a name found in two folders counts once.

    A folder whose card cannot be read is left out with a warning.
    """
    found: dict[str, Model] = {}
    for folder in search_folders():
        for card_path in sorted(folder.glob("*/card.json")):
            _add(found, card_path.parent)
    return sorted(found.values(), key=lambda model: model.card.mac_per_px)


def tiers() -> list[Model]:
    """What `auto` chooses from, cheapest first."""
    return [model for model in every() if model.card.name in TIERS]


def _add(found: dict[str, Model], folder: Path) -> None:
    try:
        found.setdefault(folder.name, load(folder))
    except ModelError as error:
        log.warning("%s", error)
