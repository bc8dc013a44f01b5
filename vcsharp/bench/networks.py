"""A network on a backend, one frame after the other, through the engine that a run uses."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from vcsharp.bench.contender import (
    CLOCKS,
    SETTLED_MS,
    Clocks,
    NotHereError,
    Sample,
    Subject,
    timed,
)
from vcsharp.bench.frames import pictures
from vcsharp.catalogue import FileKind, Model
from vcsharp.engine.experts import OFF
from vcsharp.engine.steady import DEFAULT_LEVELS
from vcsharp.engine.worker import choose, has_nvidia
from vcsharp.errors import BackendUnavailableError
from vcsharp.frame import Frame
from vcsharp.pipeline import Sharpener

TILE_PX = 512
WAYS = (
    ("ort", "cpu", "int8"),
    ("ort", "cpu", "fp32"),
    ("torch", "cuda", "fp16"),
    ("torch", "cuda", "fp32"),
    ("ort", "cuda", "fp32"),
)
"""(backend, device, precision) that are measured. PyTorch on the CPU is there for comparing bytes,
not for speed, and is left out."""

MakeEngine = Callable[[str, str, str, str], Sharpener]
"""(model's folder, device, backend, precision) to an engine. Raises VcsharpError."""


def make_engine(model: str, device: str, backend: str, precision: str) -> Sharpener:
    """The engine as a run would have it, threads and all; a look at the picture is not timed."""
    return choose(model, device, backend, precision, 0, TILE_PX, expert=OFF, steady=DEFAULT_LEVELS)


class Network:
    """One student at one size; see `Contender`."""

    def __init__(
        self,
        model: Model,
        way: tuple[str, str, str],
        size: tuple[int, int],
        *,
        group: str = "networks",
        make: MakeEngine = make_engine,
        clocks: Clocks = CLOCKS,
    ) -> None:
        backend, device, precision = way
        self.rss_growth_mib: float | None = None
        """What loading it and the first frames added to the process."""
        self.subject = Subject(
            group=group,
            name=f"{model.card.name} {precision} {backend} {device}",
            size=size,
            model=model.card.name,
            backend=backend,
            device=device,
            precision=precision,
            gmac=model.card.mac_per_px * size[0] * size[1] / 1e9,
        )
        self._model, self._make, self._clocks = model, make, clocks
        self._engine: Sharpener | None = None
        self._last_ms, self._shown = 0.0, 0

    def prepare(self) -> None:
        """Builds the engine and runs two frames."""
        frames = pictures(*self._size)
        before = _rss_mib()
        self._engine = self._built()
        self._engine.warm_up(*self._size)
        self._last_ms = timed(lambda _: self._step(frames), 0.0, self._clocks).frame_ms[0]
        self.rss_growth_mib = max(0.0, _rss_mib() - before)

    def turn(self, seconds: float) -> Sample:
        """Frames one after the other; a short one runs once before, to fill the caches again."""
        frames = pictures(*self._size)
        if self._last_ms < SETTLED_MS:
            self._step(frames)
        sample = timed(lambda _: self._step(frames), seconds, self._clocks)
        self._last_ms = sample.frame_ms[-1]
        return sample

    def close(self) -> None:
        """Frees the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    @property
    def _size(self) -> tuple[int, int]:
        size = self.subject.size
        assert size is not None
        return size

    def _built(self) -> Sharpener:
        subject = self.subject
        kind: FileKind = "torch" if subject.backend == "torch" else _file(subject.precision)
        if kind not in self._model.card.files:
            raise NotHereError(f"the model has no {kind} file")
        if subject.device == "cuda" and not has_nvidia():
            raise NotHereError("no NVIDIA GPU")
        try:
            folder = str(self._model.folder.resolve())
            return self._make(folder, subject.device, subject.backend, subject.precision)
        except BackendUnavailableError as error:
            raise NotHereError(str(error)) from error

    def _step(self, frames: tuple[Frame, ...]) -> None:
        """The next picture; never the same one twice in a row, whatever turns end and begin."""
        assert self._engine is not None
        self._engine.process(frames[self._shown % len(frames)])
        self._shown += 1


def _file(precision: str) -> FileKind:
    return "int8" if precision == "int8" else "fp32"


def _rss_mib() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20
