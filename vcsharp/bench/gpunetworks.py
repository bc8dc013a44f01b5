"""Networks on a GPU with several frames under way, once for each way to launch the work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING

from vcsharp.bench.contender import CLOCKS, Clocks, NotHereError, Sample, Subject, timed
from vcsharp.bench.frames import pictures
from vcsharp.bench.gpu import require_cuda
from vcsharp.bench.roofline import Need, need
from vcsharp.catalogue import Model
from vcsharp.engine.worker import Engine
from vcsharp.errors import BackendUnavailableError

if TYPE_CHECKING:
    from vcsharp.engine.torch_cuda import TorchBackend

TILE_PX = 512
MODES = ("graph", "eager", "compiled", "compiled-graph")
"""See `vcsharp.engine.gpu.program`; named here so that this module needs no PyTorch."""
MOST_TIMES = 10_000
STAGES = ("upload", "compute", "download")


class GpuNetwork:
    """One student at one size; see `Contender`.

    Args:
        model: has a `torch` file.
        mode: how the work is launched.
        size: (width, height).
        precision: `fp16`, `bf16`, `fp32`.
        planes: pictures that go through as one batch, one batch after the other; each picture
            counts as a frame. With one, several frames are under way.
        device: tests run it on `cpu`.
        clocks: tests plant their own.
    """

    def __init__(
        self,
        model: Model,
        mode: str,
        size: tuple[int, int],
        *,
        precision: str = "fp16",
        planes: int = 1,
        device: str = "cuda",
        clocks: Clocks = CLOCKS,
    ) -> None:
        card = model.card
        words = f", {planes} a batch" if planes > 1 else ""
        self.need: Need = need(card.architecture, card.mac_per_px, size, precision)
        self.subject = Subject(
            group="gpu",
            name=f"{card.name} {precision} torch cuda {mode}{words}",
            size=size,
            model=card.name,
            backend="torch",
            device="cuda",
            precision=precision,
            gmac=self.need.gmac,
        )
        self._model, self._mode, self._planes, self._device = model, mode, planes, device
        self._clocks, self._size = clocks, size
        self._engine: Engine | None = None
        self._step: Callable[[], object] = lambda: None
        self._took_ms: deque[tuple[float, float, float]] = deque(maxlen=MOST_TIMES)

    @property
    def stage_ms(self) -> dict[str, float]:
        """Medians of a frame's stages; empty before the first turn."""
        columns = zip(*self._took_ms, strict=True)
        return {
            name: median(column) / self._planes
            for name, column in zip(STAGES, columns, strict=False)
        }

    def prepare(self) -> None:
        """Builds the engine, captures or compiles, and runs a few frames."""
        require_cuda(self._device)
        if "torch" not in self._model.card.files:
            raise NotHereError("the model has no torch file")
        backend = self._built()
        self._engine = Engine(backend, self._model, TILE_PX)
        self._engine.warm_up_batch(*self._size, self._planes)
        self._step = self._stepping(self._engine, backend)
        for _ in range(2 * self._engine.depth):
            self._step()
        self._took_ms.clear()

    def turn(self, seconds: float) -> Sample:
        """Frames as fast as they go. Single ones have no time of their own: they overlap."""
        sample = timed(lambda _: self._step(), seconds, self._clocks)
        return Sample(sample.frames * self._planes, sample.wall_s, sample.cpu_s)

    def close(self) -> None:
        """Frees the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _built(self) -> TorchBackend:
        from vcsharp.engine.gpu.program import MODES as KNOWN
        from vcsharp.engine.torch_cuda import TorchBackend

        mode = next(one for one in KNOWN if one == self._mode)
        try:
            return TorchBackend(
                self._model, self.subject.precision, self._device, 0, mode=mode, timed=True
            )
        except BackendUnavailableError as error:
            raise NotHereError(str(error)) from error

    def _stepping(self, engine: Engine, backend: TorchBackend) -> Callable[[], object]:
        """Makes one more frame, or one more batch, come out."""
        frames = pictures(*self._size)
        lumas = [frames[number % len(frames)].y for number in range(self._planes)]
        sharp = engine.process_many(cycle(frames))

        def step() -> None:
            if self._planes == 1:
                next(sharp)
            else:
                engine.sharpen_batch(lumas, 1.0)
            if (took := backend.stages) is not None:
                self._took_ms.append((took.upload_ms, took.compute_ms, took.download_ms))

        return step
