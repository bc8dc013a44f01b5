"""Every fast way of the frame's path against the plain way: equal here, timed by `make bench`.

    pytest tests/bench                              the results are the same, on small pictures
    python tests/bench/test_fast_paths.py           what each way takes, at 1080p

The plain ways are written from what the result should be, in floating point or without tiles,
threads and tricks, and share no code with the fast ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from rich.console import Console
from rich.table import Table
from vcsharp_training.onnx_graph import int8_model
from vcsharp_training.quant import QuantStudent, calibrate
from vcsharp_training.weights import int_layers

from vcsharp.engine.backend import NullBackend
from vcsharp.engine.reuse import TileMemory
from vcsharp.engine.tiling import plan as tile_plan
from vcsharp.engine.worker import Engine, choose
from vcsharp.fit import fit, recolored, rgb_to_ycc
from vcsharp.frame import Bytes, Color, ColorMatrix, ColorRange, Frame, frame_bytes
from vcsharp.nets.plain import PlainStudent
from vcsharp.sinks.picture import bgr
from vcsharp.sources.raw import RawPicture, unpack_nv12, unpack_yuyv
from vcsharp.sources.video import halve_rows

Size = tuple[int, int]
SMALL: Size = (136, 72)
LARGE: Size = (1920, 1080)
SECONDS_EACH = 0.4
LIMITED_601 = Color()


@dataclass(frozen=True)
class Ways:
    """Two ways to one result."""

    fast: Callable[[], Any]
    plain: Callable[[], Any]
    within: int = 0
    """Levels by which single samples may differ."""


PATHS: dict[str, Callable[[Size], Ways]] = {}


def path(name: str) -> Callable[[Callable[[Size], Ways]], Callable[[Size], Ways]]:
    """Registers what makes the two ways for pictures of a size."""

    def register(make: Callable[[Size], Ways]) -> Callable[[Size], Ways]:
        PATHS[name] = make
        return make

    return register


def picture(size: Size, seed: int = 0, color: Color = LIMITED_601) -> Frame:
    """Smooth patches with noise: what tables, averages and networks all have to work on."""
    rng = np.random.default_rng(seed)
    data = rng.integers(30, 226, frame_bytes(*size), np.uint8)
    smooth = np.repeat(rng.integers(30, 226, -(-len(data) // 64), np.uint8), 64)[: len(data)]
    return Frame((data // 8 + smooth // 8 * 7).astype(np.uint8), *size, color=color)


def rounded(values: Any) -> Bytes:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def joined(*planes: Any) -> Bytes:
    return np.concatenate([np.asarray(plane).reshape(-1) for plane in planes])


def enlarged(plane: Any, width: int, height: int) -> Any:
    """Bilinear, sample centres in the middle, edges repeated; float64."""

    def taps(wanted: int, given: int) -> tuple[Any, Any, Any]:
        at = (np.arange(wanted) + 0.5) * given / wanted - 0.5
        low = np.floor(at)
        first, second = (np.clip(low + step, 0, given - 1).astype(int) for step in (0, 1))
        return first, second, at - low

    values = np.asarray(plane, np.float64)
    top, bottom, down = taps(height, values.shape[0])
    values = values[top] * (1 - down[:, None]) + values[bottom] * down[:, None]
    left, right, along = taps(width, values.shape[1])
    return values[:, left] * (1 - along) + values[:, right] * along


@path("range: full to limited, by tables")
def _range(size: Size) -> Ways:
    frame = picture(size, color=Color(ColorRange.FULL))

    def plain() -> Bytes:
        luma = 16 + frame.y.astype(np.float64) * 219 / 255
        chroma = [128 + (plane.astype(np.float64) - 128) * 224 / 255 for plane in frame.planes[1:]]
        return joined(*map(rounded, (luma, *chroma)))

    return Ways(lambda: recolored(frame, LIMITED_601).data, plain)


@path("matrix: BT.709 to BT.601, luma's change at chroma's size")
def _matrix(size: Size) -> Ways:
    frame = picture(size, color=Color(ColorRange.FULL, ColorMatrix.BT709))

    def plain() -> Bytes:
        return joined(*map(rounded, _through_rgb(frame)))

    return Ways(lambda: recolored(frame, Color(ColorRange.FULL)).data, plain, within=1)


@path("matrix and range in one: full BT.709 to limited BT.601")
def _both(size: Size) -> Ways:
    frame = picture(size, color=Color(ColorRange.FULL, ColorMatrix.BT709))

    def plain() -> Bytes:
        luma, *chroma = _through_rgb(frame)
        limited = [128 + (plane - 128) * 224 / 255 for plane in chroma]
        return joined(rounded(16 + luma * 219 / 255), *map(rounded, limited))

    return Ways(lambda: recolored(frame, LIMITED_601).data, plain, within=1)


def _through_rgb(frame: Frame) -> tuple[Any, Any, Any]:
    """BT.709 to BT.601: all three channels at full size through RGB; chroma at its own."""
    old, new = (rgb_to_ycc(matrix) for matrix in (ColorMatrix.BT709, ColorMatrix.BT601))
    through_rgb = new @ np.linalg.inv(old)
    cb, cr = (plane.astype(np.float64) - 128 for plane in (frame.u, frame.v))
    size = frame.width, frame.height
    wide = [frame.y.astype(np.float64), *(enlarged(plane, *size) for plane in (cb, cr))]
    luma = np.tensordot(through_rgb, np.stack(wide), 1)[0]
    small = np.tensordot(through_rgb, np.stack([np.zeros_like(cb), cb, cr]), 1) + 128
    return luma, small[1], small[2]


@path("fit: a 4:3 picture enlarged and letterboxed")
def _letterbox(size: Size) -> Ways:
    width, height = size
    inner = height * 4 // 3 // 4 * 4
    frame, left = picture((inner // 2, height // 2)), (width - inner) // 4 * 2

    def plain() -> Bytes:
        planes = []
        for plane, share, ground in zip(frame.planes, (1, 2, 2), (16, 128, 128), strict=True):
            whole = np.full((height // share, width // share), ground, np.uint8)
            inset = rounded(enlarged(plane, inner // share, height // share))
            whole[:, left // share : left // share + inset.shape[1]] = inset
            planes.append(whole)
        return joined(*planes)

    return Ways(lambda: fit(frame, width, height, LIMITED_601).data, plain, within=1)


@path("fit: twice the size reduced")
def _reduced(size: Size) -> Ways:
    frame = picture((2 * size[0], 2 * size[1]))

    def plain() -> Bytes:
        quads = [p.astype(np.float64).reshape(p.shape[0] // 2, 2, -1, 2) for p in frame.planes]
        return joined(*(rounded(quad.mean((1, 3))) for quad in quads))

    return Ways(lambda: fit(frame, *size, LIMITED_601).data, plain, within=1)


@path("unpack: YUYV")
def _yuyv(size: Size) -> Ways:
    width, height = size
    buffer = np.random.default_rng(2).integers(0, 256, (height, width // 2, 4), np.uint8)

    def plain() -> Bytes:
        y = buffer[..., [0, 2]].reshape(height, width)
        wide = buffer.astype(np.int64)
        u, v = (np.ceil((wide[0::2, :, c] + wide[1::2, :, c]) / 2) for c in (1, 3))
        return joined(y, rounded(u), rounded(v))

    return Ways(lambda: _data(unpack_yuyv(RawPicture(buffer, width, height, 0, 0))), plain)


@path("unpack: NV12")
def _nv12(size: Size) -> Ways:
    width, height = size
    buffer = np.random.default_rng(3).integers(0, 256, frame_bytes(*size), np.uint8)

    def plain() -> Bytes:
        pairs = buffer[width * height :].reshape(-1, 2)
        return joined(buffer[: width * height], *np.ascontiguousarray(pairs.T))

    return Ways(lambda: _data(unpack_nv12(RawPicture(buffer, width, height, 0, 0))), plain)


def _data(frame: Frame | None) -> Bytes:
    assert frame is not None
    return frame.data


@path("chroma: rows averaged in bytes")
def _halved(size: Size) -> Ways:
    plane = np.random.default_rng(4).integers(0, 256, (size[1], size[0]), np.uint8)

    def plain() -> Bytes:
        wide = plane.astype(np.float64)
        return rounded(np.ceil((wide[0::2] + wide[1::2]) / 2))

    return Ways(lambda: halve_rows(plane), plain)


@path("page: limited BT.601 to BGR")
def _bgr(size: Size) -> Ways:
    frame = picture(size)

    def plain() -> Bytes:
        wide = [plane.repeat(2, 0).repeat(2, 1) for plane in frame.planes[1:]]
        luma = (frame.y.astype(np.float64) - 16) / 219
        cb, cr = ((plane.astype(np.float64) - 128) / 224 for plane in wide)
        inverse = np.linalg.inv(rgb_to_ycc(ColorMatrix.BT601))
        red, green, blue = np.tensordot(inverse, np.stack([luma, cb, cr]), 1)
        return rounded(255 * np.stack([blue, green, red], 2))

    return Ways(lambda: bgr(frame), plain, within=2)


@path("tiles: cut and put together, without a network")
def _tiles(size: Size) -> Ways:
    frame, backend = picture(size), NullBackend()
    tiles, out = tile_plan(*size, _tile_px(size), 12, 4), np.empty((size[1], size[0]), np.uint8)

    def fast() -> Bytes:
        backend.sharpen(frame.y, tiles, 1.0, out)
        return out

    return Ways(fast, lambda: frame.y.copy())


@path("nano int8: tiles on threads, against the whole plane on one")
def _int8_tiles(size: Size) -> Ways:
    frame = picture(size)
    tiled, whole = _engine("ort", "int8", _tile_px(size)), _engine("ort", "int8", 4096, threads=1)
    return Ways(lambda: tiled.process(frame).data, lambda: whole.process(frame).data)


@path("nano fp32: ONNX Runtime's tiles, against PyTorch on the whole plane")
def _fp32(size: Size) -> Ways:
    frame = picture(size)
    tiled, whole = _engine("ort", "fp32", _tile_px(size)), _engine("torch", "fp32", 4096)
    return Ways(lambda: tiled.process(frame).data, lambda: whole.process(frame).data, within=1)


@path("int8 graph on ONNX Runtime, against the student that was trained, in PyTorch")
def _int8_net(size: Size) -> Ways:
    student = _random_student()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = int8_model("t", int_layers(student), student.plain.stride).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    luma = picture(size).y[None, None]
    feeds = {"y": luma, "strength": np.ones((), np.float32)}

    def plain() -> Bytes:
        with torch.inference_mode():
            planes = torch.from_numpy(luma.copy()).float() / 255
            sharp = torch.clamp(planes + student.residual(planes), 0, 1)
            return rounded(255 * sharp.numpy())

    return Ways(lambda: session.run(None, feeds)[0], plain, within=1)


def _random_student() -> QuantStudent:
    torch.manual_seed(7)
    student = PlainStudent((16, 8, 16), 4).eval()
    planes = torch.from_numpy(picture(SMALL).y[None, None].copy()).float() / 255
    return QuantStudent(student, calibrate(student, [planes]))


@path("nano int8: unchanged tiles kept, against all computed")
def _kept(size: Size) -> Ways:
    """A small part of the picture changes; times count two frames, for both ways."""
    before, after = picture(size), picture(size)
    after.y[:16, :16] = 255 - after.y[:16, :16]
    engine, memory = _engine("ort", "int8", _tile_px(size)), TileMemory()
    backend, tiles = engine._backend, engine.plan(*size)

    def sharpened(frame: Frame, *, keeps: bool) -> Bytes:
        out = np.empty_like(frame.y)
        if keeps:
            memory.sharpen(backend, frame.y, tiles, 1.0, out)
        else:
            backend.sharpen(frame.y, tiles, 1.0, out)
        return out

    def both(*, keeps: bool) -> Bytes:
        return joined(*(sharpened(frame, keeps=keeps) for frame in (before, after)))

    return Ways(lambda: both(keeps=True), lambda: both(keeps=False))


def _engine(backend: str, precision: str, tile_px: int, threads: int = 0) -> Engine:
    return choose("nano", "cpu", backend, precision, threads, tile_px, expert="off")


def _tile_px(size: Size) -> int:
    """Several tiles, also of small pictures."""
    return 512 if size[0] > 512 else 64


@pytest.mark.parametrize("name", list(PATHS))
def test_the_fast_way_equals_the_plain_way(name: str) -> None:
    ways = PATHS[name](SMALL)
    for _ in range(2):  # also when buffers, tables and tiles are known from before
        fast, plain = np.asarray(ways.fast()), np.asarray(ways.plain())
        assert fast.shape == plain.shape
        assert fast.dtype == plain.dtype == np.uint8
        assert np.abs(fast.astype(int) - plain.astype(int)).max() <= ways.within
        assert len(np.unique(fast)) > 8  # something was compared


def timings_ms(ways: Ways, seconds: float) -> tuple[float, float]:
    """Median milliseconds of both ways, taken in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    end_s = time.monotonic() + seconds
    while not times[1] or time.monotonic() < end_s:
        for way, found in zip((ways.fast, ways.plain), times, strict=True):
            started_s = time.perf_counter()
            way()
            found.append(1e3 * (time.perf_counter() - started_s))
    return statistics.median(times[0]), statistics.median(times[1])


def main(argv: Sequence[str] | None = None) -> None:
    """Times every path, or those whose name holds a word."""
    parser = argparse.ArgumentParser(description="times each fast way against the plain one")
    parser.add_argument("word", nargs="?", default="", help="only names that hold it")
    parser.add_argument("--seconds", type=float, default=SECONDS_EACH, help="for each path")
    wish = parser.parse_args(argv)
    table = Table("1080p", box=None, pad_edge=False)
    for head in ("fast ms", "plain ms", "times as fast"):
        table.add_column(head, justify="right")
    for name, make in PATHS.items():
        if wish.word in name:
            ways = make(LARGE)
            ways.fast(), ways.plain()
            fast, plain = timings_ms(ways, wish.seconds)
            table.add_row(name, f"{fast:.2f}", f"{plain:.2f}", f"{plain / fast:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
