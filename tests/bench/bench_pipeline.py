"""What the frame path costs at 1080p, beside what this machine can do at best.

    make bench                                  a table, and one line of JSON at the end
    make bench ARGS="--frames 600 --seconds 20"

Frames lie in memory, the sink is `null`, so that neither a camera nor a codec is measured. The
machine's own matrix rates are taken in the same run: quote them together.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable
from fractions import Fraction

import av
import av.filter
import cv2
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from rich.console import Console
from rich.table import Table

from vcsharp.catalogue import find
from vcsharp.engine.tiling import plan
from vcsharp.engine.worker import choose
from vcsharp.fit import fit
from vcsharp.frame import Color, Frame
from vcsharp.pipeline import Pipeline, Plan
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.null import NullSink
from vcsharp.sources.base import SourceFormat
from vcsharp.sources.demo import DemoSource
from vcsharp.telemetry import Statistics, Telemetry

SIZE = (1920, 1080)
REPEATS = 3
NETWORK = "nano int8, network alone, 1 thread"
FILTERS = {
    "ffmpeg cas": ("cas", "strength=0.5:planes=1"),
    "ffmpeg unsharp": ("unsharp", "luma_msize_x=5:luma_msize_y=5:luma_amount=1"),
}


class MemorySource:
    """Hands out the same few frames again and again, at once or at a steady rate."""

    name = "memory"

    def __init__(self, frames: list[Frame], count: int, fps: float | None) -> None:
        self._frames, self._count, self._fps = frames, count, fps
        self.lossless = fps is None
        self._sent, self._started_s = 0, 0.0

    def open(self) -> SourceFormat:
        """Nothing to open."""
        return SourceFormat(*SIZE, Fraction(30), Color(), "frames in memory")

    def read(self) -> Frame | None:
        """The next frame, when it is due."""
        if self._sent == self._count:
            return None
        if self._fps is not None:
            self._started_s = self._started_s or time.monotonic()
            time.sleep(max(0, self._started_s + self._sent / self._fps - time.monotonic()))
        frame = self._frames[self._sent % len(self._frames)]
        self._sent += 1
        return frame.replaced(sequence=self._sent, captured_ns=time.monotonic_ns())

    def close(self) -> None:
        """Nothing to close."""


def demo_frames(count: int) -> list[Frame]:
    source = DemoSource()
    source.open()
    frames = [source.read() for _ in range(count)]
    source.close()
    return [fit(frame, *SIZE, Color()) for frame in frames if frame]


def measured(
    frames: list[Frame], model: str, precision: str, count: int, fps: float | None
) -> Statistics:
    """One run of the real pipeline from memory to nowhere; `fps` None means as fast as it goes."""
    telemetry = Telemetry()
    stream = StreamFormat(*SIZE, Fraction(30), Color())
    how = Plan(lambda _: stream, lossless=fps is None, realtime=False)
    engine = choose(model, "cpu", "auto", precision, 0, 512)
    source = MemorySource(frames, count, fps)
    Pipeline(source, engine, [NullSink("null")], how, telemetry, threading.Event()).run()
    return telemetry.snapshot()


def network_alone(frames: list[Frame], count: int) -> tuple[float, float]:
    """(fps, CPU ms a frame) of bare session calls on one frame's tiles, one thread, no copies."""
    model = find("nano")
    layout = plan(*SIZE, 512, model.card.halo_px, model.card.multiple_of)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model.path("int8")), options)
    tile = np.ascontiguousarray(frames[0].y[: layout.tile_height, : layout.tile_width])[None, None]
    feeds = {"y": tile, "strength": np.ones((), np.float32)}
    session.run(None, feeds)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for _ in range(count * len(layout.tiles)):
        session.run(None, feeds)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return count / wall_s, 1000 * cpu_s / count


def filtered(frames: list[Frame], name: str, options: str, count: int) -> tuple[float, float]:
    """(fps, CPU ms a frame) of a filter of FFmpeg's on the same frames, luma only."""
    graph = av.filter.Graph()
    entry = graph.add_buffer(
        width=SIZE[0], height=SIZE[1], format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 30)
    )
    node, exit_ = graph.add(name, options), graph.add("buffersink")
    entry.link_to(node)
    node.link_to(exit_)
    graph.configure()
    shape = (SIZE[1] * 3 // 2, SIZE[0])
    pictures = [av.VideoFrame.from_ndarray(f.data.reshape(shape), "yuv420p") for f in frames]
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for number in range(count):
        graph.push(pictures[number % len(pictures)])
        graph.pull()
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return count / wall_s, 1000 * cpu_s / count


def rate_gops(run: Callable[[], object], operations: float) -> float:
    """10^9 operations per second: the best of five."""
    run()
    best_s = min(_seconds(run) for _ in range(5))
    return operations / best_s / 1e9


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def fp32_gmacs(size: int = 2048) -> float:
    left, right = np.random.default_rng(0).random((2, size, size), np.float32)
    return rate_gops(lambda: left @ right, size**3)


def int8_gmacs(size: int = 2048) -> float:
    node = helper.make_node("MatMulInteger", ["a", "b"], ["c"])
    shape = [size, size]
    graph = helper.make_graph(
        [node],
        "int8",
        [
            helper.make_tensor_value_info("a", TensorProto.UINT8, shape),
            helper.make_tensor_value_info("b", TensorProto.INT8, shape),
        ],
        [helper.make_tensor_value_info("c", TensorProto.INT32, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    rng = np.random.default_rng(0)
    feeds = {
        "a": rng.integers(0, 255, shape).astype(np.uint8),
        "b": rng.integers(-63, 63, shape).astype(np.int8),
    }
    return rate_gops(lambda: session.run(None, feeds), size**3)


def main() -> None:
    """Alternates the candidates, so that a change of the machine's speed hits all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=300, help="frames of each throughput run")
    parser.add_argument("--seconds", type=float, default=10, help="length of the paced run")
    wish = parser.parse_args()
    cv2.setNumThreads(1)
    frames = demo_frames(30)
    candidates = {
        "pipeline alone": ("none", "auto"),
        "nano int8": ("nano", "int8"),
        "nano fp32": ("nano", "fp32"),
    }
    runs: dict[str, list[Statistics]] = {name: [] for name in candidates}
    filters: dict[str, list[tuple[float, float]]] = {name: [] for name in (NETWORK, *FILTERS)}
    for _ in range(REPEATS):
        for name, (model, precision) in candidates.items():
            runs[name].append(measured(frames, model, precision, wish.frames, None))
        filters[NETWORK].append(network_alone(frames, wish.frames // 3))
        for name, (kind, options) in FILTERS.items():
            filters[name].append(filtered(frames, kind, options, wish.frames))
    paced = measured(frames, "nano", "int8", int(30 * wish.seconds), 30.0)
    report(runs, filters, paced)


def report(
    runs: dict[str, list[Statistics]],
    filters: dict[str, list[tuple[float, float]]],
    paced: Statistics,
) -> None:
    table = Table("1080p, memory to null", "fps", "wall ms", "CPU ms a frame", "RSS MiB")
    figures: dict[str, object] = {}
    for name, stats in runs.items():
        fps = statistics.median(s.frames_out / s.seconds for s in stats)
        cpu_ms = statistics.median(10 * s.cpu_percent * s.seconds / s.frames_out for s in stats)
        rss = max(s.rss_mib for s in stats)
        table.add_row(name, f"{fps:.1f}", f"{1000 / fps:.2f}", f"{cpu_ms:.2f}", f"{rss:.0f}")
        figures[name] = {"fps": round(fps, 1), "cpu_ms": round(cpu_ms, 2), "rss_mib": rss}
    for name, pairs in filters.items():
        fps, cpu_ms = (statistics.median(values) for values in zip(*pairs, strict=True))
        table.add_row(name, f"{fps:.1f}", f"{1000 / fps:.2f}", f"{cpu_ms:.2f}", "")
        figures[name] = {"fps": round(fps, 1), "cpu_ms": round(cpu_ms, 2)}
    rates = {"fp32_gmacs": round(fp32_gmacs(), 1), "int8_gmacs": round(int8_gmacs(), 1)}
    console = Console()
    console.print(table)
    console.print(f"paced at 30 fps: latency {paced.latency_ms} ms, dropped {paced.frames_dropped}")
    console.print(
        f"this machine, all cores: {rates['fp32_gmacs']} GMAC/s fp32, {rates['int8_gmacs']} int8"
    )
    figures |= {"paced": paced.latency_ms, **rates}
    console.print(json.dumps(figures), soft_wrap=True)


if __name__ == "__main__":
    main()
