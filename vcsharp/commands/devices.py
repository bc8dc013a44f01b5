"""`vcsharp devices`: cameras, virtual cameras and what can run the network."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from vcsharp.commands.listing import print_json, stdout_console, wants_json
from vcsharp.engine.machine import cpu_name_and_flags
from vcsharp.packages import installed
from vcsharp.sources.cameras import CameraInfo, list_cameras

if TYPE_CHECKING:
    from vcsharp.sinks.v4l2loopback import LoopbackDevice

DESCRIPTION = """\
Lists what --source, --sink and --device can be told on this machine: cameras,
virtual cameras (v4l2loopback), and the processors that can run the network.
"""

NVIDIA_TIMEOUT_S = 10
LISTED_SIZES = 3


@dataclass(frozen=True, slots=True)
class Processor:
    """Something that can run the network."""

    device: str
    """What `--device` is told."""
    name: str
    backends: tuple[str, ...]
    """What is installed for it, as `--backend` is told."""


def main(argv: Sequence[str], console: Console) -> int:
    """Prints all devices as tables or as JSON."""
    as_json = wants_json("devices", argv, DESCRIPTION, console)
    cameras, loopbacks, processors = list_cameras(), _loopbacks(), _processors()
    if as_json:
        print_json(
            {
                "cameras": [asdict(camera) for camera in cameras],
                "virtual_cameras": [asdict(loopback) for loopback in loopbacks],
                "processors": [asdict(processor) for processor in processors],
            }
        )
        return 0
    out = stdout_console()
    _print(out, "cameras", map(_camera_row, filter(_worth_listing, cameras)), _no_cameras())
    _print(out, "virtual cameras", map(_loopback_row, loopbacks), _no_loopbacks())
    _print(out, "processors", map(_processor_row, processors), "none")
    return 0


def _print(out: Console, title: str, entries: Iterable[Sequence[str]], otherwise: str) -> None:
    """Plain lines, never cut, so that every path can be copied."""
    out.print(Text(title, style="bold"))
    for name, *details in list(entries) or [(otherwise,)]:
        first, *more = [*details, ""]
        out.print(Text(f"  {name:14}{first}".rstrip()), soft_wrap=True)
        for line in filter(None, more):
            out.print(Text(f"{'':16}{line}"), soft_wrap=True)


def _worth_listing(camera: CameraInfo) -> bool:
    """Leaves out the metadata nodes beside each camera, and virtual cameras."""
    return bool(camera.captures or camera.problem) and not camera.virtual


def _camera_row(camera: CameraInfo) -> Sequence[str]:
    sizes = ", ".join(f"{width}x{height}" for width, height in camera.sizes[:LISTED_SIZES])
    offers = camera.problem or f"{' '.join(camera.formats)}  {sizes}"
    return camera.path, camera.card or "camera", offers, camera.stable_path or ""


def _loopback_row(loopback: LoopbackDevice) -> Sequence[str]:
    state = "free" if loopback.writable else "in use, or unknown"
    return loopback.path, f"{loopback.label}  {state}".strip()


def _processor_row(processor: Processor) -> Sequence[str]:
    extra = "cpu" if processor.device == "cpu" else "gpu"
    cure = f"no backend installed; install one with: pip install 'vcsharp[{extra}]'"
    return processor.device, f"{processor.name}  {', '.join(processor.backends) or cure}"


def _no_cameras() -> str:
    if sys.platform != "linux":
        return "not listed on this system; try --source 0, --source 1"
    return "none found; vcsharp run --source demo works without one"


def _no_loopbacks() -> str:
    if sys.platform != "linux":
        return "not listed on this system; --sink virtual takes the one that is installed"
    from vcsharp.sinks.v4l2loopback import MODPROBE

    return f"none found; make one with: {MODPROBE}"


def _loopbacks() -> list[LoopbackDevice]:
    if sys.platform != "linux":
        return []
    from vcsharp.sinks.v4l2loopback import find_loopback

    return find_loopback()


def _processors() -> list[Processor]:
    torch = ("torch",) if importlib.util.find_spec("torch") else ()
    ort = ("ort",) if importlib.util.find_spec("onnxruntime") else ()
    ort_gpu = ort if installed(["onnxruntime-gpu"]) else ()
    cpu = Processor("cpu", f"{cpu_name_and_flags()[0]}, {os.cpu_count()} cores", ort + torch)
    return [cpu, *(Processor(device, name, torch + ort_gpu) for device, name in _gpus())]


def _gpus() -> list[tuple[str, str]]:
    """`cuda:N` and name of each GPU, by NVIDIA's own tool, which needs no PyTorch."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    asked = [tool, "--query-gpu=index,name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            asked, capture_output=True, text=True, timeout=NVIDIA_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = (line.partition(",") for line in answer.stdout.splitlines() if "," in line)
    return [(f"cuda:{index.strip()}", name.strip()) for index, _, name in rows]
