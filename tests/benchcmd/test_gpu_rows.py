"""The GPU's rows: real work on CPU tensors, and the arithmetic of their limits."""

from __future__ import annotations

import json

import pytest

from vcsharp import catalogue
from vcsharp.bench import gpu, gpunetworks, suite
from vcsharp.bench.contender import NotHereError, Sample
from vcsharp.bench.figures import rates, rows
from vcsharp.bench.gpunetworks import GpuNetwork
from vcsharp.bench.roofline import Limits, Need, limits, need, roofline_percent, stages
from vcsharp.bench.words import stage_line
from vcsharp.catalogue import Architecture

from .conftest import SIZE
from .plants import course

pytestmark = pytest.mark.usefixtures("small_scene")
NANO = Architecture(channels=(16, 32, 32, 16), stride=4)


@pytest.mark.parametrize(("mode", "planes"), [("eager", 1), ("graph", 1), ("graph", 3)])
def test_frames_under_way_are_counted_and_their_stages_timed(mode: str, planes: int) -> None:
    network = GpuNetwork(catalogue.find("nano"), mode, SIZE, planes=planes, device="cpu")
    assert network.stage_ms == {}
    network.prepare()
    sample = network.turn(0.0)
    assert (sample.frames, sample.frame_ms) == (planes, ())
    assert network.stage_ms.keys() == {"upload", "compute", "download"}
    assert network.stage_ms["compute"] > 0
    network.close()


def test_the_modes_are_those_of_the_engine() -> None:
    from vcsharp.engine.gpu.program import MODES

    assert set(gpunetworks.MODES) == set(MODES)


def test_without_a_driver_a_network_on_the_gpu_is_not_here(monkeypatch) -> None:
    monkeypatch.setattr(gpu, "has_nvidia", lambda: False)
    network = GpuNetwork(catalogue.find("nano"), "graph", SIZE)
    with pytest.raises(NotHereError, match="no NVIDIA GPU"):
        network.prepare()
    network.close()


@pytest.mark.parametrize("here", [False, True])
def test_gpu_rows_are_there_where_a_gpu_is_and_bring_its_limits(monkeypatch, here) -> None:
    monkeypatch.setattr(suite, "has_nvidia", lambda: here)
    found = suite.contenders(catalogue.every(), suite.Choice(frozenset({"gpu"})), 2)
    groups = [one.subject.group for one in found]
    assert ("gpu" in groups) == here
    assert "ceilings" in groups
    names = [(one.subject.name, one.subject.size) for one in found]
    assert len(names) == len(set(names))
    assert not here or names[-1][0].endswith("compiled-graph")


def test_what_a_frame_needs_is_counted_layer_by_layer() -> None:
    found = need(NANO, 1152, (1000, 1000), "fp16")
    assert found.bus_gb == pytest.approx(1e-3)
    assert found.gmac == pytest.approx(1.152)
    # 16 in, 32 out; 32 in, 32 out; 32 in, 16 out: 160 values of two bytes for 16 pixels.
    assert found.memory_gb == pytest.approx((160 * 2 / 16 + 2) * 1e-3)
    doubled = need(NANO, 1152, (1000, 1000), "fp32")
    assert doubled.memory_gb == pytest.approx((160 * 4 / 16 + 2) * 1e-3)


def test_limits_are_found_by_the_ceilings_own_names() -> None:
    names = [gpu.GpuCopies(way).subject.name for way in gpu.WAYS]
    found = limits(dict(zip(names, (1.0, 2.0, 3.0), strict=True)), 4.0)
    assert found == Limits(up_gb_s=1.0, down_gb_s=2.0, copy_gb_s=3.0, gmac_s=4.0)
    assert limits({}, 0.0) == Limits(0.0, 0.0, 0.0, 0.0)


def test_the_slower_of_matrix_units_and_memory_bounds_the_work() -> None:
    took = {"upload": 1.0, "compute": 8.0, "download": 2.0}
    wanted = Need(bus_gb=0.02, gmac=4.0, memory_gb=0.01)
    by_matrix = stages(took, wanted, Limits(40.0, 20.0, 1000.0, 1000.0))
    assert [(stage.name, stage.limit_ms) for stage in by_matrix] == [
        ("upload", 0.5),
        ("compute", 4.0),
        ("download", 1.0),
    ]
    assert [stage.percent for stage in by_matrix] == [50.0, 50.0, 50.0]
    assert roofline_percent(5.0, by_matrix) == pytest.approx(80.0)
    by_memory = stages(took, wanted, Limits(40.0, 20.0, 0.5, 1000.0))
    assert by_memory[1].limit_ms == pytest.approx(10.0)


def test_without_limits_there_are_no_shares() -> None:
    took = {"upload": 1.0, "compute": 8.0, "download": 2.0}
    found = stages(took, Need(1, 1, 1), Limits(0, 0, 0, 0))
    assert [stage.percent for stage in found] == [None, None, None]
    assert roofline_percent(5.0, found) is None


def test_a_row_tells_its_stages_and_how_near_it_came() -> None:
    network = GpuNetwork(catalogue.find("nano"), "graph", (1000, 1000))
    network._took_ms.append((0.1, 0.4, 0.2))
    measured = course(network.subject, Sample(10, 0.005, 0.002))
    measured.contender = network
    up = gpu.GpuCopies("to the GPU").subject
    matrix = gpu.GpuProducts().subject
    limit = [
        course(up, Sample(1, up.work / 20.0, 1)),
        course(matrix, Sample(1, matrix.work / 5760, 1)),
    ]
    (row,) = rows([measured], rates(limit))
    assert [(stage.name, stage.ms) for stage in row.stages[:2]] == [
        ("upload", 0.1),
        ("compute", 0.4),
    ]
    assert [stage.limit_ms for stage in row.stages] == pytest.approx([0.05, 0.2, 0.0])
    assert row.roofline_percent == pytest.approx(40.0)
    assert stage_line(row) == (
        "nano fp16 torch cuda graph at 1000x1000: upload 0.10 ms (50 % of its limit), "
        "compute 0.40 ms (50 % of its limit), download 0.20 ms; "
        "40 % of what its slowest stage allows"
    )
    data = json.loads(json.dumps(row.as_dict()))
    assert data["stages"][0] == {"name": "upload", "ms": 0.1, "limit_ms": 0.05, "percent": 50.0}
