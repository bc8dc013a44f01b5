"""A GPU without memory, one that fails in any stage, one that never answers: frames go on."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass, field
from math import ceil, log2

import numpy as np
import pytest
import torch

from vcsharp.engine import live, setup, torch_cuda
from vcsharp.engine.backend import NullBackend
from vcsharp.engine.gpu.device import is_out_of_memory
from vcsharp.engine.live import LiveEngine
from vcsharp.engine.torch_cuda import TorchBackend
from vcsharp.engine.worker import Engine, choose
from vcsharp.errors import BackendError, BackendUnavailableError
from vcsharp.frame import Frame
from vcsharp.states import EngineState as E

from .gpu_rig import DEVICES, Failing, noise_frames, out_of_memory, until
from .test_engine import noise, worst

TILE_PX = 96
LOST = RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA")
SLOW_CPU = setup._Entry(precision="fp32", tile_px=256, threads=1, inside=False, frame_ms=30)
STAGES = ["upload", "compute", "download"]


def engine_on(model, device: Failing, mode="graph") -> Engine:
    backend = TorchBackend(model, "fp32", "cpu", 0, mode=mode, on=device)
    return Engine(backend, model, TILE_PX)


@pytest.mark.parametrize("stage", STAGES)
def test_a_fault_in_any_stage_is_told_in_one_line(random_model, stage: str) -> None:
    device = Failing()
    with engine_on(random_model, device) as engine:
        engine.warm_up(160, 90)
        device.plant(stage, LOST)
        with pytest.raises(BackendError) as caught:
            engine.sharpen_luma(noise(90, 160), 1.0)
    assert str(caught.value) == "PyTorch failed on 'cpu': CUDA error: unspecified launch failure"


def test_a_fault_in_the_capture_is_told(random_model) -> None:
    device = Failing()
    with engine_on(random_model, device) as engine:
        device.plant("capture", LOST)
        with pytest.raises(BackendError, match="unspecified launch failure"):
            engine.warm_up(160, 90)


def test_a_fault_that_shows_only_at_the_end_is_told(random_model) -> None:
    device = Failing()
    with engine_on(random_model, device) as engine:
        device.answer_late(LOST)
        with pytest.raises(BackendError, match="unspecified launch failure"):
            engine.sharpen_luma(noise(90, 160), 1.0)


def test_a_device_that_never_answers_is_given_up(random_model, monkeypatch) -> None:
    monkeypatch.setattr(torch_cuda, "PATIENCE_S", 0.05)
    device = Failing()
    with engine_on(random_model, device) as engine:
        device.answer_late()
        with pytest.raises(BackendError, match="did not answer within 0 s; is it asleep"):
            engine.sharpen_luma(noise(90, 160), 1.0)
        device.synchronize = pytest.fail  # type: ignore[method-assign]


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("ready", [False, True])
def test_without_memory_the_tiles_go_in_smaller_batches(
    random_model, mode, ready: bool, caplog
) -> None:
    plane, device = noise(160, 300), Failing()
    with engine_on(random_model, device, mode) as engine:
        expected = engine.sharpen_luma(plane, 1.0)
        if ready:
            engine.warm_up(300, 160)
        device.plant("compute", out_of_memory(), out_of_memory())
        got = engine.sharpen_luma(plane, 1.0)
        assert engine._backend._programs.parts == 4  # type: ignore[attr-defined]
        assert worst(engine.sharpen_luma(plane, 1.0), expected) <= 1
    assert worst(got, expected) <= 1
    said = [record.getMessage() for record in caplog.records if record.name.startswith("vcsharp")]
    assert said == [
        "CUDA out of memory. Tried to allocate 20.00 MiB.; "
        f"going on with a frame's tiles in {parts} batches"
        for parts in (2, 4)
    ]
    assert device.released >= 2


def test_without_memory_for_a_capture_it_is_made_smaller(random_model) -> None:
    plane, device = noise(160, 300), Failing()
    with engine_on(random_model, device) as engine:
        expected = engine.sharpen_luma(plane, 1.0)
        device.plant("capture", out_of_memory())
        engine.warm_up(300, 160)
        assert device.captures == 2
        assert worst(engine.sharpen_luma(plane, 1.0), expected) <= 1


def test_without_memory_for_a_single_tile_it_is_told(random_model) -> None:
    device = Failing()
    with engine_on(random_model, device) as engine:
        tiles = len(engine.plan(300, 160).tiles)
        halvings = ceil(log2(tiles))
        device.plant("compute", *(out_of_memory() for _ in range(20)))
        with pytest.raises(BackendError, match="out of memory"):
            engine.sharpen_luma(noise(160, 300), 1.0)
        assert len(device.streams[1].errors) == 20 - 1 - halvings


def test_frames_under_way_survive_an_empty_memory(random_model) -> None:
    frames = noise_frames(9, 160, 90)
    device = Failing()
    with engine_on(random_model, device, "eager") as engine:
        engine.warm_up(160, 90)
        expected = [engine.process(frame) for frame in frames]
        got: list[Frame] = []
        for frame in engine.process_many(frames):
            got.append(frame)
            if len(got) == 3:
                device.plant("compute", out_of_memory())
    for one, other in zip(got, expected, strict=True):
        assert worst(one.y, other.y) <= 1


def test_a_broken_off_capture_is_known_by_the_reason_behind_it() -> None:
    broken = RuntimeError("CUDA error: operation failed due to a previous error")
    assert not is_out_of_memory(broken)
    broken.__context__ = out_of_memory()
    assert is_out_of_memory(broken)
    assert is_out_of_memory(RuntimeError("CUDNN_STATUS_ALLOC_FAILED"))
    assert not is_out_of_memory(LOST)


def test_a_device_that_cannot_work_is_not_there(random_model, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution\nmore")

    monkeypatch.setattr(torch_cuda, "_try_out", broken)
    with pytest.raises(BackendUnavailableError, match=r"no kernel image is available for execu"):
        TorchBackend(random_model, "fp32", "cpu", 0)


def test_the_cpu_is_taken_where_the_gpu_cannot_work(random_model, monkeypatch, caplog) -> None:
    """`auto`, with a driver that answers and a device that fails at once."""

    class Dead(Failing):
        def synchronize(self) -> None:
            raise RuntimeError("CUDA error: device is lost")

    monkeypatch.setattr("vcsharp.engine.worker.has_nvidia", lambda: True)
    monkeypatch.setattr(torch_cuda, "open_device", lambda *_, **__: Dead())
    with choose(str(random_model.folder), "auto", "auto", "auto", 1, 512) as engine:
        assert engine.facts.device == "cpu"
    assert "device is lost" in caplog.text
    assert "using cpu instead" in caplog.text


def test_what_was_measured_on_the_cpu_does_not_keep_a_gpu_from_being_used(
    random_model, monkeypatch
) -> None:
    folder = str(random_model.folder)
    entry = setup.key(random_model, "auto", 0, 0)
    monkeypatch.setattr(setup, "_read", lambda: setup._File(entries={entry: SLOW_CPU}))
    monkeypatch.setattr(torch_cuda, "open_device", lambda *_, **__: Failing())
    for device, found in (("cuda", "cuda fp16"), ("auto", "cuda fp16"), ("cpu", "cpu fp32")):
        monkeypatch.setattr("vcsharp.engine.worker.has_nvidia", lambda: True)
        with choose(folder, device, "auto", "auto", 0, 0) as engine:
            assert f"{engine.facts.device} {engine.facts.precision}" == found


@dataclass
class Rig:
    """A live engine whose GPU can be made to fail."""

    model: object
    devices: list[Failing] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refuse: bool = False

    def build(self, _: str, device: str) -> Engine:
        self.asked.append(device)
        if device == "cpu":
            return Engine(NullBackend(), None)
        if self.refuse:
            raise BackendUnavailableError("PyTorch failed on 'cuda': device is lost")
        self.devices.append(Failing())
        engine = engine_on(self.model, self.devices[-1], "eager")
        engine.facts = type(engine.facts)("random", "torch", "cuda", "fp16", TILE_PX)
        return engine


@pytest.fixture
def rig(random_model, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(live, "FIRST_WAIT_S", 0.02)
    # Random weights turn grey into anything.
    monkeypatch.setattr(live, "checked", lambda engine: engine)
    return Rig(random_model)


def sharpened(engine: LiveEngine) -> bool:
    frame = noise_frames(1, 160, 90)[0]
    return engine.process(frame) is not frame


@pytest.mark.parametrize("stage", STAGES)
def test_a_live_run_outlives_a_fault_in_any_stage(rig: Rig, stage: str) -> None:
    engine = LiveEngine(rig.build, "random", "cuda")
    engine.warm_up(160, 90)
    assert sharpened(engine)
    rig.devices[0].plant(stage, LOST)
    assert not sharpened(engine)  # this frame passes as it came
    until(lambda: sharpened(engine))
    assert (len(rig.devices), engine.status.state) == (2, E.READY)
    engine.close()


def test_a_live_run_falls_back_to_the_cpu_when_the_gpu_fails_again(rig: Rig) -> None:
    engine = LiveEngine(rig.build, "random", "cuda")
    for number in range(2):
        until(lambda: sharpened(engine))
        rig.devices[number].plant("compute", LOST)
        assert not sharpened(engine)
    until(lambda: sharpened(engine))
    assert engine.status.state is E.FALLBACK
    assert rig.asked[-1] == "cpu"
    engine.close()


def test_a_live_run_falls_back_when_a_gpu_that_was_there_cannot_be_built_on(rig: Rig) -> None:
    """After a fault that poisons the process's context: a fresh engine fails as well."""
    engine = LiveEngine(rig.build, "random", "cuda")
    rig.refuse = True
    rig.devices[0].plant("compute", LOST)
    assert not sharpened(engine)
    until(lambda: sharpened(engine))
    assert engine.status.state is E.FALLBACK
    assert rig.asked == ["cuda", "cuda", "cpu"]
    engine.close()


def test_a_live_run_begins_without_a_network_when_the_gpu_fails_in_the_warm_up(rig: Rig) -> None:
    engine = LiveEngine(rig.build, "random", "cuda")
    rig.devices[0].plant("compute", LOST)
    engine.warm_up(160, 90)
    assert engine.status.state is E.FAILED
    until(lambda: sharpened(engine))
    engine.close()


def test_an_engine_that_fails_in_its_warm_up_is_freed(rig: Rig) -> None:
    engine = LiveEngine(rig.build, "random", "cuda")
    engine.warm_up(160, 90)
    closed = threading.Event()
    first = rig.build

    def build(name: str, device: str) -> Engine:
        made = first(name, device)
        if device != "cpu":
            rig.devices[-1].plant("compute", LOST)
            made.close = closed.set  # type: ignore[method-assign]
        return made

    engine._build = build
    engine.use("other")
    assert closed.wait(20)
    assert sharpened(engine)  # the old one goes on
    engine.close()


@pytest.mark.gpu
def test_a_real_gpu_without_memory_makes_do_with_smaller_batches(random_model) -> None:
    """Other programs hold the memory: here a tensor of most of what is free."""
    plane = noise(1080, 1920)
    backend = TorchBackend(random_model, "fp16", "cuda", 0, mode="eager")
    with Engine(backend, random_model, 256) as engine:
        expected = engine.sharpen_luma(plane, 1.0)
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        hog = torch.empty(max(0, free - 40 * 2**20), dtype=torch.uint8, device="cuda")
        got = engine.sharpen_luma(plane, 1.0)
        del hog
    assert backend._programs.parts > 1
    assert worst(got, expected) <= 1


def tensors() -> list[torch.Tensor]:
    """All that are alive. `isinstance` would ask objects that warn when they are asked."""
    gc.collect()
    return [one for one in gc.get_objects() if issubclass(type(one), torch.Tensor)]


@pytest.mark.parametrize("device", DEVICES)
def test_closing_gives_buffers_tables_and_weights_back(random_model, device: str) -> None:
    before = {id(one) for one in tensors()}
    backend = TorchBackend(random_model, "fp16", device, 0)
    engine = Engine(backend, random_model, TILE_PX)
    engine.warm_up(160, 90)
    engine.process(noise_frames(1, 160, 90)[0])
    engine.close()
    engine.close()
    left = [one for one in tensors() if id(one) not in before and one.device.type != "meta"]
    assert sum(one.nbytes for one in left) < 100


@pytest.mark.parametrize("device", DEVICES)
def test_an_engine_can_be_made_after_another_was_closed(random_model, device: str) -> None:
    results = []
    for _ in range(2):
        with Engine(TorchBackend(random_model, "fp16", device, 0), random_model, TILE_PX) as engine:
            engine.warm_up(160, 90)
            results.append(engine.sharpen_luma(noise(90, 160), 1.0))
    assert np.array_equal(results[0], results[1])
