"""Whole frames on the device, several under way: the bytes of the slow way, on CPU and GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from vcsharp.catalogue import every, find, packaged_folder
from vcsharp.engine.torch_cuda import DEPTH, TorchBackend
from vcsharp.engine.worker import Engine
from vcsharp.errors import BackendError
from vcsharp.frame import Bytes
from vcsharp.nets.plain import PlainStudent

from .conftest import random_net, slow_fp32
from .gpu_rig import DEVICES, noise_frames, side_by_side
from .test_engine import noise, picture, worst

COMPILED = [
    pytest.param(
        mode,
        marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")],
    )
    for mode in ("compiled", "compiled-graph")
]
"""The compiler takes most of a minute when it starts cold, and warns about itself."""
SHIPPED = [
    (model.card.name, kind)
    for model in every()
    if model.folder.parent == packaged_folder()
    for kind in ("", *model.card.experts)
]
"""The students and their experts."""
WHOLE_PX = 100_000
TILE_PX = 96
sides = st.one_of(st.integers(16, 40), st.integers(41, 260))


def prepared(model, precision: str, device: str, width: int, height: int, **facts) -> Engine:
    """An engine that is ready for whole frames of that size, in tiles of 96 px."""
    engine = Engine(TorchBackend(model, precision, device, 0, **facts), model, TILE_PX)
    engine.warm_up(width, height)
    return engine


def whole_fp32(model, plane: Bytes, strength: float) -> Bytes:
    """The frame as one tile, in fp32 on the CPU."""
    with Engine(TorchBackend(model, "fp32", "cpu", 0), model, WHOLE_PX) as engine:
        return engine.sharpen_luma(plane, strength)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("strength", [0.3, 1.0, 2.0])
def test_fp32_equals_the_slow_reference(random_model, device: str, strength: float) -> None:
    plane = noise(96, 160)
    with prepared(random_model, "fp32", device, 160, 96) as engine:
        got = engine.sharpen_luma(plane, strength)
    expected = slow_fp32(plane, random_net(3), strength)
    assert worst(got, expected) <= 1
    assert (got != expected).mean() < 0.01


@settings(max_examples=25)
@given(sides, sides, st.integers(0, 99), st.sampled_from([0.5, 1.0, 2.0]))
def test_fp32_tiles_on_the_device_equal_the_whole_frame(
    random_model, width, height, seed, strength
) -> None:
    plane = noise(height, width, seed)
    with prepared(random_model, "fp32", "cpu", width, height) as engine:
        got = engine.sharpen_luma(plane, strength)
    expected = whole_fp32(random_model, plane, strength)
    assert worst(got, expected) <= 1
    assert (got != expected).mean() < 0.01


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(90, 160), (97, 203)])
@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_fp16_is_within_a_level_of_fp32_also_with_random_weights(
    random_model, device: str, size, strength: float
) -> None:
    plane = noise(*size)
    with prepared(random_model, "fp16", device, size[1], size[0]) as engine:
        got = engine.sharpen_luma(plane, strength)
    assert worst(got, whole_fp32(random_model, plane, strength)) <= 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("weights", SHIPPED, ids="-".join)
def test_half_precision_hardly_shows_with_shipped_weights(
    weights: tuple[str, str], device: str, precision: str
) -> None:
    name, expert = weights
    model, plane = find(name).expert(expert), picture(216, 384)
    cv2.GaussianBlur(plane, (0, 0), 1.2, dst=plane)
    with prepared(model, precision, device, 384, 216) as engine:
        got = engine.sharpen_luma(plane, 1.0)
    expected = whole_fp32(model, plane, 1.0)
    assert worst(expected, plane) > (0 if expert else 40)
    assert worst(got, expected) <= (1 if precision == "fp16" else 2)
    assert (np.abs(got.astype(int) - expected) > 1).mean() < 0.002


@pytest.mark.parametrize("weights", SHIPPED, ids="-".join)
def test_shipped_weights_are_exact_in_fp16_and_their_steps_in_bf16(
    weights: tuple[str, str],
) -> None:
    name, expert = weights
    for key, weight in load_file(find(name).expert(expert).path("torch")).items():
        if key.endswith("weight"):
            counts = 63 * weight / weight.abs().amax(dim=(1, 2, 3), keepdim=True)
            assert torch.equal(counts.bfloat16().float(), counts.round())
            assert torch.equal(weight.half().float(), weight)


@settings(max_examples=15)
@given(sides, sides, st.integers(0, 99))
def test_bf16_costs_a_hundredth_of_the_correction(random_model, width, height, seed) -> None:
    plane = noise(height, width, seed)
    with prepared(random_model, "bf16", "cpu", width, height) as engine:
        got = engine.sharpen_luma(plane, 1.0)
    expected = whole_fp32(random_model, plane, 1.0)
    assert worst(got, expected) <= 1 + worst(expected, plane) / 50


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(90, 160), (89, 161)])
def test_the_prepared_way_gives_the_bytes_of_the_plain_way(random_model, device, size) -> None:
    plane = noise(*size)
    backend = TorchBackend(random_model, "fp32", device, 0)
    with Engine(backend, random_model, TILE_PX) as engine:
        plain = engine.sharpen_luma(plane, 1.0)
        engine.warm_up(size[1], size[0])
        fast = engine.sharpen_luma(plane, 1.0)
    assert worst(plain, fast) <= (device != "cpu")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["graph", *COMPILED])
def test_all_ways_to_launch_agree(random_model, device: str, mode) -> None:
    plane = noise(90, 160)
    engines = [prepared(random_model, "fp16", device, 160, 90, mode=one) for one in ("eager", mode)]
    results = [engine.sharpen_luma(plane, 1.5) for engine in engines]
    for engine in engines:
        engine.close()
    assert worst(results[0], results[1]) <= 1
    if "compiled" not in mode:
        assert np.array_equal(results[0], results[1])


@pytest.mark.parametrize("device", DEVICES)
def test_another_strength_needs_no_other_graph(random_model, device: str) -> None:
    plane = noise(90, 160)
    with prepared(random_model, "fp32", device, 160, 90) as engine:
        for strength in (0.5, 2.0, 0.5):
            expected = whole_fp32(random_model, plane, strength)
            assert worst(engine.sharpen_luma(plane, strength), expected) <= 1


@pytest.mark.parametrize("device", DEVICES)
def test_frames_under_way_come_out_in_order_with_the_bytes_of_one_by_one(
    random_model, device: str
) -> None:
    frames = noise_frames(3 * DEPTH + 1, 160, 90)
    with prepared(random_model, "fp16", device, 160, 90) as engine:
        expected = [engine.process(frame) for frame in frames]
        got = list(engine.process_many(frames))
    assert [frame.sequence for frame in got] == [frame.sequence for frame in frames]
    for one, other in zip(got, expected, strict=True):
        assert np.array_equal(one.data, other.data)


@pytest.mark.parametrize("seed", range(4))
def test_streams_that_run_side_by_side_never_mix_frames_up(random_model, seed: int) -> None:
    frames = noise_frames(10, 120, 70)
    with prepared(random_model, "fp32", "cpu", 120, 70) as plain:
        expected = [plain.process(frame) for frame in frames]
    with (
        side_by_side(seed) as device,
        prepared(random_model, "fp32", "cpu", 120, 70, on=device) as engine,
    ):
        for number, frame in enumerate(engine.process_many(frames)):
            assert np.array_equal(frame.data, expected[number].data)


def test_placeholders_and_strength_zero_pass_between_frames_under_way(random_model) -> None:
    frames = noise_frames(6, 120, 70)
    frames[2] = frames[2].replaced(notice="camera lost")
    with prepared(random_model, "fp32", "cpu", 120, 70) as engine:
        got = list(engine.process_many(frames))
    assert [frame.sequence for frame in got] == list(range(6))
    assert got[2] is frames[2]
    assert all((a.y != b.y).any() for a, b in zip(got, frames, strict=True) if a is not b)


def test_a_submitted_plane_may_be_written_to(random_model) -> None:
    backend = TorchBackend(random_model, "fp32", "cpu", 0)
    with Engine(backend, random_model, TILE_PX) as engine, side_by_side(7) as device:
        slow = TorchBackend(random_model, "fp32", "cpu", 0, on=device)
        plane = noise(72, 120)
        plan, kept = engine.plan(120, 72), plane.copy()
        slow.prepare(plan, 1)
        ticket, out = slow.submit([plane], plan, 1.0), np.empty_like(plane)
        plane[:] = 0
        slow.collect(ticket, [out])
        assert np.array_equal(out, engine.sharpen_luma(kept, 1.0))
        slow.close()


def test_more_frames_than_there_are_buffers_are_refused(random_model) -> None:
    backend = TorchBackend(random_model, "fp32", "cpu", 0)
    plane = noise(64, 64)
    with Engine(backend, random_model, TILE_PX) as engine:
        plan = engine.plan(64, 64)
        tickets = [backend.submit([plane], plan, 1.0) for _ in range(DEPTH)]
        with pytest.raises(BackendError, match="3 frames are under way"):
            backend.submit([plane], plan, 1.0)
        for ticket in tickets:
            backend.collect(ticket, [np.empty_like(plane)])
        backend.collect(backend.submit([plane], plan, 1.0), [np.empty_like(plane)])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("ready", [False, True])
def test_a_batch_of_planes_equals_one_plane_after_the_other(random_model, device, ready) -> None:
    planes = [noise(90, 160, seed) for seed in range(4)]
    backend = TorchBackend(random_model, "fp32", device, 0)
    with Engine(backend, random_model, TILE_PX) as engine:
        expected = [engine.sharpen_luma(plane, 1.0) for plane in planes]
        if ready:
            engine.warm_up_batch(160, 90, 4)
        got = engine.sharpen_batch(planes, 1.0)
    for one, other in zip(got, expected, strict=True):
        assert worst(one, other) <= (device != "cpu" or ready)


@pytest.mark.parametrize("device", DEVICES)
def test_a_part_of_the_tiles_writes_its_cores_and_nothing_else(random_model, device) -> None:
    plane = noise(160, 200)
    with prepared(random_model, "fp32", device, 200, 160) as engine:
        plan = engine.plan(200, 160)
        part = replace(plan, tiles=plan.tiles[1::2])
        out = np.full_like(plane, 7)
        engine._backend.sharpen(plane, part, 1.0, out)
        expected = engine.sharpen_luma(plane, 1.0)
    for number, tile in enumerate(plan.tiles):
        core = out[tile.rows.core, tile.columns.core]
        wanted = expected[tile.rows.core, tile.columns.core]
        if number % 2:
            assert worst(core, wanted) <= 1
        else:
            assert (core == 7).all()


@pytest.mark.parametrize("device", DEVICES)
def test_kept_tiles_and_the_gpu_get_along(random_model, device: str) -> None:
    frames = noise_frames(2, 200, 160)
    frames[1].y[:] = frames[0].y
    frames[1].y[5, 5] ^= 255
    backend = TorchBackend(random_model, "fp32", device, 0)
    with Engine(backend, random_model, TILE_PX, change_threshold=0) as engine:
        engine.warm_up(200, 160)
        got = list(engine.process_many(frames))
        expected = [engine.sharpen_luma(frame.y, 1.0) for frame in frames]
    for frame, luma in zip(got, expected, strict=True):
        assert worst(frame.y, luma) <= 1


@pytest.mark.parametrize("device", DEVICES)
def test_stage_times_are_kept_where_asked_for(random_model, device: str) -> None:
    from vcsharp.engine.gpu.device import open_device

    on = open_device(device, timed=True)
    backend = TorchBackend(random_model, "fp16", device, 0, timed=True, on=on)
    with Engine(backend, random_model, TILE_PX) as engine:
        engine.warm_up(160, 90)
        engine.sharpen_luma(noise(90, 160), 1.0)
        stages = backend.stages
    assert stages is not None
    assert 0 < stages.compute_ms < 10_000
    assert stages.upload_ms >= 0
    assert stages.download_ms >= 0


def test_kernels_are_tried_out_only_while_a_shape_is_prepared(random_model, monkeypatch) -> None:
    seen: list[bool] = []
    trunk = PlainStudent.trunk

    def watched(self, x):
        seen.append(torch.backends.cudnn.benchmark)
        return trunk(self, x)

    monkeypatch.setattr(PlainStudent, "trunk", watched)
    with Engine(TorchBackend(random_model, "fp16", "cpu", 0, mode="eager"), random_model) as engine:
        seen.clear()
        engine._backend.prepare(engine.plan(128, 64), 1)
        engine.sharpen_luma(noise(64, 128), 1.0)
    assert seen == [True, False]


def test_fp32_is_not_done_in_ten_bits(random_model) -> None:
    with prepared(random_model, "fp32", "cpu", 64, 64):
        cudnn: Any = torch.backends.cudnn
        assert cudnn.conv.fp32_precision == "ieee"
