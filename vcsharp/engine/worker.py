"""One engine: a model on a backend, fed with frames."""

from __future__ import annotations

import logging
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vcsharp import catalogue
from vcsharp.buffers import PICTURES
from vcsharp.catalogue import Model
from vcsharp.engine import experts, tiling
from vcsharp.engine import setup as setups
from vcsharp.engine.backend import Backend, NullBackend
from vcsharp.engine.backends import Candidate, make
from vcsharp.engine.experts import AUTO, Experts, Held
from vcsharp.engine.reuse import Tally, TileMemory
from vcsharp.engine.sanity import refuse_insane
from vcsharp.engine.setup import Setup
from vcsharp.engine.steady import Steady
from vcsharp.engine.streaming import StreamingBackend
from vcsharp.errors import BackendUnavailableError, SettingsError
from vcsharp.frame import Bytes, Frame

log = logging.getLogger(__name__)

DEFAULT_MODEL = "nano"
TILE_PX = 512
"""Edge of the largest tile where nobody has measured."""
NO_MODEL = "none"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine is, for people and for the statistics."""

    model: str
    backend: str
    device: str
    precision: str
    tile_px: int
    expert: str = ""
    """Of the model's experts, the one that the last picture was for; empty is the student."""

    @property
    def title(self) -> str:
        """Model and expert in one word: `nano`, `nano/call`."""
        return f"{self.model}/{self.expert}" if self.expert else self.model

    @property
    def runtime(self) -> str:
        """Backend and precision in two words: `onnxruntime int8`."""
        return NO_MODEL if self.model == NO_MODEL else f"{self.backend} {self.precision}"


@dataclass(frozen=True, slots=True)
class Pending:
    """A frame that was submitted."""

    result: Frame
    """Where it is written to; the frame itself where nothing is to be done or all is done."""
    held: Held | None = None
    """What works on it; None where nothing is under way."""
    ticket: Any = None
    """The backend's."""
    tiles: int = 0
    """That are under way."""


class Engine:
    """Sharpens frames and single luma planes.

    Thread-safety: one thread at a time, except `strength`, which any thread may set between frames.
    """

    def __init__(
        self,
        backend: Backend | Experts,
        model: Model | None,
        tile_px: int = TILE_PX,
        change_threshold: int | None = None,
        steady: int = 0,
    ) -> None:
        """`change_threshold` is `TileMemory`'s; None computes every tile of every frame. `steady`
        is `Steady`'s, for the frames of a stream.
        """
        name = model.card.name if model else NO_MODEL
        self._experts = (
            backend if isinstance(backend, Experts) else Experts(lambda _: backend, of=name)
        )
        self.lanes = self._experts.lanes
        """Tiles that are worked on at once."""
        self._memory = None if change_threshold is None else TileMemory(change_threshold)
        self._steady = Steady(steady)
        self._halo_px = model.card.halo_px if model else 0
        self._multiple = model.card.multiple_of if model else 1
        self.strength = 1.0
        self.share = 1.0
        """Of a frame's tiles that are computed at most, 0..1; needs a `change_threshold`."""
        self.on_tiles: Callable[[Tally], None] = lambda _: None
        """Told after each frame what became of its tiles."""
        self.on_expert: Callable[[EngineFacts], None] = lambda _: None
        """Told when a stream's picture is for another expert than the one before."""
        made, expert = self._backend, self._experts.current.name
        self.facts = EngineFacts(name, made.name, made.device, made.precision, tile_px, expert)
        self.plan(64, 64)  # raises early if the tiles are too small for the halo

    @property
    def depth(self) -> int:
        """Frames that may be submitted before the first one is collected."""
        return self._backend.depth

    def process(self, frame: Frame) -> Frame:
        """The sharpened frame; with strength or share 0, and for placeholders, the frame itself.

        Chroma passes through unchanged; the colour facts stay what they are.
        """
        return self.collect(self.submit(frame))

    def process_many(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """As `process` for each, in their order, with up to `depth` frames under way at once.

        Where unchanged tiles are kept, one follows the other: each needs the result before it.
        """
        under_way: deque[Pending] = deque()
        for frame in frames:
            if len(under_way) == self.depth:
                yield self.collect(under_way.popleft())
            under_way.append(self.submit(frame))
        while under_way:
            yield self.collect(under_way.popleft())

    def submit(self, frame: Frame) -> Pending:
        """Begins with a frame; `collect` gives what `process` would. At most `depth` at once."""
        if self.strength == 0 or frame.notice:
            self._steady.forget()
            return Pending(frame)
        plan = self.plan(frame.width, frame.height)
        if self.share == 0:
            self._steady.forget()
            self.on_tiles(Tally(passed=len(plan.tiles)))
            return Pending(frame)
        held, result, ticket = self._held(frame.y, plan), frame.blank_copy(), None
        plane = _padded(frame.y, plan.width, plan.height)
        if self._memory is None:
            ticket = held.submit([plane], plan, self.strength)
        else:
            memory, strength, share = self._memory, self.strength, self.share
            self.on_tiles(memory.sharpen(held.backend, plane, plan, strength, result.y, share))
            self._steady.hold(result.y)
        luma_bytes = frame.width * frame.height
        np.copyto(result.data[luma_bytes:], frame.data[luma_bytes:])
        return Pending(result, held if self._memory is None else None, ticket, len(plan.tiles))

    def collect(self, pending: Pending) -> Frame:
        """The result of a frame that was submitted, once it is done. Each once."""
        if pending.held is not None:
            pending.held.collect(pending.ticket, [pending.result.y])
            self._steady.hold(pending.result.y)
            self.on_tiles(Tally(computed=pending.tiles))
        return pending.result

    def sharpen_batch(self, lumas: Sequence[Bytes], strength: float) -> list[Bytes]:
        """As `sharpen_luma` for planes of one size, as one batch where the backend can.

        Several small pictures fill a GPU that one of them leaves half empty. Those for different
        experts are worked on in groups.
        """
        if strength == 0 or not lumas:
            return [luma.copy() for luma in lumas]
        outs = [np.empty_like(luma) for luma in lumas]
        height, width = outs[0].shape
        plan = self.plan(width, height)
        for name, members in self._experts.parted(lumas).items():
            group = [(lumas[index], outs[index]) for index in members]
            self._work(self._experts.use(name, plan), plan, group, strength)
        self._noted()
        return outs

    def sharpen_luma(self, luma: Bytes, strength: float) -> Bytes:
        """A sharpened copy of one plane: uint8, any (height, width) from 1 x 1 up.

        A picture by itself: which expert it is for is found out anew, whatever came before.
        """
        return self.sharpen_batch([luma], strength)[0]

    def plan(self, width: int, height: int) -> tiling.Plan:
        """The tiles for a plane of this size.

        Raises SettingsError if tiles are smaller than their halos.
        """
        try:
            return tiling.plan(width, height, self.facts.tile_px, self._halo_px, self._multiple)
        except ValueError as error:
            raise SettingsError(f"tile: {error}") from error

    def warm_up(self, width: int, height: int) -> None:
        """Prepares for frames of that size and runs a grey one, so that the first real frame is not
        slow, unless it is for an expert: which one, nobody knows yet.
        """
        self.warm_up_batch(width, height, 1)

    def warm_up_batch(self, width: int, height: int, planes: int) -> None:
        """The same for batches of so many planes; see `sharpen_batch`."""
        plan, grey = self.plan(width, height), np.full((height, width), 128, np.uint8)
        self._backend.prepare(plan, planes)
        pairs = [(grey, np.empty_like(grey)) for _ in range(planes)]
        self._work(self._experts.current, plan, pairs, 1.0)

    def check(self) -> None:
        """Lets plain grey through. Raises ModelError if that turns into something else."""
        refuse_insane(self._backend, self.plan(64, 64), self.facts.title)

    def close(self) -> None:
        """Frees the backends. Idempotent."""
        self._experts.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _backend(self) -> StreamingBackend:
        return self._experts.current.backend

    def _held(self, luma: Bytes, plan: tiling.Plan) -> Held:
        """What the stream's next picture is worked on with."""
        held = self._experts.for_frame(luma, plan)
        if self._noted():
            self.on_expert(self.facts)
        return held

    def _noted(self) -> bool:
        """Keeps the facts true; whether the expert is another one."""
        name = self._experts.current.name
        changed = name != self.facts.expert
        if changed:
            self.facts = replace(self.facts, expert=name)
        return changed

    def _work(
        self, held: Held, plan: tiling.Plan, pairs: Sequence[tuple[Bytes, Bytes]], strength: float
    ) -> None:
        """From planes to others of their size, as one batch."""
        planes = [_padded(luma, plan.width, plan.height) for luma, _ in pairs]
        held.collect(held.submit(planes, plan, strength), [out for _, out in pairs])


def _padded(luma: Bytes, width: int, height: int) -> Bytes:
    """The plane with its last column and row repeated up to the size; itself if it fits."""
    rows, columns = luma.shape
    if (rows, columns) == (height, width):
        return luma
    plane = PICTURES.take(width * height).reshape(height, width)
    plane[:rows, :columns] = luma
    plane[:rows, columns:] = luma[:, -1:]
    plane[rows:] = plane[rows - 1]
    return plane


def choose(
    model: str,
    device: str,
    backend: str,
    precision: str,
    threads: int,
    tile_px: int,
    change_threshold: int | None = None,
    expert: str = AUTO,
    steady: int = 0,
) -> Engine:
    """The engine that the settings name; `auto` takes the best that this machine has.

    Args:
        model: name or path of a model, `auto`, or `none` to pass frames through.
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        backend: `auto`, `ort`, `torch`, `tensorrt`.
        precision: `auto`, `int8`, `fp32`, `fp16`, `bf16`.
        threads: CPU threads; 0 means one per core at hand.
        tile_px: edge of the largest tile; 0 is `TILE_PX`, or what was measured to be best here.
        change_threshold: see `Engine`.
        expert: `auto` (the model's gate chooses, where it has one), `off` (none), or the name of
            one for all pictures; without meaning for the model `none`.
        steady: see `Engine`.

    Raises:
        SettingsError: the model has no such expert.
        ModelError: the model is damaged; ModelNotFoundError: there is none of that name.
        BackendUnavailableError: nothing that was asked for can run here; all reasons joined.
    """
    if model == NO_MODEL:
        return Engine(NullBackend(), None, tile_px or TILE_PX)
    found = catalogue.find(DEFAULT_MODEL if model == "auto" else model)
    setup = setups.remembered(found, precision, threads, tile_px)
    reasons: dict[str, None] = {}  # in order, each once
    for candidate in _candidates(device, backend, precision, setup):
        try:
            backends, used_px = _backends(candidate, found, threads, tile_px, setup, expert)
        except BackendUnavailableError as error:
            reasons[str(error)] = None
            continue
        if reasons:
            log.warning("%s; using %s instead", "; ".join(reasons), backends.current.backend.device)
        return Engine(backends, found, used_px, change_threshold, steady)
    raise BackendUnavailableError("; ".join(reasons) or _nothing_fits(device, backend, precision))


def _nothing_fits(device: str, backend: str, precision: str) -> str:
    return (
        f"no backend runs precision '{precision}' on device '{device}' with backend '{backend}'; "
        "int8 needs --backend ort --device cpu, tensorrt needs a GPU, fp16 a GPU and "
        "--backend torch or tensorrt, bf16 a GPU and --backend torch"
    )


_BEST_FIRST: list[Candidate] = [
    ("cuda", "torch", "fp16"),
    ("cuda", "torch", "fp32"),
    ("cuda", "ort", "fp32"),
    ("cpu", "ort", "int8"),
    ("cpu", "ort", "fp32"),
    ("cpu", "torch", "fp32"),
]
_BY_NAME: list[Candidate] = [
    ("cuda", "torch", "bf16"),
    ("cuda", "tensorrt", "fp16"),
    ("cuda", "tensorrt", "fp32"),
]
"""Only where `bf16` or `tensorrt` was asked for: the one is less exact, the other takes minutes to
start for the first time."""


def _candidates(device: str, backend: str, precision: str, setup: Setup | None) -> list[Candidate]:
    """What fits the wishes, best first. What was measured says nothing about GPUs."""
    devices = [device] if device != "auto" else (["cuda", "cpu"] if has_nvidia() else ["cpu"])
    named = precision == "bf16" or backend == "tensorrt"
    table = _BY_NAME if named else _BEST_FIRST
    return [
        (exact_device, kind, name)
        for exact_device in devices
        for on, kind, name in table
        if on == exact_device.partition(":")[0]
        and backend in ("auto", kind)
        and precision in ("auto", name)
        and not (setup and (on, kind) == ("cpu", "ort") and name != setup.precision)
    ]


def _backends(
    candidate: Candidate,
    model: Model,
    threads: int,
    tile_px: int,
    setup: Setup | None,
    expert: str,
) -> tuple[Experts, int]:
    """The model's backends, and the edge of their tiles."""
    if setup is None or candidate[:2] != ("cpu", "ort"):
        setup = Setup("", tile_px or TILE_PX, threads)
    used = setup
    return experts.of_model(model, lambda one: make(candidate, one, used), expert), used.tile_px


def has_nvidia() -> bool:
    """A cheap hint, so that machines without a GPU never load PyTorch to learn that."""
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None
