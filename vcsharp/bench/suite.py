"""What is measured: the contenders of one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from vcsharp.bench.ceilings import Copies, Products
from vcsharp.bench.contender import Contender, NotHereError, Subject
from vcsharp.bench.frames import FULL_RANGE, pictures
from vcsharp.bench.gpu import WAYS as COPY_WAYS
from vcsharp.bench.gpu import GpuCopies, GpuProducts
from vcsharp.bench.gpunetworks import MODES, GpuNetwork
from vcsharp.bench.networks import WAYS, Network, make_engine
from vcsharp.bench.peers import FILTERS, LinkedFilter, OpenCvUnsharp, ProgramFilter
from vcsharp.bench.pipelines import Pipelines
from vcsharp.catalogue import Model
from vcsharp.engine.worker import NO_MODEL, choose, has_nvidia
from vcsharp.errors import BackendUnavailableError
from vcsharp.frame import Frame
from vcsharp.pipeline import Sharpener

GROUPS = ("ceilings", "networks", "gpu", "pipeline", "peers", "cameras")
HD = (1920, 1080)
VGA = (640, 480)
SIZES = (HD, (1280, 720), VGA)
LARGEST = (3840, 2160)
"""The cheapest network is measured here too, for the cost by size."""
CAMERAS = (1, 2, 4)
PLANES = 4
"""Small pictures that go through a GPU as one batch."""
SQUARISH = (1280, 960)
"""A 4:3 camera, which has to be scaled and letterboxed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked for."""

    groups: frozenset[str] = frozenset(GROUPS)
    quick: bool = False
    """1080p only, and the cheapest network alone in the whole pipeline."""


def contenders(models: Sequence[Model], choice: Choice, cores: int) -> list[Contender]:
    """All that take turns, cheapest network first.

    Args:
        models: cheapest first.
        choice: which groups, and how many of each.
        cores: that this process may run on.
    """
    makers: dict[str, Callable[[], list[Contender]]] = {
        "ceilings": partial(_ceilings, cores),
        "networks": partial(_networks, models, choice),
        "gpu": partial(_gpu, models, choice),
        "pipeline": partial(_pipelines, models, choice),
        "peers": _peers,
        "cameras": partial(_cameras, models),
    }
    wanted = set(choice.groups)
    wanted |= {"ceilings"} if wanted & {"networks", "gpu"} else set()
    return [one for group, make in makers.items() if group in wanted for one in make()]


def _ceilings(cores: int) -> list[Contender]:
    precisions: tuple[Literal["int8", "fp32"], ...] = ("int8", "fp32")
    found: list[Contender] = []
    for threads in sorted({1, cores}):
        found += [Products(precision, threads) for precision in precisions]
    found += [Copies(threads) for threads in sorted({1, cores})]
    return [*found, GpuProducts(), *(GpuCopies(way) for way in COPY_WAYS)]


def _networks(models: Sequence[Model], choice: Choice) -> list[Contender]:
    sizes = SIZES[:1] if choice.quick else SIZES
    found: list[Contender] = [
        Network(model, way, size) for model in models for way in WAYS for size in sizes
    ]
    if models and not choice.quick:
        found.append(Network(models[0], WAYS[0], LARGEST))
    return found


def _gpu(models: Sequence[Model], choice: Choice) -> list[Contender]:
    """Nothing without a GPU: `networks` says already that there is none.

    What has to be compiled comes last: where that takes too long, it is left out.
    """
    if not has_nvidia():
        return []
    modes = MODES[:1] if choice.quick else MODES
    found: list[Contender] = [GpuNetwork(model, mode, HD) for mode in modes for model in models]
    batches = [GpuNetwork(model, MODES[0], VGA, planes=PLANES) for model in models[:1]]
    return [*batches, *found]


def _pipelines(models: Sequence[Model], choice: Choice) -> list[Contender]:
    """Without a network: what the frames' way costs. With one: what people get."""
    none = partial(Subject, "pipeline", backend=NO_MODEL, device="cpu", precision=NO_MODEL)
    same, other = partial(pictures, *HD), partial(pictures, *SQUARISH, FULL_RANGE)
    found: list[Contender] = [
        Pipelines(none("no network", HD), same, partial(_engine, NO_MODEL, "auto")),
        Pipelines(
            none("no network, 1280x960 full range in", HD),
            other,
            partial(_engine, NO_MODEL, "auto"),
        ),
    ]
    return found + [_piped(model, 1, "pipeline") for model in models[: 1 if choice.quick else None]]


def _cameras(models: Sequence[Model]) -> list[Contender]:
    """Engines of their own that share the cores; of the cheapest network."""
    return [_piped(model, cameras, "cameras") for model in models[:1] for cameras in CAMERAS]


def _piped(model: Model, cameras: int, group: str) -> Contender:
    precision = "int8" if "int8" in model.card.files else "fp32"
    words = "" if group == "pipeline" else f", {cameras} camera{'s' * (cameras > 1)}"
    subject = Subject(
        group=group,
        name=f"{model.card.name} {precision}{words}",
        size=HD,
        model=model.card.name,
        backend="ort",
        device="cpu",
        precision=precision,
        cameras=cameras,
    )
    make = partial(_engine, str(model.folder.resolve()), precision)
    return Pipelines(subject, partial(pictures, *HD), make)


def _engine(model: str, precision: str) -> Sharpener:
    """Raises NotHereError where the CPU's runtime is missing."""
    if model == NO_MODEL:
        return choose(NO_MODEL, "cpu", "auto", "auto", 0, 512)
    try:
        return make_engine(model, "cpu", "ort", precision)
    except BackendUnavailableError as error:
        raise NotHereError(str(error)) from error


def _peers() -> list[Contender]:
    linked: list[Contender] = [LinkedFilter(name, HD) for name in FILTERS]
    return [*linked, *(ProgramFilter(name, HD) for name in FILTERS), OpenCvUnsharp(HD)]


def live_engine(model: Model) -> Sharpener:
    """For the paced run at the end."""
    return _engine(str(model.folder.resolve()), "int8" if "int8" in model.card.files else "fp32")


def live_frames() -> Sequence[Frame]:
    """For the paced run at the end."""
    return pictures(*HD)
