"""The handles of a conversion, a recording into files: it can be watched, but not be led astray."""

from __future__ import annotations

import time
from typing import NoReturn

from vcsharp.engine.live import EngineStatus
from vcsharp.engine.worker import Engine, EngineFacts
from vcsharp.errors import SettingsError
from vcsharp.sources.base import Source
from vcsharp.sources.live import SourceStatus
from vcsharp.states import EngineState, SourceState


class FixedSource:
    """Fulfils `steering.SourceHandle`. Every method may be called from any thread."""

    def __init__(self, source: Source) -> None:
        self._status = SourceStatus(source.name, state=SourceState.LIVE, since_s=time.monotonic())

    @property
    def status(self) -> SourceStatus:
        """Always at work."""
        return self._status

    def use(self, spec: str) -> NoReturn:
        """Refused: the file would hold two recordings."""
        _refuse(f"its source cannot be changed to '{spec}'")

    def hold(self, reason: SourceState) -> NoReturn:
        """Refused: nothing is lost by letting it run."""
        _refuse(f"it cannot be {reason}")

    def release(self, reason: SourceState) -> None:
        """Nothing is ever held."""


class FixedEngine:
    """Fulfils `steering.EngineHandle`. Every method may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def strength(self) -> float:
        """Factor on the residual, 0..2; may be set between frames."""
        return self._engine.strength

    @strength.setter
    def strength(self, strength: float) -> None:
        self._engine.strength = strength

    @property
    def facts(self) -> EngineFacts:
        """What the engine is."""
        return self._engine.facts

    @property
    def model(self) -> str:
        """The network's name."""
        return self._engine.facts.model

    @property
    def status(self) -> EngineStatus:
        """Always ready: a fault ends the run."""
        return EngineStatus(EngineState.READY, "", 0)

    def use(self, model: str) -> NoReturn:
        """Refused: one file, one network."""
        _refuse(f"its network cannot be changed to '{model}'")


def _refuse(what: str) -> NoReturn:
    raise SettingsError(f"this run converts a recording: {what}; stop it and start another one")
