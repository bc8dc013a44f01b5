"""Students on ONNX Runtime's GPU providers: the second way, for machines without PyTorch.

The tiles go through one after the other, because the file takes one picture at a time. What the
network reads and writes lies on the device and stays there (`OrtValue`), so that a call neither
allocates nor copies anything but the tile.
"""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
import onnxruntime

from vcsharp.catalogue import Model
from vcsharp.engine.backend import store
from vcsharp.engine.ort import CPU, Provider, started, translated
from vcsharp.engine.setup import cache_path
from vcsharp.engine.tiling import Plan
from vcsharp.frame import Bytes

log = logging.getLogger(__name__)

SILENT = 4
"""Fatal errors only."""
CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"


@dataclass(slots=True)
class _Slot:
    """A tile's place on the host and on the device; bound to the session once per tile shape."""

    host_in: Bytes
    device_in: onnxruntime.OrtValue
    device_out: onnxruntime.OrtValue
    binding: onnxruntime.IOBinding


class OrtCudaBackend:
    """Runs `model.onnx`. See `Backend` for the promise.

    Args:
        model: from the catalogue; its file is checked against the card.
        precision: `fp32`; with TensorRT also `fp16`, which it makes of the same file.
        device: `cuda` or `cuda:N`; also `cpu`, which does the same on the host, for tests.
        tensorrt: by TensorRT, which takes minutes to start for the first time on a machine.

    Raises:
        BackendUnavailableError: ONNX Runtime cannot use the device.
        ModelError: the file is missing or damaged.
    """

    name = "onnxruntime"

    def __init__(
        self, model: Model, precision: str, device: str, *, tensorrt: bool = False
    ) -> None:
        self.precision, self.device = precision, device
        self.name = "tensorrt" if tensorrt else "onnxruntime"
        self._kind, _, index = device.partition(":")
        self._index = int(index or 0)
        path = str(model.path("fp32"))
        if self._kind == "cuda":
            _load_libraries()
        wanted = _providers(self._kind, self._index, precision, tensorrt=tensorrt)
        self._session = started(path, wanted, device)
        with translated():
            self._strength = self._value((), np.float32)
        self._set_strength(0.0)
        self._slot: _Slot | None = None

    def sharpen(self, plane: Bytes, plan: Plan, strength: float, out: Bytes) -> None:
        """See `Backend.sharpen`."""
        with translated():
            if strength != self._last_strength:
                self._set_strength(strength)
            slot = self._slot_for(plan.tile_height, plan.tile_width)
            for tile in plan.tiles:
                top, left = tile.rows.start, tile.columns.start
                seen = plane[top : top + plan.tile_height, left : left + plan.tile_width]
                np.copyto(slot.host_in[0, 0], seen)
                slot.device_in.update_inplace(slot.host_in)
                self._session.run_with_iobinding(slot.binding)
                pixels = slot.device_out.numpy()[0, 0]
                core = pixels[tile.rows.inner, tile.columns.inner]
                store(core, tile.rows.core, tile.columns.core, out)

    def close(self) -> None:
        """See `Backend.close`. The session goes with its last reference."""
        self._slot = None

    def _set_strength(self, strength: float) -> None:
        self._strength.update_inplace(np.array(strength, np.float32))
        self._last_strength = strength

    def _slot_for(self, height: int, width: int) -> _Slot:
        shape = (1, 1, height, width)
        if self._slot is None or self._slot.host_in.shape != shape:
            self._slot = self._new_slot(shape)
        return self._slot

    def _new_slot(self, shape: tuple[int, ...]) -> _Slot:
        device_in, device_out = self._value(shape, np.uint8), self._value(shape, np.uint8)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("y", device_in)
        binding.bind_ortvalue_input("strength", self._strength)
        binding.bind_ortvalue_output("out", device_out)
        return _Slot(np.empty(shape, np.uint8), device_in, device_out, binding)

    def _value(self, shape: tuple[int, ...], kind: type[np.generic]) -> onnxruntime.OrtValue:
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            shape, kind, self._kind, self._index
        )


def _providers(kind: str, index: int, precision: str, *, tensorrt: bool) -> list[Provider]:
    """The wanted one first, then the one for what it cannot do."""
    if kind == "cpu":
        return [(CPU, {})]
    cuda = (CUDA, {"device_id": str(index), "cudnn_conv_algo_search": "EXHAUSTIVE"})
    if not tensorrt:
        return [cuda]
    kept = str(cache_path().parent / "tensorrt")
    settings = {
        "device_id": str(index),
        "trt_fp16_enable": str(precision == "fp16"),
        # An engine is built for each network and tile size, and that takes minutes.
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": kept,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": kept,
    }
    return [(TENSORRT, settings), cuda]


def _load_libraries() -> None:
    """Lets ONNX Runtime find CUDA's libraries where pip put them, as PyTorch's wheels do.

    What it prints about that is for the log: stdout is for data. What it writes to stderr about
    providers that do not start is for whoever asked for details; our error says it in a line.
    """
    if not log.isEnabledFor(logging.DEBUG):
        onnxruntime.set_default_logger_severity(SILENT)
    preload = getattr(onnxruntime, "preload_dlls", None)  # since 1.21
    if preload is None:
        return
    with redirect_stdout(io.StringIO()) as said:
        preload()
    for line in said.getvalue().splitlines():
        log.debug("ONNX Runtime: %s", line)
