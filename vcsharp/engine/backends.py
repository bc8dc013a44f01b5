"""Backends by name."""

from __future__ import annotations

import importlib.util

from vcsharp.catalogue import Model
from vcsharp.engine.backend import Backend
from vcsharp.engine.setup import Setup
from vcsharp.errors import BackendUnavailableError

Candidate = tuple[str, str, str]
"""(device, `ort`, `torch` or `tensorrt`, precision)."""


def make(candidate: Candidate, model: Model, setup: Setup) -> Backend:
    """A backend for a model, set up for this machine. Loads its library only now.

    Raises:
        BackendUnavailableError: the library is not installed, or has no such device.
        ModelError: the model's file is missing or damaged.
    """
    device, kind, precision = candidate
    if kind != "torch" and device != "cpu":
        _require("onnxruntime", "ONNX Runtime", "gpu")
        from vcsharp.engine.ort_cuda import OrtCudaBackend

        return OrtCudaBackend(model, precision, device, tensorrt=kind == "tensorrt")
    if kind == "ort":
        _require("onnxruntime", "ONNX Runtime", "cpu")
        from vcsharp.engine.ort import OrtBackend

        return OrtBackend(model, precision, device, setup.threads, inside=setup.inside)
    _require("torch", "PyTorch", "torch")
    _require("safetensors", "safetensors", "torch")
    from vcsharp.engine.torch_cuda import TorchBackend

    return TorchBackend(model, precision, device, setup.threads)


def _require(module: str, title: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise BackendUnavailableError(
            f"{title} is not installed; install it with: pip install 'vcsharp[{extra}]'"
        )
