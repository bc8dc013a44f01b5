"""Each kind of contender does real work, on pictures of 64x48."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vcsharp import catalogue
from vcsharp.bench import gpu, networks, peers, suite
from vcsharp.bench.ceilings import Copies, Products
from vcsharp.bench.contender import NotHereError, Subject
from vcsharp.bench.frames import COUNT, MemorySource, pictures
from vcsharp.bench.networks import Network
from vcsharp.bench.peers import FILTERS, LinkedFilter, OpenCvUnsharp, ProgramFilter, Run
from vcsharp.bench.pipelines import Pipelines, paced
from vcsharp.bench.products import product_graph
from vcsharp.engine.worker import choose
from vcsharp.errors import BackendError, BackendUnavailableError
from vcsharp.frame import Frame

from .conftest import SIZE, picture
from .plants import PlantedTime

pytestmark = pytest.mark.usefixtures("small_scene")


def no_network():
    return choose("none", "cpu", "auto", "auto", 0, 512)


class Witness:
    """An engine that remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Frame] = []
        self.closed = 0

    def warm_up(self, width: int, height: int) -> None:
        """Nothing to do."""

    def process(self, frame: Frame) -> Frame:
        self.shown.append(frame)
        return frame

    def close(self) -> None:
        self.closed += 1


def test_no_byte_of_a_picture_equals_the_picture_before() -> None:
    shown = [*pictures(*SIZE), pictures(*SIZE)[0]]
    assert len(shown) == COUNT + 1
    for before, after in pairwise(shown):
        assert (before.data != after.data).all()


def test_a_memory_source_ends_when_its_time_is_up() -> None:
    time = PlantedTime()
    source = MemorySource(pictures(*SIZE), 1.0, clock=lambda: time.wall_s)
    count = 0
    while source.read() is not None:
        time.work(0.3, 0)
        count += 1
    assert count == 4


@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_the_graph_written_by_hand_is_the_product_that_numpy_computes(kind: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(3)
    left: Any
    right: Any
    expected: Any
    if kind == "int8":
        left, right = (
            rng.integers(0, 256, (5, 7), np.uint8),
            rng.integers(-63, 64, (7, 300), np.int8),
        )
        expected = left.astype(np.int32) @ right.astype(np.int32)
    else:
        left, right = rng.random((5, 7), np.float32), rng.random((7, 300), np.float32)
        expected = left @ right
    graph = product_graph(right, 5)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"a": left})
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_products_are_counted_by_their_multiplications(precision, threads: int) -> None:
    products = Products(precision, threads, edges=(16,))
    products.prepare()
    sample = products.turn(0.0)
    products.close()
    assert products.subject.work == pytest.approx(threads * 16**3 / 1e9)
    assert sample.frames == 1
    assert sample.wall_s > 0


def test_the_faster_size_of_product_is_kept() -> None:
    time = PlantedTime()
    products = Products("fp32", 1, edges=(8, 16), clocks=time.clocks)
    products._crew.run = lambda steps: time.work(1.0, 1.0)  # type: ignore[method-assign]
    products.prepare()
    assert products.subject.work == pytest.approx(16**3 / 1e9)


def test_copies_copy() -> None:
    copies = Copies(2, size=1000)
    copies.prepare()
    copies.turn(0.0)
    (first, _) = copies._steps
    assert first.args[0].min() == 1  # type: ignore[attr-defined]
    assert copies.subject.work == pytest.approx(2e-6)
    copies.close()


def test_gpu_contenders_count_each_queued_piece() -> None:
    pytest.importorskip("torch")
    for contender in (
        gpu.GpuProducts("cpu", edge=8),
        *(gpu.GpuCopies(way, "cpu", size=100) for way in gpu.WAYS),
    ):
        contender.prepare()
        assert contender.turn(0.0).frames == gpu.BATCH
        contender.close()


def test_without_a_driver_the_gpu_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "has_nvidia", lambda: False)
    with pytest.raises(NotHereError, match="no NVIDIA GPU"):
        gpu.GpuProducts().prepare()


def test_a_network_runs_on_the_engine_that_a_run_would_have() -> None:
    network = Network(catalogue.find("nano"), ("ort", "cpu", "int8"), SIZE)
    network.prepare()
    sample = network.turn(0.0)
    network.close()
    assert sample.frames == len(sample.frame_ms) == 1
    assert network.rss_growth_mib is not None
    assert network.subject.gmac == pytest.approx(1152 * 64 * 48 / 1e9)


def test_a_network_never_meets_one_picture_twice_in_a_row() -> None:
    witness = Witness()
    network = Network(catalogue.find("nano"), ("ort", "cpu", "int8"), SIZE, make=lambda *_: witness)
    network.prepare()
    for _ in range(5):
        network.turn(0.0)
    assert len(witness.shown) == 1 + 2 * 5
    for before, after in pairwise(witness.shown):
        assert (before.y != after.y).all()


def test_a_network_without_such_a_runtime_is_not_here() -> None:
    def make(*_: str):
        raise BackendUnavailableError("ONNX Runtime is not installed")

    network = Network(catalogue.find("nano"), ("ort", "cpu", "int8"), SIZE, make=make)
    with pytest.raises(NotHereError, match="not installed"):
        network.prepare()


def test_a_network_without_a_gpu_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "has_nvidia", lambda: False)
    network = Network(catalogue.find("nano"), ("torch", "cuda", "fp16"), SIZE)
    with pytest.raises(NotHereError, match="no NVIDIA GPU"):
        network.prepare()


def test_a_network_without_the_file_is_not_here() -> None:
    model = catalogue.find("nano")
    files = {kind: file for kind, file in model.card.files.items() if kind != "int8"}
    poorer = catalogue.Model(model.card.model_copy(update={"files": files}), model.folder)
    with pytest.raises(NotHereError, match="no int8 file"):
        Network(poorer, ("ort", "cpu", "int8"), SIZE).prepare()


def test_the_pipeline_brings_frames_to_the_runs_size() -> None:
    witness = Witness()
    subject = Subject("pipeline", "x", (32, 24))
    pipelines = Pipelines(subject, partial(pictures, *SIZE), lambda: witness)
    pipelines.prepare()
    sample = pipelines.turn(0.0)
    pipelines.close()
    assert sample.frames == 1
    assert sample.wall_s > 0
    assert {(frame.width, frame.height) for frame in witness.shown} == {(32, 24)}
    assert witness.closed == 1


def test_turns_of_the_pipeline_go_on_where_the_last_one_ended() -> None:
    witness = Witness()
    pipelines = Pipelines(Subject("pipeline", "x", SIZE), partial(pictures, *SIZE), lambda: witness)
    pipelines.prepare()
    pipelines.turn(0.0)
    assert (witness.shown[0].y != witness.shown[1].y).all()
    pipelines.close()


def test_several_cameras_run_at_once_on_engines_of_their_own() -> None:
    made: list[Witness] = []

    def make() -> Witness:
        made.append(Witness())
        return made[-1]

    subject = Subject("cameras", "x", SIZE, cameras=3)
    pipelines = Pipelines(subject, partial(pictures, *SIZE), make)
    pipelines.prepare()
    assert pipelines.turn(0.0).frames == 3
    pipelines.close()
    assert [len(one.shown) for one in made] == [2, 2, 2]


def test_an_engine_that_fails_in_any_camera_fails_the_turn() -> None:
    class Broken(Witness):
        def process(self, frame: Frame) -> Frame:
            raise BackendError("planted")

    engines = [Witness(), Broken()]
    subject = Subject("cameras", "x", SIZE, cameras=2)
    pipelines = Pipelines(subject, partial(pictures, *SIZE), lambda: engines.pop(0))
    with pytest.raises(BackendError, match="planted"):
        pipelines.prepare()
    pipelines.close()


def test_a_paced_run_tells_latency() -> None:
    stats = paced(pictures(*SIZE), no_network(), 0.1, Fraction(50))
    assert stats.frames_in >= 2
    assert stats.latency_ms["p95"] > 0


@pytest.mark.parametrize("name", list(FILTERS))
def test_filters_of_pyav_change_the_picture(name: str) -> None:
    linked = LinkedFilter(name, SIZE)
    linked.prepare()
    assert linked.turn(0.0).frames == 1
    linked._graph.push(linked._pictures[0])
    sharp = linked._graph.pull().to_ndarray()[: SIZE[1]]
    assert (sharp != pictures(*SIZE)[0].y).mean() > 0.5
    linked.close()


def test_a_filter_that_pyav_lacks_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("av.filter.filters_available", set())
    with pytest.raises(NotHereError, match="no filter 'cas'"):
        LinkedFilter("cas", SIZE).prepare()


def test_opencvs_unsharp_mask_sharpens() -> None:
    soft = picture(1)
    soft.y[:] = np.repeat([100, 150], 32)
    sharp = peers._unsharp(soft)
    assert sharp.max() > 150
    assert sharp.min() < 100
    assert OpenCvUnsharp(SIZE).turn(0.0).frames == 1


def test_without_a_program_ffmpeg_its_rows_are_not_here() -> None:
    program = ProgramFilter("cas", SIZE, which=lambda _: None)
    with pytest.raises(NotHereError, match="no program 'ffmpeg'"):
        program.prepare()
    program.close()


def test_the_programs_cost_is_the_filters_run_less_the_null_filters() -> None:
    calls: list[Sequence[str]] = []

    def run(argv: Sequence[str]) -> Run:
        calls.append(argv)
        frames = int(argv[argv.index("-frames:v") + 1])
        each_s = 0.002 if argv[argv.index("-vf") + 1] == "null" else 0.012
        return Run(frames * each_s, frames * each_s)

    program = ProgramFilter("cas", SIZE, which=lambda _: "/fake/ffmpeg", run=run)
    program.prepare()
    sample = program.turn(2.4)
    file = Path(calls[0][calls[0].index("-i") + 1])
    assert file.stat().st_size == COUNT * SIZE[0] * SIZE[1] * 3 // 2
    program.close()
    assert sample.frames == 100
    assert sample.wall_s == 0.0
    assert sample.cpu_s == pytest.approx(1.0)
    assert calls[-2][calls[-2].index("-vf") + 1] == "cas=strength=0.5:planes=1"
    assert not file.exists()


def program_in(folder: Path, script: str) -> str:
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_a_program_is_run_and_its_cpu_time_told(tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done"
    used = peers.run_program([program_in(tmp_path, script), "-v"])
    assert used.cpu_s > 0
    assert used.wall_s > 0


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_a_program_that_fails_says_why_in_its_last_line(tmp_path: Path) -> None:
    program = program_in(tmp_path, "echo first >&2; echo No such filter >&2; exit 8")
    with pytest.raises(BackendError, match=r"failed: No such filter$"):
        peers.run_program([program])


@pytest.mark.parametrize("cores", [1, 4])
def test_one_core_has_one_ceiling_of_each_kind(cores: int) -> None:
    choice = suite.Choice(frozenset({"ceilings"}))
    names = [one.subject.name for one in suite.contenders([], choice, cores)]
    assert len(names) == len(set(names))
    assert sum("int8" in name for name in names) == (1 if cores == 1 else 2)


def test_networks_bring_their_ceilings_along() -> None:
    choice = suite.Choice(frozenset({"networks"}))
    found = suite.contenders(catalogue.every(), choice, 2)
    assert {one.subject.group for one in found} == {"ceilings", "networks"}


def test_subjects_are_told_apart_by_name_and_size(monkeypatch) -> None:
    monkeypatch.setattr(suite, "has_nvidia", lambda: True)
    found = suite.contenders(catalogue.every(), suite.Choice(), 2)
    subjects = [(one.subject.group, one.subject.name, one.subject.size) for one in found]
    assert len(subjects) == len(set(subjects))
    assert {group for group, _, _ in subjects} == set(suite.GROUPS)
