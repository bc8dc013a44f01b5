"""ONNX Runtime with device values: the bytes of the usual way; a missing provider is an error."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnxruntime
import pytest

from vcsharp.catalogue import find
from vcsharp.engine import ort, ort_cuda
from vcsharp.engine.ort import OrtBackend
from vcsharp.engine.ort_cuda import CUDA, TENSORRT, OrtCudaBackend
from vcsharp.engine.worker import Engine, choose
from vcsharp.errors import BackendError, BackendUnavailableError

from .gpu_rig import DEVICES
from .test_engine import noise, worst


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(90, 160), (61, 203)])
def test_bound_device_values_give_the_bytes_of_the_usual_way(random_model, device, size) -> None:
    plane = noise(*size)
    with (
        Engine(OrtCudaBackend(random_model, "fp32", device), random_model, 96) as bound,
        Engine(OrtBackend(random_model, "fp32", "cpu", 1), random_model, 96) as usual,
    ):
        for strength in (1.0, 0.3, 2.0, 1.0):
            got = bound.sharpen_luma(plane, strength)
            assert worst(got, usual.sharpen_luma(plane, strength)) <= (device != "cpu")


def test_tiles_of_another_shape_are_bound_anew(random_model) -> None:
    backend = OrtCudaBackend(random_model, "fp32", "cpu")
    with Engine(backend, random_model, 96) as engine:
        sizes = [(90, 160), (64, 64), (90, 160)]
        results = [engine.sharpen_luma(noise(*size), 1.0) for size in sizes]
    assert np.array_equal(results[0], results[2])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensorrt_is_within_a_level(precision: str) -> None:
    if TENSORRT not in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime here has no TensorRT provider")
    model, plane = find("nano"), noise(240, 320)
    with (
        Engine(OrtCudaBackend(model, precision, "cuda", tensorrt=True), model) as engine,
        Engine(OrtBackend(model, "fp32", "cpu", 0), model) as usual,
    ):
        assert worst(engine.sharpen_luma(plane, 1.0), usual.sharpen_luma(plane, 1.0)) <= 1


@pytest.mark.parametrize(("backend", "provider"), [("ort", CUDA), ("tensorrt", TENSORRT)])
def test_a_missing_provider_is_an_error_when_asked_for_by_name(backend, provider) -> None:
    if provider in onnxruntime.get_available_providers():
        pytest.skip("this machine has it")
    with pytest.raises(BackendUnavailableError, match=f"has no {provider} for device 'cuda'"):
        choose("nano", "cuda", backend, "fp32", 0, 512)


class FakeSession:
    """ONNX Runtime where a provider is listed, and the CPU's is what runs."""

    asked: ClassVar[list] = []

    def __init__(self, path, options, providers, enable_fallback) -> None:
        FakeSession.asked = providers
        assert enable_fallback == 0

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


@pytest.fixture
def pretending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort_cuda, "_load_libraries", lambda: None)
    every = [TENSORRT, CUDA, ort.CPU]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: every)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)


@pytest.mark.usefixtures("pretending")
@pytest.mark.parametrize(("tensorrt", "provider"), [(False, CUDA), (True, TENSORRT)])
def test_a_provider_that_gives_way_to_the_cpu_without_a_word_is_an_error(
    tensorrt: bool, provider: str
) -> None:
    with pytest.raises(BackendUnavailableError, match=f"could not start {provider} on 'cuda:1'"):
        OrtCudaBackend(find("nano"), "fp32", "cuda:1", tensorrt=tensorrt)


@pytest.mark.usefixtures("pretending")
def test_a_provider_that_raises_on_starting_is_not_there(monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Please install TensorRT libraries")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(BackendUnavailableError, match="could not start Tensorrt") as caught:
        OrtCudaBackend(find("nano"), "fp16", "cuda", tensorrt=True)
    assert "Please install TensorRT" in str(caught.value.__cause__)


@pytest.mark.usefixtures("pretending")
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_tensorrt_comes_before_cuda_and_keeps_its_engines(precision: str) -> None:
    with pytest.raises(BackendUnavailableError):
        OrtCudaBackend(find("nano"), precision, "cuda:1", tensorrt=True)
    (first, settings), (second, _) = FakeSession.asked
    assert (first, second) == (TENSORRT, CUDA)
    assert settings["trt_fp16_enable"] == str(precision == "fp16")
    assert settings["trt_engine_cache_path"].endswith("vcsharp/tensorrt")
    assert settings["device_id"] == "1"


@pytest.mark.usefixtures("pretending")
def test_tensorrt_is_only_taken_by_name(monkeypatch) -> None:
    monkeypatch.setattr("vcsharp.engine.worker.has_nvidia", lambda: True)
    with pytest.raises(BackendUnavailableError) as caught:
        choose("nano", "cuda", "auto", "auto", 0, 512)
    assert TENSORRT not in str(caught.value)
    assert CUDA in str(caught.value)


@pytest.mark.parametrize(("level", "silent"), [("INFO", True), ("DEBUG", False)])
def test_the_runtimes_own_complaints_are_for_those_who_ask(
    monkeypatch, caplog, level: str, silent: bool
) -> None:
    caplog.set_level(level, logger="vcsharp")
    severities: list[int] = []
    monkeypatch.setattr(onnxruntime, "set_default_logger_severity", severities.append)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    ort_cuda._load_libraries()
    assert severities == ([4] if silent else [])


def test_what_the_loader_prints_stays_out_of_stdout(monkeypatch, capsys, caplog) -> None:
    caplog.set_level("DEBUG", logger="vcsharp")
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcudnn"))
    ort_cuda._load_libraries()
    assert capsys.readouterr().out == ""
    assert "Failed to load libcudnn" in caplog.text


def test_faults_of_the_runtime_are_told_in_one_line(random_model, monkeypatch) -> None:
    backend = OrtCudaBackend(random_model, "fp32", "cpu")
    with Engine(backend, random_model, 96) as engine:
        plan = engine.plan(64, 64)
        slot = backend._slot_for(64, 64)
        slot.device_in = onnxruntime.OrtValue.ortvalue_from_shape_and_type((1, 1), np.uint8)
        with pytest.raises(BackendError, match=r"^ONNX Runtime failed: .+$"):
            backend.sharpen(noise(64, 64), plan, 1.0, np.empty((64, 64), np.uint8))
