"""A run that does as it is told, for whoever talks to one: no source, no engine, no outputs."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from vcsharp.control.model import (
    Change,
    EngineView,
    Figures,
    ModelChoice,
    Options,
    Reloaded,
    SinkView,
    SourceChoice,
    SourceView,
    State,
)
from vcsharp.errors import ModelNotFoundError, SettingsError, VcsharpError
from vcsharp.frame import Frame, Result, black
from vcsharp.states import EngineState, SinkState, SourceState

MODELS = (
    ModelChoice(model="nano", summary="fast on any CPU", mac_per_px=1200),
    ModelChoice(model="none", summary="the picture as it is"),
)
SOURCES = (
    SourceChoice(source="0", title="C920 Webcam", details="MJPG 1920x1080, 1280x720"),
    SourceChoice(source="demo", title="Demo scene"),
    SourceChoice(source="1", title="/dev/video1", details="held by zoom", usable=False),
)


def picture(number: int, width: int = 64, height: int = 48, *, notice: str = "") -> Result:
    """After: bright with stripes; before: dark and plain. A bar moves through both."""
    after, before = black(width, height), black(width, height)
    after.y[:] = np.where(np.arange(width) % 8 < 4, 150, 190)
    before.y[:] = 60
    bar = max(2, width // 16)
    start = 7 * number % (width - bar)
    for frame in (after, before):
        frame.y[:, start : start + bar] = 235
    return Result(*(f.replaced(sequence=number, notice=notice) for f in (after, before)))


class FakeRuntime:
    """Fulfils `vcsharp.control.runtime.Runtime`. Every method may be called from any thread.

    `show` puts a picture up; `update` sets fields of the state (`update(paused=True)`), also of its
    parts (`update(source={"words": "unplugged"})`); `refusal` is what the next change or reload
    raises; `calls` lists the methods that were called, apart from `state` and `newest`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self.reset()

    def reset(self) -> None:
        """As it was at first; only the pictures are numbered on."""
        self.calls: list[str] = []
        self.refusal: VcsharpError | None = None
        self.reloaded = Reloaded(applied=["strength"], needs_restart=["fps"])
        self.choices: list[SourceChoice] = list(SOURCES)
        self.looks = 0
        """How often a picture was asked for."""
        self._result: Result | None = None
        self._state = first_state()

    def show(self, result: Result) -> int:
        """Puts a picture up and returns its number, from 1."""
        with self._changed:
            self._number += 1
            self._result = result
            self._changed.notify_all()
            return self._number

    def update(self, **changes: Any) -> None:
        """Sets fields of the state; a mapping sets fields of a part."""
        with self._changed:
            plain = self._state.model_dump()
            for name, value in changes.items():
                plain[name] = plain[name] | value if isinstance(value, dict) else value
            self._state = State.model_validate(plain)

    def state(self) -> State:
        with self._changed:
            return self._state

    def change(self, wish: Change) -> State:
        self.calls.append("change")
        self._refuse()
        if wish.model is not None and wish.model not in {m.model for m in MODELS}:
            raise ModelNotFoundError(f"no model is called '{wish.model}'; choose nano or none")
        if wish.source is not None and wish.source.startswith("nowhere"):
            raise SettingsError(f"source: '{wish.source}' is no source")
        wanted = wish.model_dump(exclude_none=True)
        self.update(options=wanted)
        if wish.source is not None:
            self.update(source={"name": wish.source})
        if wish.model is not None:
            self.update(engine={"model": wish.model})
        return self.state()

    def pause(self) -> State:
        self.calls.append("pause")
        self.update(paused=True, source={"state": SourceState.PAUSED, "words": "paused by you"})
        return self.state()

    def resume(self) -> State:
        self.calls.append("resume")
        self.update(paused=False, source={"state": SourceState.LIVE, "words": ""})
        return self.state()

    def reload(self) -> Reloaded:
        self.calls.append("reload")
        self._refuse()
        return self.reloaded

    def sources(self) -> list[SourceChoice]:
        self.calls.append("sources")
        return self.choices

    def models(self) -> list[ModelChoice]:
        self.calls.append("models")
        return list(MODELS)

    def newest(self, after: int, timeout_s: float) -> tuple[int, Result] | None:
        with self._changed:
            self.looks += 1
            self._changed.wait_for(lambda: self._is_new(after), timeout_s)
            if self._result is None or self._number == after:
                return None
            return self._number, self._result

    def _is_new(self, after: int) -> bool:
        return self._result is not None and self._number != after

    def dressed(self, result: Result) -> Result:
        """Draws a white corner while the overlay is on, so that it can be told."""
        if self.state().options.overlay == "off":
            return result
        return Result(_with_corner(result.frame), result.source)

    def _refuse(self) -> None:
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            raise refusal


def _with_corner(frame: Frame) -> Frame:
    drawn = frame.replaced(data=frame.data.copy())
    drawn.y[:8, -8:] = 235
    return drawn


def first_state() -> State:
    """A run in good health: demo scene, virtual camera, one viewer."""
    return State(
        version="1.2.3",
        pid=4711,
        uptime_s=75.0,
        paused=False,
        wanted=True,
        on_demand=True,
        size="1920x1080",
        fps=30.0,
        delay_ms=14.2,
        options=Options(
            source="demo", model="nano", strength=1.0, compare="off", overlay="preview"
        ),
        source=SourceView(
            name="demo",
            description="demo scene 640x360",
            state=SourceState.LIVE,
            words="",
            since_s=74.0,
            width=640,
            height=360,
            fps=30.0,
        ),
        engine=EngineView(
            state=EngineState.READY,
            words="",
            model="nano",
            device="cpu",
            backend="onnxruntime int8",
        ),
        sinks=[
            SinkView(
                name="virtual",
                description='/dev/video10 "vcsharp"',
                state=SinkState.WRITING,
                words="",
                wanted=True,
            )
        ],
        figures=Figures(
            frames_in=2250,
            frames_out=2247,
            frames_dropped=3,
            frames_repeated=1,
            fps_in=29.97,
            fps_out=29.94,
            latency_ms={"p50": 14.2, "p95": 18.9, "p99": 30.0},
            stage_ms={"capture": 2.1, "engine": 9.7, "sink": 1.4},
            cpu_percent=84.2,
            rss_mib=212.4,
            tiles={"computed": 20000, "kept": 7000, "passed": 12},
            kept_percent=26.0,
            steps={"down": 2, "up": 1},
        ),
        faults=[],
    )
