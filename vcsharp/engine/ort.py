"""Students on ONNX Runtime, int8 or fp32 on CPU cores; GPUs are in `ort_cuda.py`.

The tiles are shared out to threads of our own that each run a single-threaded session
call. There is no barrier after every layer then, and a tile's activations stay in its core's cache.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from vcsharp.catalogue import Model
from vcsharp.engine.backend import store
from vcsharp.engine.machine import usable_cores
from vcsharp.engine.tiling import Plan, Tile
from vcsharp.errors import BackendError, BackendUnavailableError, VcsharpError
from vcsharp.frame import Bytes

_OWN_ERRORS = (
    kind
    for kind in vars(ort_state).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
)
_ERRORS: tuple[type[Exception], ...] = (*_OWN_ERRORS, RuntimeError, ValueError)
"""`Fail`, `InvalidProtobuf` and so on; they share no base class but Exception."""

CPU = "CPUExecutionProvider"
Provider = tuple[str, Mapping[str, str]]
"""Name and settings."""


@dataclass(slots=True)
class _Slot:
    """One thread's own buffers, bound to the session once per tile shape."""

    tile_in: Bytes
    tile_out: Bytes
    strength: np.ndarray[tuple[()], np.dtype[np.float32]]
    binding: onnxruntime.IOBinding


class OrtBackend:
    """Runs `model.int8.onnx` or `model.onnx`. See `Backend` for the promise.

    Args:
        model: from the catalogue; its file is checked against the card.
        precision: `int8` or `fp32`.
        device: `cpu`.
        threads: CPU threads that work on tiles; 0 means one per core at hand.
        inside: the threads work inside the operators, on one tile after the other.

    Raises:
        BackendUnavailableError: ONNX Runtime is broken.
        ModelError: the file is missing or damaged.
    """

    name = "onnxruntime"

    def __init__(
        self,
        model: Model,
        precision: str,
        device: str,
        threads: int,
        *,
        inside: bool = False,
    ) -> None:
        self.precision = precision
        self.device = device
        path = model.path("int8" if precision == "int8" else "fp32")
        workers = threads or usable_cores()
        self._session = started(str(path), [(CPU, {})], device, workers if inside else 1)
        self.lanes = 1 if inside else workers
        """Tiles that are worked on at once."""
        self._pool = (
            None
            if inside or workers == 1
            else ThreadPoolExecutor(workers, thread_name_prefix="vcsharp-tile")
        )
        self._local = threading.local()

    def sharpen(self, plane: Bytes, plan: Plan, strength: float, out: Bytes) -> None:
        """See `Backend.sharpen`."""
        run_all = self._pool.map if self._pool else map
        jobs = run_all(lambda tile: self._run_tile(plane, plan, tile, strength, out), plan.tiles)
        with translated():
            for _ in jobs:
                pass

    def close(self) -> None:
        """See `Backend.close`."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _run_tile(self, plane: Bytes, plan: Plan, tile: Tile, strength: float, out: Bytes) -> None:
        slot = self._slot(plan.tile_height, plan.tile_width)
        top, left = tile.rows.start, tile.columns.start
        np.copyto(slot.tile_in, plane[top : top + plan.tile_height, left : left + plan.tile_width])
        slot.strength[...] = strength
        self._session.run_with_iobinding(slot.binding)
        core = slot.tile_out[tile.rows.inner, tile.columns.inner]
        store(core, tile.rows.core, tile.columns.core, out)

    def _slot(self, height: int, width: int) -> _Slot:
        slot: _Slot | None = getattr(self._local, "slot", None)
        if slot is None or slot.tile_in.shape != (height, width):
            slot = self._local.slot = self._new_slot(height, width)
        return slot

    def _new_slot(self, height: int, width: int) -> _Slot:
        tile_in, tile_out = np.empty((2, height, width), np.uint8)
        strength = np.zeros((), np.float32)
        binding = self._session.io_binding()
        shape = (1, 1, height, width)
        binding.bind_input("y", "cpu", 0, np.uint8, shape, tile_in.ctypes.data)
        binding.bind_input("strength", "cpu", 0, np.float32, (), strength.ctypes.data)
        binding.bind_output("out", "cpu", 0, np.uint8, shape, tile_out.ctypes.data)
        return _Slot(tile_in, tile_out, strength, binding)


def started(
    path: str, providers: Sequence[Provider], device: str, threads: int = 1
) -> onnxruntime.InferenceSession:
    """A session whose first provider is the first one of these, or none.

    Raises:
        BackendUnavailableError: ONNX Runtime has no such provider, or cannot start it.
        BackendError: the file is not a network.
    """
    provider, _ = providers[0]
    if provider not in onnxruntime.get_available_providers():
        raise BackendUnavailableError(
            f"ONNX Runtime here has no {provider} for device '{device}'; install it with: "
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'vcsharp[gpu]'"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin between frames would heat a machine that waits for a camera.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    sorry = BackendUnavailableError(
        f"ONNX Runtime could not start {provider} on '{device}'; are its libraries and the driver "
        "installed?"
    )
    try:
        with translated():
            session = onnxruntime.InferenceSession(
                path, options, providers=list(providers), enable_fallback=0
            )
    except BackendError as error:
        if provider == CPU:
            raise
        raise sorry from error  # TensorRT's is missing with an error
    # Others give way to the CPU without a word.
    if session.get_providers()[0] != provider:
        raise sorry
    return session


@contextmanager
def translated() -> Iterator[None]:
    """Turns the runtime's own exceptions into ours."""
    try:
        yield
    except VcsharpError:
        raise
    except _ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BackendError(f"ONNX Runtime failed: {reason}") from error
