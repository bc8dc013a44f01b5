"""What a running vcsharp tells of itself, and what it can be told: the words of the control API.

Everything here is plain data. Credentials in addresses are replaced by `***` before they get here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vcsharp.states import EngineState, SinkState, SourceState

Compare = Literal["off", "split", "side"]
Overlay = Literal["off", "preview", "all"]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SourceView(_Plain):
    """The source as it is now."""

    name: str
    """What the user typed."""
    description: str
    """What was found: `camera "C920" MJPG`; empty before the first success."""
    state: SourceState
    words: str
    """Why, in a sentence with its cure; empty while live."""
    since_s: float
    """Seconds in this state."""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    """Nominal rate."""
    reconnects: int = 0
    """How often it came back since the start."""
    stalls: int = 0


class EngineView(_Plain):
    """The engine as it is now."""

    state: EngineState
    words: str
    """Why, where it is not ready."""
    model: str
    device: str
    backend: str
    """Runtime and precision: `onnxruntime int8`."""
    restarts: int = 0
    """How often it was built again after a fault."""
    share: float = 1.0
    """Of a frame's tiles that may be sharpened, 0..1; less where there is no time for all."""
    expert: str = ""
    """Of the model's experts, the one that the picture is for; empty for the general student."""

    @property
    def title(self) -> str:
        """Model and expert in one word: `nano`, `nano/call`."""
        return f"{self.model}/{self.expert}" if self.expert else self.model


class SinkView(_Plain):
    """One output as it is now."""

    name: str
    description: str
    state: SinkState
    words: str
    wanted: bool | None
    """Whether a program looks at it; None where that cannot be told."""


class Figures(_Plain):
    """Counters since the start, rates of the last two seconds, times of the last 600 frames."""

    frames_in: int
    frames_out: int
    frames_dropped: int
    frames_repeated: int
    fps_in: float
    fps_out: float
    latency_ms: dict[str, float]
    """p50, p95, p99 from the capture's return to the end of the first output's write."""
    stage_ms: dict[str, float]
    """Medians of capture, engine and sink."""
    cpu_percent: float
    """Of one core, since the last time the figures were asked for, at least a second ago."""
    rss_mib: float
    tiles: dict[str, int] = Field(default_factory=dict)
    """Tiles `computed`, `kept` because nothing in them changed, and `passed` on unsharpened."""
    kept_percent: float = 0.0
    """Of the last 60 frames' tiles."""
    steps: dict[str, int] = Field(default_factory=dict)
    """How often the governor went `down` to less sharpening, and `up` again."""


class Fault(_Plain):
    """Something that went wrong, and what to do."""

    at_s: float
    """Unix time of the last occurrence."""
    where: Literal["source", "engine", "sink", "program"]
    what: str
    """One line: what, where, why, cure."""
    count: int = 1
    """Times in a row that it happened."""


class Options(_Plain):
    """What can be changed while running."""

    source: str
    model: str
    strength: float
    compare: Compare
    overlay: Overlay


class Change(_Plain):
    """A wish; what is left out stays as it is."""

    source: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """Anything that `--source` takes."""
    model: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    strength: Annotated[float, Field(strict=True, ge=0, le=2, allow_inf_nan=False)] | None = None
    compare: Compare | None = None
    overlay: Overlay | None = None


class State(_Plain):
    """All there is to know about a run at one moment."""

    version: str
    pid: int
    uptime_s: float
    paused: bool
    wanted: bool
    """Whether anybody needs pictures; always true where that cannot be told or is not asked."""
    on_demand: bool
    """Whether the camera is let go while nobody looks."""
    size: str
    """Of the pictures that are sent: `1920x1080`."""
    fps: float
    """At which they are sent."""
    delay_ms: float
    """Measured median delay from capture to output: what sound has to be put off by."""
    options: Options
    source: SourceView
    engine: EngineView
    sinks: list[SinkView]
    figures: Figures
    faults: list[Fault]
    """The last ten, newest first."""


class SourceChoice(_Plain):
    """A source that the machine has."""

    source: str
    """What `Change.source` is told."""
    title: str
    details: str = ""
    """Formats and sizes, or why it cannot be used."""
    usable: bool = True


class ModelChoice(_Plain):
    """A network that can be chosen."""

    model: str
    """What `Change.model` is told."""
    summary: str
    mac_per_px: int = 0


class Reloaded(_Plain):
    """What reading the settings file again has changed."""

    applied: list[str]
    """Settings that took effect."""
    needs_restart: list[str]
    """Settings that differ and cannot be changed while running."""
