"""An engine that can be exchanged, freed and rebuilt while frames flow through it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from vcsharp.engine import tiling
from vcsharp.engine.governor import Sharing
from vcsharp.engine.pilot import LoadMeter, Pilot
from vcsharp.engine.worker import TILE_PX, Engine, EngineFacts
from vcsharp.errors import BackendError, VcsharpError
from vcsharp.frame import Frame
from vcsharp.states import EngineState

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
"""Back-off between attempts to build an engine that failed."""
TUNE_AFTER_S = 4.0
"""Of a network's work, before it is measured: a start has other things to do."""
PATIENCE = 2
"""A GPU that failed so often within a minute is given up for the CPU."""
FAULT_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Where the engine stands."""

    state: EngineState
    words: str
    restarts: int
    share: float = 1.0
    """Of a frame's tiles that may be sharpened; less where there is no time for all."""


_AT_WORK = (EngineState.READY, EngineState.FALLBACK)

Build = Callable[[str, str], Engine]
"""(model, device) to an engine. Raises VcsharpError."""


class LiveEngine:
    """Sharpens frames with whatever engine is there, and passes them on unchanged without one.

    Thread-safety: `process` and `close` belong to the engine thread; the rest is for any thread.
    """

    def __init__(
        self,
        build: Build,
        model: str,
        device: str,
        *,
        strength: float = 1.0,
        pilot: Pilot | None = None,
        tune: Callable[[EngineFacts], bool] = lambda _: False,
        on_fault: Callable[[str], None] = lambda _: None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Builds the first engine at once. Raises what `build` raises, or ModelError.

        `pilot` chooses the student for `auto`, and how much is sharpened; without one `build` does.
        `tune` measures what suits this machine, beside the first frames and once for each model;
        True means that `build` now makes a faster engine.
        `on_fault` is told one line for each fault, `on_change` that the engine is another one; both
        on a thread of this class or the engine thread.
        """
        self.strength = strength
        self._build, self._model, self._device = build, model, device
        self._pilot = pilot or _no_pilot()
        self._tune, self._tuned, self._tune_at_s = tune, set[str](), 0.0
        self._on_fault, self._on_change = on_fault, on_change
        self._lock = threading.Lock()
        self._size: tuple[int, int] | None = None
        self._running = self._target = self._pilot.begin(model)
        self._engine: Engine | None = checked(build(self._target, device))
        self._fresh: tuple[Engine, str] | None = None
        self._facts = self._engine.facts
        self._state, self._words, self._restarts = EngineState.READY, "", 0
        self._needed, self._closed = True, False
        self._loader: threading.Thread | None = None
        self._faults_s: list[float] = []
        self._wait_s, self._attempt_s = FIRST_WAIT_S, 0.0

    @property
    def facts(self) -> EngineFacts:
        """Of the engine that runs, or ran last."""
        engine = self._engine
        return engine.facts if engine else self._facts

    @property
    def status(self) -> EngineStatus:
        """As it is now."""
        with self._lock:
            words = self._words or (self._pilot.words if self._state in _AT_WORK else "")
            return EngineStatus(self._state, words, self._restarts, self._pilot.share)

    @property
    def loaded(self) -> bool:
        """Whether a network is in memory."""
        return self._engine is not None

    @property
    def model(self) -> str:
        """What was asked for last."""
        return self._model

    def plan(self, width: int, height: int) -> tiling.Plan:
        """The tiles for a plane of this size; see `Engine.plan`."""
        engine = self._engine
        return engine.plan(width, height) if engine else tiling.plan(width, height, TILE_PX, 0, 1)

    def need(self, needed: bool) -> None:  # noqa: FBT001 - a switch and nothing else
        """Frees the engine while nobody needs it; loads it again when somebody does."""
        with self._lock:
            changed, self._needed = self._needed != needed, needed
        if changed and needed and self._engine is None:
            self._load()

    def use(self, model: str) -> None:
        """Loads another network beside the one that runs, and changes over when it is ready."""
        self._model, self._target = model, self._pilot.begin(model)
        with self._lock:
            self._faults_s.clear()
            needed = self._needed
        if needed:
            self._load()

    def pace(self, fps: float) -> None:
        """Tells the rate at which pictures are sent."""
        self._pilot.period_s = 1 / fps

    def warm_up(self, width: int, height: int) -> None:
        """Runs one grey plane, so that the first real frame is not slow.

        Never raises: an engine that fails here is built again, as one that fails later.
        """
        self._size = width, height
        if self._engine is None:
            return
        try:
            self._engine.warm_up(width, height)
        except (BackendError, MemoryError, RuntimeError) as error:
            self._fail(str(error) or "out of memory")

    def process(self, frame: Frame) -> Frame:
        """The sharpened frame; the frame itself for placeholders, at strength 0 and after a fault.

        Never raises: a runtime that fails is built again, at last on the CPU.
        """
        engine = self._current()
        if engine is None:
            return frame
        engine.strength, engine.share = self.strength, self._pilot.share
        expert, started_s = engine.facts.expert, time.perf_counter()
        try:
            result = engine.process(frame)
        except (BackendError, MemoryError, RuntimeError) as error:
            self._fail(str(error) or "out of memory")
            return frame
        if engine.facts.expert != expert:
            self._pilot.changing()  # a frame with which weights are loaded says nothing of others
        elif not frame.notice and self.strength:
            self._govern(frame, time.perf_counter() - started_s, engine)
        return result

    def close(self) -> None:
        """Frees the engine. Idempotent."""
        with self._lock:
            self._closed = True
            engine, fresh = self._engine, self._fresh
            self._engine = self._fresh = None
        for one in (engine, fresh[0] if fresh else None):
            if one is not None:
                one.close()

    def _govern(self, frame: Frame, took_s: float, engine: Engine) -> None:
        """Lets the pilot see what the frame took, and loads another student where it says so."""
        if self._running != self._target or self._is_loading():
            self._pilot.changing()
            return
        if self._running not in self._tuned:
            self._tune_in_time()
        tiles = len(engine.plan(frame.width, frame.height).tiles)
        self._pilot.ran(frame, took_s, Sharing(tiles, engine.lanes))
        self._target = self._pilot.model

    def _is_loading(self) -> bool:
        return self._loader is not None and self._loader.is_alive()

    def _tune_in_time(self) -> None:
        """Starts a measurement when the network has run for a while."""
        now_s = time.monotonic()
        self._tune_at_s = self._tune_at_s or now_s + TUNE_AFTER_S
        if now_s < self._tune_at_s:
            return
        self._tuned.add(self._running)
        self._tune_at_s = 0.0
        with self._lock:
            self._loader = threading.Thread(target=self._tuning, name="vcsharp-tune", daemon=True)
        self._loader.start()

    def _tuning(self) -> None:
        try:
            faster = self._tune(self._facts)
        except (VcsharpError, MemoryError) as error:
            log.warning("cannot measure what suits this machine: %s", error)
            return
        if faster:
            self._loading()

    def _current(self) -> Engine | None:
        """Follows what other threads asked for since the last frame."""
        with self._lock:
            fresh, self._fresh = self._fresh, None
            needed = self._needed
        if fresh is not None:
            self._running = fresh[1]
            self._replace(fresh[0])
        if not needed and self._engine is not None:
            self._replace(None)
            self._tell(EngineState.RELEASED, "not needed now")
        if needed and self._engine is None and time.monotonic() >= self._attempt_s:
            self._load()
        if self._engine is not None and self._running != self._target:
            self._load()  # in case the last loader had looked just before the target changed
        return self._engine

    def _replace(self, engine: Engine | None) -> None:
        old, self._engine = self._engine, engine
        if old is not None:
            old.close()
        if engine is not None:
            self._facts = engine.facts
            fell_back = self._device == "cpu" and self._faults_s
            words = "the GPU failed; running on the CPU" if fell_back else ""
            self._tell(EngineState.FALLBACK if fell_back else EngineState.READY, words)
            self._on_change()

    def _fail(self, why: str) -> None:
        """Passes frames on unchanged, and plans the next attempt."""
        self._restarts += 1
        self._replace(None)
        self._put_off(why)

    def _put_off(self, why: str) -> None:
        """Counts the fault; a GPU with too many of them is left for the CPU."""
        now_s = time.monotonic()
        self._faults_s = [at_s for at_s in self._faults_s if now_s - at_s < FAULT_WINDOW_S]
        self._faults_s.append(now_s)
        if len(self._faults_s) >= PATIENCE and "cpu" not in (self._facts.device, self._device):
            self._device = "cpu"
            why += "; going on with the CPU"
        recent = len(self._faults_s) > 1
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S) if recent else FIRST_WAIT_S
        self._attempt_s = time.monotonic() + self._wait_s
        self._tell(EngineState.FAILED, why)
        log.warning("the network stopped: %s; pictures pass unchanged until it runs again", why)
        self._on_fault(why)

    def _tell(self, state: EngineState, words: str) -> None:
        with self._lock:
            self._state, self._words = state, words

    def _load(self) -> None:
        """Builds an engine on a thread of its own; `_current` takes it over."""
        with self._lock:
            if self._loader is not None and self._loader.is_alive():
                return  # it looks again when it is done
            self._loader = threading.Thread(target=self._loading, name="vcsharp-load", daemon=True)
            self._state, self._words = EngineState.LOADING, ""
        self._loader.start()

    def _loading(self) -> None:
        model = self._target
        try:
            engine = self._made(model, self._device)
        except (VcsharpError, MemoryError) as error:
            self._loading_failed(model, str(error) or "out of memory")
            return
        with self._lock:
            again = self._needed and not self._closed and model != self._target
            outdated = again or self._closed or not self._needed
            if not outdated:
                self._fresh = engine, model
        if outdated:
            engine.close()
        if outdated and not again:
            self._tell(EngineState.RELEASED, "not needed now")
        if again:
            self._loading()

    def _made(self, model: str, device: str) -> Engine:
        engine = checked(self._build(model, device))
        try:
            if self._size is not None:
                engine.warm_up(*self._size)
        except (BackendError, MemoryError):
            engine.close()
            raise
        return engine

    def _loading_failed(self, model: str, why: str) -> None:
        log.warning("cannot load the network '%s': %s", model, why)
        self._on_fault(why)
        if self._engine is not None:  # another one was wished for: the old one goes on
            self._stay(model)
            self._tell(EngineState.READY, f"'{model}' could not be loaded: {why}")
            return
        self._put_off(why)

    def _stay(self, refused: str) -> None:
        """Goes on with the network that runs, because another one could not be loaded."""
        if self._model == "auto":
            self._pilot.cannot(refused)
            self._target = self._running
            return
        self._model = self._target = self._running = self._facts.model
        self._pilot.begin(self._model)


def _no_pilot() -> Pilot:
    """One that never changes anything."""
    return Pilot(lambda: ([], ""), LoadMeter(1), active=False)


def checked(engine: Engine) -> Engine:
    """The engine, after it left plain grey as it was: not-a-number weights do not.

    Raises ModelError.
    """
    try:
        engine.check()
    except VcsharpError:
        engine.close()
        raise
    return engine
