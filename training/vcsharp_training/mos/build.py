"""Builds the rating page. It holds no name of a method, nor anything that stands for one.

Pictures get names that are drawn at random, are written anew (so that no remark of an encoder is
left in them) and stand in random order. Only the key file, which stays with whoever runs the study,
says what is what.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
from collections import defaultdict
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vcsharp_training import images
from vcsharp_training.errors import DataError
from vcsharp_training.images import Picture
from vcsharp_training.mos.command import Build

LEAST_METHODS, MOST_METHODS = 2, 8
ID_BYTES = 8
PICTURES = "pictures"


@dataclass(frozen=True)
class Scene:
    """One picture as every method made it."""

    name: str
    category: str
    files: dict[str, Path]
    """By method."""


def build(wanted: Build) -> list[str]:
    """Writes page and key; returns remarks for people.

    Raises DataError if there is nothing to compare, or pictures of a scene differ in size.
    """
    methods = _methods(wanted.results)
    found, left_out = _scenes(methods)
    rng = np.random.default_rng(wanted.seed)
    scenes = _chosen(found, wanted.scenes, rng)
    draw = _Names(rng)
    study, stimuli = draw.name(), dict[str, Any]()
    shown = [_shown(scene, draw, stimuli, wanted) for scene in scenes]
    key = {"study": study, "methods": sorted(methods), "stimuli": stimuli}
    page = {"study": study, "scenes": shown}
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    wanted.out.write_text(_html(wanted.title, page), "utf-8")
    key_file = wanted.out.with_suffix(".key.json")
    key_file.write_text(json.dumps(key, indent=1) + "\n", "utf-8")
    size_mib = wanted.out.stat().st_size / 2**20
    return [
        *(f"left out '{name}': not there for every method" for name in left_out),
        f"wrote '{wanted.out}' ({len(scenes)} scenes of {len(methods)} methods, {size_mib:.1f} MiB)"
        f" and its key '{key_file}'; do not hand out the key",
    ]


def _methods(results: Path) -> dict[str, dict[str, Path]]:
    """Pictures by method and by their path inside its folder, without suffix."""
    folders = sorted(path for path in results.glob("*") if path.is_dir())
    if not LEAST_METHODS <= len(folders) <= MOST_METHODS:
        raise DataError(
            f"'{results}' holds {len(folders)} folders; from {LEAST_METHODS} to {MOST_METHODS} "
            "are needed, one per method"
        )
    return {
        folder.name: {
            path.relative_to(folder).with_suffix("").as_posix(): path
            for path in images.find_images(folder)
        }
        for folder in folders
    }


def _scenes(methods: dict[str, dict[str, Path]]) -> tuple[list[Scene], list[str]]:
    """Scenes that every method has, and the names of the others."""
    names = sorted({name for pictures in methods.values() for name in pictures})
    common = [name for name in names if all(name in pictures for pictures in methods.values())]
    if not common:
        raise DataError(
            f"no picture is there for all of {', '.join(methods)}; give the same names in each"
        )
    scenes = [
        Scene(name, _category(name), {method: files[name] for method, files in methods.items()})
        for name in common
    ]
    return scenes, [name for name in names if name not in common]


def _category(name: str) -> str:
    return name.partition("/")[0] if "/" in name else name.split("_")[0]


def _chosen(scenes: list[Scene], count: int | None, rng: np.random.Generator) -> list[Scene]:
    """In random order; of each category by turns until there are enough."""
    by_category = defaultdict[str, list[Scene]](list)
    for index in rng.permutation(len(scenes)):
        by_category[scenes[index].category].append(scenes[index])
    queues = [by_category[name] for name in sorted(by_category)]
    rounds = range(max(map(len, queues)))
    ordered = [queue[turn] for turn in rounds for queue in queues if turn < len(queue)]
    taken = ordered[:count]
    return [taken[index] for index in rng.permutation(len(taken))]


class _Names:
    """Draws names that say nothing."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def name(self) -> str:
        """A new one."""
        return self._rng.bytes(ID_BYTES).hex()

    def shuffled(self, values: list[str]) -> list[str]:
        """The same in random order."""
        return [values[index] for index in self._rng.permutation(len(values))]


def _shown(scene: Scene, draw: _Names, key: dict[str, Any], wanted: Build) -> dict[str, Any]:
    """A scene as the page has it; enters its pictures into the key."""
    pictures = {method: images.read_bgr(path) for method, path in scene.files.items()}
    sizes = {picture.shape[:2] for picture in pictures.values()}
    if len(sizes) > 1:
        listed = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
        raise DataError(
            f"the pictures of '{scene.name}' differ in size ({listed}); make them alike"
        )
    name, stimuli = draw.name(), []
    for method in draw.shuffled(list(pictures)):
        stimulus = draw.name()
        key[stimulus] = {"method": method, "scene": scene.name, "category": scene.category}
        stimuli.append({"id": stimulus, "src": _source(pictures[method], stimulus, wanted)})
    height, width = next(iter(sizes))
    return {"id": name, "width": width, "height": height, "stimuli": stimuli}


def _source(picture: Picture, stimulus: str, wanted: Build) -> str:
    """Where the page gets a picture from."""
    png = cv2.imencode(".png", picture)[1].tobytes()
    if not wanted.folder:
        return "data:image/png;base64," + base64.b64encode(png).decode()
    folder = wanted.out.parent / f"{wanted.out.stem}-{PICTURES}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stimulus}.png").write_bytes(png)
    return f"{folder.name}/{stimulus}.png"


def _html(title: str, page: dict[str, Any]) -> str:
    """The page in one piece; its script may run because the page names its hash."""
    parts = importlib.resources.files("vcsharp_training.mos")
    html, style, script = (
        (parts / name).read_text("utf-8") for name in ("page.html", "page.css", "page.js")
    )
    data = json.dumps(page).replace("</", "<\\/")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    replaced = {
        "{{title}}": escape(title),
        "{{digest}}": digest,
        "/*style*/": style,
        "/*script*/": script,
        "{{data}}": data,
    }
    for mark, text in replaced.items():
        html = html.replace(mark, text)
    return html
