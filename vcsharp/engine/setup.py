"""How a student is run on this machine, and the file that remembers what was measured.

`$XDG_CACHE_HOME/vcsharp/tuning.json` holds one entry for each processor, version of the runtime,
model and wishes. It is a cache: whatever is wrong with it, it is measured anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vcsharp.catalogue import Model
from vcsharp.engine.machine import cpu_name_and_flags, usable_cores

log = logging.getLogger(__name__)

MOST_ENTRIES = 64
LARGEST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Setup:
    """How a student runs on the CPU."""

    precision: str
    tile_px: int
    threads: int
    """0 is one for each core at hand."""
    inside: bool = False
    """Threads work inside ONNX Runtime's operators, one tile after the other; else each thread has
    tiles of its own."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    precision: Literal["int8", "fp32"]
    tile_px: int = Field(ge=64, le=4096)
    threads: int = Field(ge=0, le=1024)
    inside: bool
    frame_ms: float = Field(ge=0)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    entries: dict[str, _Entry] = Field(default_factory=dict, max_length=MOST_ENTRIES)


def cache_path() -> Path:
    """Where measurements are kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "vcsharp" / "tuning.json"


def remembered(model: Model, precision: str, threads: int, tile_px: int) -> Setup | None:
    """What was measured to be the fastest for these wishes; None where nothing was."""
    return recall(key(model, precision, threads, tile_px))


def key(model: Model, precision: str, threads: int, tile_px: int) -> str:
    """What a measurement is valid for: all of it decides how fast a set-up is.

    Args:
        model: its weights count, by their checksums.
        precision: as wished; `auto` was left open.
        threads: as wished; 0 was left open.
        tile_px: as wished; 0 was left open.
    """
    name, flags = cpu_name_and_flags()
    sums = sorted(entry.sha256 for entry in model.card.files.values())
    wish = [precision, threads, tile_px]
    facts = [name, flags, usable_cores(), _runtime_version(), sums, wish]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _runtime_version() -> str:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        with suppress(PackageNotFoundError):
            return version(name)
    return ""


def recall(entry_key: str) -> Setup | None:
    """What was measured; None where nothing was, or where the file is damaged."""
    entry = _read().entries.get(entry_key)
    if entry is None:
        return None
    return Setup(entry.precision, entry.tile_px, entry.threads, entry.inside)


def remember(entry_key: str, setup: Setup, frame_ms: float) -> None:
    """Adds a measurement. Where that cannot be written, it is measured again next time."""
    entries = dict(_read().entries)
    entries.pop(entry_key, None)
    entries[entry_key] = _Entry(
        precision="fp32" if setup.precision == "fp32" else "int8",
        tile_px=setup.tile_px,
        threads=setup.threads,
        inside=setup.inside,
        frame_ms=frame_ms,
    )
    newest = dict(list(entries.items())[-MOST_ENTRIES:])
    path = cache_path()
    try:
        _replace(path, _File(entries=newest).model_dump_json(indent=1))
    except OSError as error:
        log.debug("cannot remember what was measured in '%s': %s", path, error.strerror)


def _read() -> _File:
    path = cache_path()
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
        return _File.model_validate_json(data)
    except FileNotFoundError:
        return _File()
    except (OSError, ValidationError) as error:
        log.debug("'%s' is not used: %s", path, error)
        return _File()


def _replace(path: Path, text: str) -> None:
    """As a whole, or not at all: several runs may write at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_text(text + "\n", "utf-8")
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink()
