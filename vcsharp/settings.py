"""Every setting of vcsharp, declared once.

The classes below are the flags (`--rtsp-transport`), the variables (`VCSHARP_RTSP_TRANSPORT`), the
keys of the TOML file (`rtsp_transport`), the defaults and the help texts. A flag beats a variable,
a variable beats the file, the file beats the default. `load` reads all four; a class that is called
directly reads nothing but its arguments.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliPositionalArg,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from vcsharp.errors import SettingsError
from vcsharp.redact import redact
from vcsharp.tomlfile import read_toml

ENV_PREFIX = "VCSHARP_"
SMALLEST_PX = 16
LARGEST_PX = (7680, 4320)

S = TypeVar("S", bound="Settings")


def _size(value: str) -> str:
    text = value.strip().lower()
    if text == "auto":
        return text
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text)
    if match is None:
        raise ValueError("should be WIDTHxHEIGHT in pixels, like 1920x1080, or auto")
    width, height = int(match[1]), int(match[2])
    if min(width, height) < SMALLEST_PX:
        raise ValueError(f"should be at least {SMALLEST_PX}x{SMALLEST_PX}")
    if width > LARGEST_PX[0] or height > LARGEST_PX[1]:
        raise ValueError(f"should be at most {LARGEST_PX[0]}x{LARGEST_PX[1]}")
    if width % 2 or height % 2:
        raise ValueError("width and height should be even: two pixels share one colour sample")
    return f"{width}x{height}"


def _device(value: str) -> str:
    if re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", value) is None:
        raise ValueError("should be auto, cpu, cuda or cuda:N, where N is the number of the GPU")
    return value


def _percent(value: object) -> object:
    return value.strip().removesuffix("%") if isinstance(value, str) else value


def _tile(value: int) -> int:
    if value and (value < 64 or value > 4096 or value % 8):
        raise ValueError("should be 0 or a multiple of 8 from 64 to 4096")
    return value


def _expanded(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError as error:  # no such user, or no home
        raise ValueError(str(error)) from error


def _listed(value: object) -> object:
    """A variable holds one text: commas part its items."""
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


Percent = Annotated[float, BeforeValidator(_percent), Field(ge=1, le=100, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
FilePath = Annotated[Path, AfterValidator(_expanded)]
TextList = Annotated[list[Text], NoDecode, BeforeValidator(_listed), Field(min_length=1)]


def _metavar(word: str) -> Any:
    """How the help calls the value of a field."""
    return Field(json_schema_extra={"metavar": word})


class Settings(BaseSettings):
    """What all commands share: how the classes behave, and where files are found."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )
    groups: ClassVar[Mapping[str, str]] = {}
    """For the help: the first field of each group, and the group's title."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A direct call takes its arguments only; `load` asks the other sources."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


class EngineSettings(Settings):
    """Settings of the sharpening itself."""

    model: Annotated[Text, _metavar("NAME")] = "auto"
    """The network: `auto` (the best one that this machine runs in time), a name that
    `vcsharp models` lists, the path of a model's folder, or `none` to pass the picture through."""
    expert: Annotated[Text, _metavar("NAME")] = "auto"
    """Which of the model's experts sharpens: `auto` looks at the picture, `off` uses the general
    student, or a name that `vcsharp models` lists: half, soft, mjpeg, call, still."""
    strength: float = Field(1.0, ge=0, le=2, allow_inf_nan=False)
    """How much of the network's correction is added: 0 none (the picture stays as it is), 1 as
    trained, 2 twice as much."""
    device: Annotated[str, AfterValidator(_device), _metavar("DEVICE")] = "auto"
    """Where the network runs: `auto` (a GPU if one works, else the CPU), `cpu`, `cuda` or
    `cuda:N`."""
    backend: Literal["auto", "ort", "torch", "tensorrt"] = "auto"
    """What runs it: ONNX Runtime (`ort`), PyTorch (`torch`), TensorRT by way of ONNX Runtime
    (`tensorrt`, GPUs only; minutes until its first start on a machine is done), or whichever of the
    first two is faster on the device."""
    precision: Literal["auto", "int8", "fp32", "fp16", "bf16"] = "auto"
    """Arithmetic of the network: int8 is the fastest on a CPU, fp16 on a GPU; fp32 is the
    reference; bf16 (GPUs only) is for networks too wild for fp16, slower, and less exact with
    weights of other origin."""
    threads: int = Field(0, ge=0, le=1024)
    """CPU threads of the network; 0 takes all cores."""
    tile: Annotated[int, AfterValidator(_tile)] = 0
    """Edge of the tiles in pixels, a multiple of 8 from 64 to 4096; 0 takes what was measured to be
    fastest here, else 512. The picture is the same."""


class ProgramSettings(Settings):
    """Settings of the program itself."""

    config: Annotated[FilePath | None, _metavar("FILE.toml")] = None
    """Settings file. Default: $XDG_CONFIG_HOME/vcsharp/config.toml, or
    ~/.config/vcsharp/config.toml, if there is one."""
    debug: bool = False
    """Log every step, and show the traceback of an error."""


class RunSettings(ProgramSettings, EngineSettings):
    """What `vcsharp run` can be told."""

    groups: ClassVar[Mapping[str, str]] = {
        "source": "in and out",
        "size": "picture",
        "model": "sharpening",
        "governor": "keeping up",
        "on_demand": "as a daemon",
        "frames": "length of the run",
        "preview_port": "details",
        "config": "program",
    }

    source: Annotated[Text, _metavar("SRC")] = "auto"
    """Where the picture comes from; see SRC above."""
    sink: Annotated[TextList, _metavar("SINK")] = ["auto"]
    """Where it goes; see SINK above. Repeat it for several: --sink virtual --sink preview."""
    force: bool = False
    """Overwrite output files that exist."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """How an RTSP camera sends: tcp loses nothing, udp may be faster on a good network."""
    loop: bool = False
    """Start a video file again when it ends."""

    size: Annotated[str, AfterValidator(_size), _metavar("WxH")] = "auto"
    """Size of the picture that is sent: WIDTHxHEIGHT in pixels, both even, 16x16 to 7680x4320.
    `auto` is the file's own size from a video file into files, else 1920x1080. Other shapes get
    black bars."""
    fps: float | None = Field(None, ge=1, le=240, allow_inf_nan=False)
    """Frames per second at most, 1 to 240; faster sources are thinned. Default: the file's own
    rate, 30 for live sources."""
    overlay: Literal["off", "preview", "all"] = "preview"
    """Where the line with the figures is drawn: nowhere, in the preview page only, or also in the
    picture that others see."""
    compare: Literal["off", "split", "side"] = "off"
    """Show before and after, in the preview and in files: `split` in one picture, `side` by
    side."""

    governor: Literal["auto", "off"] = "auto"
    """What a live run does where the machine cannot hold the rate with the model `auto`: takes a
    smaller network, then sharpens a part of the picture, at last nothing, and comes back when there
    is room. `off` drops frames instead."""
    cpu_limit: Annotated[Percent | None, _metavar("PERCENT")] = None
    """Share of the machine's cores that a live run may use on average, like 50%; kept in the same
    way, for every model. Default: no limit."""
    steady: int = Field(1, ge=0, le=8)
    """Still parts stay still: a sample that would move by at most so many levels keeps its place,
    so that noise and coding do not shimmer. 0 shows every frame as the network gives it."""
    change_threshold: int = Field(0, ge=0, le=64)
    """Parts of the picture in which no sample changed by more than so many levels keep their last
    result. 0: only where every byte is the same, so that the picture is what it would be anyway; 4
    to 12 let a camera's noise pass for no change."""

    tune: Literal["auto", "off", "again"] = "auto"
    """Measure which precision, tiles and threads are fastest on this CPU, in two seconds beside the
    first pictures: `auto` once for each machine and network, `again` anew, `off` never. What
    --precision, --threads and --tile say stays as it is."""

    on_demand: Literal["auto", "off"] = "auto"
    """`auto`: while no program looks at the virtual camera, the real camera is closed (its light
    goes out) and the network is freed; `off` keeps both going."""
    idle_after: float = Field(5.0, ge=0.5, le=3600, allow_inf_nan=False)
    """Seconds without a viewer before the camera is closed."""
    control: bool = True
    """Let `vcsharp ctl` and `vcsharp ui` steer this run, by a socket that only this user can
    open."""
    instance: Annotated[Text, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$"), _metavar("NAME")] = (
        "default"
    )
    """Name of this run for `vcsharp ctl --instance NAME`; several runs need several names."""
    metrics_port: int | None = Field(None, ge=0, le=65535)
    """Serve Prometheus metrics at http://127.0.0.1:PORT/metrics; 0 takes a free port. Default: not
    served."""

    frames: int | None = Field(None, gt=0)
    """End after this many frames. Default: no limit."""
    seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """End after this many seconds, of the recording where a file goes into files, else of the
    clock. Default: no limit."""
    stats: Annotated[FilePath | None, _metavar("FILE.json")] = None
    """Write the run's figures (frames, rates, latencies) to this file at the end. Default: not
    written."""

    preview_port: int = Field(0, ge=0, le=65535)
    """Port of the preview page on 127.0.0.1; 0 takes a free one."""
    open_browser: Literal["auto", "yes", "no"] = "auto"
    """Open the preview page in a browser: `auto` does so on a desktop with a terminal."""
    pixel_format: Literal["YU12", "YUYV"] = "YU12"
    """What a v4l2loopback camera is fed with. YU12 is the cheapest; YUYV suits more programs."""

    @property
    def size_px(self) -> tuple[int, int] | None:
        """(width, height) in pixels; None for `auto`."""
        if self.size == "auto":
            return None
        width, _, height = self.size.partition("x")
        return int(width), int(height)


class ImageSettings(ProgramSettings, EngineSettings):
    """What `vcsharp image` can be told."""

    groups: ClassVar[Mapping[str, str]] = {
        "inputs": "in and out",
        "model": "sharpening",
        "config": "program",
    }

    inputs: Annotated[CliPositionalArg[list[FilePath]], Field(min_length=1), _metavar("INPUT")]
    """Pictures, or folders whose pictures are taken (not those of sub-folders)."""
    output: Annotated[FilePath, _metavar("DIR")]
    """Folder for the results; created if missing."""
    format: Literal["keep", "png", "jpg", "webp"] = "keep"
    """File format of the results; `keep` writes what the input was. Only jpg and webp lose
    detail."""
    force: bool = False
    """Overwrite results that exist."""


EVERY: tuple[type[Settings], ...] = (RunSettings, ImageSettings)
"""All declarations: a variable or key is known if one of them has it."""


def is_positional(cls: type[Settings], name: str) -> bool:
    """True for a field that is given without a flag, and only on the command line."""
    return get_args(CliPositionalArg)[1] in cls.model_fields[name].metadata


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'X'?` or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{found[0]}'?" if found else ""


@dataclass(frozen=True, slots=True)
class _Layer:
    """The values that one source gave, and how a person calls that source."""

    values: Mapping[str, Any]
    origin: Callable[[str], str]
    """Where the value of a field came from, as the end of a sentence; empty for flags."""


def load(cls: type[S], flags: Mapping[str, Any]) -> S:
    """The settings from flags, variables, TOML file and defaults, in this order of precedence.

    Args:
        cls: which declaration.
        flags: only those that were given, by field name.

    Raises:
        SettingsError: a misspelt name, a bad value, an unreadable file; one line per fault.
    """
    from_env = _environment(cls)
    path = _config_path(flags.get("config") or from_env.values.get("config"))
    layers = [_file(cls, path), from_env, _Layer(flags, lambda _: "")]
    merged = {name: value for layer in layers for name, value in layer.values.items()}
    try:
        return cls(**merged)
    except ValidationError as error:
        raise SettingsError("\n".join(_faults(cls, error, layers))) from None


def _shared_names() -> set[str]:
    return {name for cls in EVERY for name in cls.model_fields if not is_positional(cls, name)}


def _environment(cls: type[Settings]) -> _Layer:
    known = {f"{ENV_PREFIX}{name.upper()}" for name in _shared_names()}
    for variable in sorted(os.environ):
        if variable.upper().startswith(ENV_PREFIX) and variable.upper() not in known:
            hint = nearest(variable.upper(), known)
            raise SettingsError(f"no setting is called '{variable}' (a variable){hint}")
    return _Layer(EnvSettingsSource(cls)(), lambda name: f" from {ENV_PREFIX}{name.upper()}")


def _config_path(named: str | None) -> Path | None:
    if named:
        return _expanded(Path(named))
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = home / "vcsharp" / "config.toml"
    return path if path.exists() else None


def _file(cls: type[Settings], path: Path | None) -> _Layer:
    """The file's values that this command has; keys of other commands are left to those."""
    if path is None:
        return _Layer({}, lambda _: "")
    values = read_toml(path)
    known = _shared_names() - {"config"}
    for key in values:
        if key not in known:
            raise SettingsError(f"no setting is called '{key}' (in '{path}'){nearest(key, known)}")
    ours = {key: value for key, value in values.items() if key in cls.model_fields}
    return _Layer(ours, lambda _: f" from '{path}'")


def _faults(cls: type[Settings], error: ValidationError, layers: list[_Layer]) -> list[str]:
    """One line per fault: `strength: Input should be less than or equal to 2 (got '5')`."""
    return [_fault(cls, fault, layers) for fault in error.errors(include_url=False)]


def _fault(cls: type[Settings], fault: Mapping[str, Any], layers: list[_Layer]) -> str:
    name = str(fault["loc"][0])
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"{name}: missing; give {'one or more' if is_positional(cls, name) else f'--{name}'}"
    origins = [layer.origin(name) for layer in reversed(layers) if name in layer.values]
    return f"{name}: {message} (got '{redact(str(fault['input']))}'{''.join(origins[:1])})"
