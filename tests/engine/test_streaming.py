"""Submit and collect, over backends that have it and over those that have not."""

from __future__ import annotations

import numpy as np
import pytest

from vcsharp.engine.backend import NullBackend
from vcsharp.engine.ort import OrtBackend
from vcsharp.engine.reuse import Tally
from vcsharp.engine.streaming import AtOnce, StreamingBackend, streaming
from vcsharp.engine.torch_cuda import TorchBackend
from vcsharp.engine.worker import Engine

from .gpu_rig import noise_frames
from .test_engine import noise

TILE_PX = 96


@pytest.fixture(params=["none", "ort", "torch"])
def engine(request, random_model):
    if request.param == "none":
        made = Engine(NullBackend(), None, TILE_PX)
    elif request.param == "ort":
        made = Engine(OrtBackend(random_model, "int8", "cpu", 1), random_model, TILE_PX)
    else:
        made = Engine(TorchBackend(random_model, "fp32", "cpu", 0), random_model, TILE_PX)
    with made:
        yield made


def test_only_backends_that_can_stream_are_taken_as_they_are(random_model) -> None:
    torch_backend = TorchBackend(random_model, "fp32", "cpu", 0)
    assert isinstance(torch_backend, StreamingBackend)
    assert streaming(torch_backend) is torch_backend
    null = NullBackend()
    assert isinstance(streaming(null), AtOnce)
    assert (streaming(null).name, streaming(null).precision) == ("none", "none")
    torch_backend.close()


def test_many_frames_equal_one_after_the_other(engine: Engine) -> None:
    frames = noise_frames(2 * engine.depth + 3, 160, 90)
    expected = [engine.process(frame) for frame in frames]
    got = list(engine.process_many(iter(frames)))
    assert [frame.sequence for frame in got] == [frame.sequence for frame in frames]
    for one, other in zip(got, expected, strict=True):
        assert np.array_equal(one.data, other.data)


def test_no_more_frames_are_taken_in_than_may_be_under_way(engine: Engine) -> None:
    taken = 0

    def counted():
        nonlocal taken
        for frame in noise_frames(12, 64, 64):
            taken += 1
            yield frame

    for number, _ in enumerate(engine.process_many(counted())):
        assert taken <= number + 1 + engine.depth
    assert taken == 12


def test_tiles_are_told_once_for_each_frame(engine: Engine) -> None:
    told: list[Tally] = []
    engine.on_tiles = told.append
    list(engine.process_many(noise_frames(4, 160, 90)))
    assert told == [Tally(computed=len(engine.plan(160, 90).tiles))] * 4


@pytest.mark.parametrize("size", [(64, 64), (61, 87)])
def test_a_batch_equals_its_planes(engine: Engine, size) -> None:
    planes = [noise(size[0], size[1], seed) for seed in range(3)]
    engine.warm_up(size[1], size[0])
    got = engine.sharpen_batch(planes, 1.0)
    for one, plane in zip(got, planes, strict=True):
        alone = engine.sharpen_luma(plane, 1.0)
        assert np.abs(one.astype(int) - alone).max() <= 1
    untouched = engine.sharpen_batch(planes, 0.0)
    assert all(np.array_equal(a, b) for a, b in zip(untouched, planes, strict=True))
    assert all(a is not b for a, b in zip(untouched, planes, strict=True))
    assert engine.sharpen_batch([], 1.0) == []
