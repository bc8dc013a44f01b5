"""What is measured at the start: the choice, the time it may take, and what is remembered."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from vcsharp.catalogue import Model
from vcsharp.engine import machine, setup, tuning
from vcsharp.engine.setup import Setup, cache_path, key, recall, remember
from vcsharp.engine.tuning import Wish, best
from vcsharp.engine.worker import choose

USUAL = Setup("int8", 512, 0)


@dataclass
class Simulated:
    """A machine on which set-ups take as long as they are said to."""

    monkeypatch: pytest.MonkeyPatch
    ms_per_mpx: dict[str, float]
    dear_tiles: dict[int, float] = field(default_factory=dict)
    inside: float = 1.0
    cores: int = 2
    now_s: float = 0.0
    made: list[Setup] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("monotonic", "perf_counter", "thread_time"):
            self.monkeypatch.setattr(time, name, lambda: self.now_s)
        self.monkeypatch.setattr(tuning, "usable_cores", lambda: self.cores)

    def make(self, wanted: Setup) -> tuning.Runner:
        self.made.append(wanted)

        def run(plane, plan, out) -> None:
            mpx = len(plan.tiles) * plan.tile_width * plan.tile_height / 1e6
            ms = mpx * self.ms_per_mpx[wanted.precision]
            ms *= self.dear_tiles.get(wanted.tile_px, 1.0)
            threads = wanted.threads or self.cores
            self.now_s += ms / threads * (self.inside if wanted.inside else 1.0) / 1e3

        return run

    def best(self, wish: Wish) -> Setup:
        return best(wish, self.make, lambda: self.now_s)[0]


def wish(**changes: object) -> Wish:
    facts: dict = {
        "precisions": ("int8", "fp32"), "tiles_px": (512, 256, 768), "threads": 0,
        "width": 1920, "height": 1080, "halo_px": 12, "multiple": 4,
    }  # fmt: skip
    return Wish(**(facts | changes))


def test_the_usual_set_up_stays_where_nothing_is_clearly_faster(monkeypatch):
    assert Simulated(monkeypatch, {"int8": 5, "fp32": 4.8}).best(wish()) == USUAL


def test_int8_is_left_where_it_is_slower(monkeypatch):
    assert Simulated(monkeypatch, {"int8": 5, "fp32": 4}).best(wish()) == Setup("fp32", 512, 0)


def test_tiles_that_fit_the_cache_are_taken(monkeypatch):
    subject = Simulated(monkeypatch, {"int8": 5, "fp32": 9}, dear_tiles={512: 2, 768: 3})
    assert subject.best(wish()) == Setup("int8", 256, 0)


def test_threads_inside_the_runtime_are_taken_where_they_win(monkeypatch):
    subject = Simulated(monkeypatch, {"int8": 5, "fp32": 9}, inside=0.8)
    assert subject.best(wish()) == Setup("int8", 512, 0, inside=True)
    one = Simulated(monkeypatch, {"int8": 5, "fp32": 9}, inside=0.8, cores=1)
    assert one.best(wish()) == USUAL
    assert all(not made.inside for made in one.made)


def test_what_the_settings_say_is_not_changed(monkeypatch):
    subject = Simulated(monkeypatch, {"int8": 50, "fp32": 1}, dear_tiles={512: 9})
    fixed = wish(precisions=("int8",), tiles_px=(512,), threads=3)
    assert subject.best(fixed) == Setup("int8", 512, 3)
    assert {made.threads for made in subject.made} == {1, 3}


@pytest.mark.parametrize("ms_per_mpx", [0.1, 5, 50, 400])
def test_it_ends_near_its_budget_on_slow_machines_too(monkeypatch, ms_per_mpx):
    subject = Simulated(monkeypatch, {"int8": ms_per_mpx, "fp32": ms_per_mpx / 2})
    subject.best(wish())
    longest_step_s = 6 * 2.3 * ms_per_mpx / 1e3  # what was begun is finished
    assert subject.now_s <= tuning.BUDGET_S + longest_step_s


def test_tiles_without_room_between_their_halos_are_not_tried(monkeypatch):
    subject = Simulated(monkeypatch, {"int8": 5, "fp32": 5})
    subject.best(wish(halo_px=140))
    assert {made.tile_px for made in subject.made} == {512, 768}


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_path()


def test_what_was_measured_is_remembered(cache: Path):
    assert recall("a") is None
    remember("a", Setup("fp32", 256, 2, inside=True), 7.5)
    remember("b", USUAL, 9.0)
    assert recall("a") == Setup("fp32", 256, 2, inside=True)
    assert recall("b") == USUAL
    assert [path.name for path in cache.parent.iterdir()] == ["tuning.json"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 2, "entries": {}}', '{"entries": {"a": {"tile_px": 1}}}', "\0",
     '{"entries": {' + ",".join(f'"{n}": 1' for n in range(9999)) + "}}"],
)  # fmt: skip
def test_a_damaged_file_is_measured_anew(cache: Path, text: str):
    cache.parent.mkdir()
    cache.write_text(text)
    assert recall("a") is None
    remember("a", USUAL, 1.0)
    assert recall("a") == USUAL


def test_a_folder_that_cannot_be_written_is_no_fault(cache: Path):
    cache.parent.write_text("a file where the folder should be")
    remember("a", USUAL, 1.0)
    assert recall("a") is None


def test_the_file_does_not_grow(cache: Path):
    for number in range(setup.MOST_ENTRIES + 5):
        remember(str(number), USUAL, 1.0)
    assert recall("4") is None
    assert recall("5") == USUAL


def test_another_processor_runtime_or_wish_is_measured_for_itself(
    random_model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    keys = {key(random_model, "auto", 0, 0), key(random_model, "auto", 2, 0)}
    keys |= {key(random_model, "int8", 0, 0), key(random_model, "auto", 0, 256)}
    (tmp_path / "cpuinfo").write_text("model name\t: Other\nflags\t\t: avx2 avx512_vnni\n")
    with monkeypatch.context() as patch:
        patch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
        keys.add(key(random_model, "auto", 0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(setup, "version", lambda _: "0.0")
        keys.add(key(random_model, "auto", 0, 0))
    assert len(keys) == 6
    assert key(random_model, "auto", 0, 0) in keys


def test_an_engine_takes_what_was_remembered(random_model: Model, cache: Path):
    path = str(random_model.folder)
    remember(key(random_model, "auto", 0, 0), Setup("fp32", 96, 1, inside=True), 1.0)
    with choose(path, "cpu", "auto", "auto", 0, 0) as engine:
        assert (engine.facts.precision, engine.facts.tile_px) == ("fp32", 96)
    with choose(path, "cpu", "auto", "int8", 0, 0) as engine:
        assert (engine.facts.precision, engine.facts.tile_px) == ("int8", 512)
    with choose(path, "cpu", "torch", "auto", 0, 0) as engine:
        assert (engine.facts.backend, engine.facts.tile_px) == ("torch", 512)


def test_a_real_measurement_is_made_once(
    random_model: Model, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tuning, "BUDGET_S", 0.01)
    tuning.tune(random_model, "auto", 1, 0)
    first = cache.read_text()
    found = recall(key(random_model, "auto", 1, 0))
    assert found is not None
    assert found.threads == 1
    monkeypatch.setattr(tuning, "best", lambda *_: pytest.fail("measured again"))
    assert tuning.tune(random_model, "auto", 1, 0) is False
    assert cache.read_text() == first


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_however_tiles_are_shared_the_bytes_are_the_same(random_model: Model, threads, inside):
    from vcsharp.engine.ort import OrtBackend
    from vcsharp.engine.worker import Engine

    plane = np.random.default_rng(0).integers(0, 256, (150, 220)).astype(np.uint8)
    usual = OrtBackend(random_model, "int8", "cpu", 2)
    other = OrtBackend(random_model, "int8", "cpu", threads, inside=inside)
    with Engine(usual, random_model, 96) as a, Engine(other, random_model, 96) as b:
        assert (a.sharpen_luma(plane, 1.0) == b.sharpen_luma(plane, 1.0)).all()
