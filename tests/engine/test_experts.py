"""Experts: who is chosen, who is in memory, and that each does what it would do alone."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcsharp.catalogue import Model, load
from vcsharp.engine.experts import AGREEING, LOOK_EVERY, MOST_ALIVE, Experts, Watch
from vcsharp.engine.gate import Gate
from vcsharp.engine.reuse import Tally
from vcsharp.engine.worker import Engine, choose
from vcsharp.errors import BackendError, BackendUnavailableError, ModelError, SettingsError
from vcsharp.frame import Bytes, Frame, black

from .cast import KINDS, Adding, blurred, entry, flat, loud, write_model

SLOWEST = LOOK_EVERY * AGREEING
"""Frames until a stream that turned into something else is taken for that."""


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Model:
    return write_model(tmp_path_factory.mktemp("cast"))


@pytest.fixture
def own(tmp_path) -> Model:
    """One that may be spoilt."""
    return write_model(tmp_path)


def made(model: Model, expert: str = "auto", backend: str = "ort", threshold=None) -> Engine:
    precision = "int8" if backend == "ort" else "fp32"
    return choose(str(model.folder), "cpu", backend, precision, 1, 96, threshold, expert)


def frame(plane: Bytes) -> Frame:
    result = black(plane.shape[1], plane.shape[0])
    result.y[:] = plane
    return result


def adding(look=None) -> tuple[Engine, list[str]]:
    alive: list[str] = []
    experts = Experts(lambda name: Adding(name, alive))
    if look is not None:
        experts.follow(look)
    return Engine(experts, None, 64), alive


def by_level(plane: Bytes) -> str:
    """The first sample says for whom the plane is."""
    return ("", "a", "bb", "ccc")[plane[0, 0] // 50]


def levels(*numbers: int) -> list[Bytes]:
    return [np.full((64, 64), 50 * number, np.uint8) for number in numbers]


# Who is chosen.


def plainly(names: list[str]) -> list[str]:
    """What `Watch` says, picture for picture, from all that could have been seen."""
    said = [names[0]]
    for now in range(1, len(names)):
        last = names[now : max(0, now - LOOK_EVERY * AGREEING) : -LOOK_EVERY]
        agreed = now % LOOK_EVERY == 0 and len(last) == AGREEING and len(set(last)) == 1
        said.append(last[0] if agreed else said[-1])
    return said


runs = st.lists(
    st.tuples(st.sampled_from(["", "half", "call"]), st.integers(1, 3 * LOOK_EVERY)),
    min_size=1,
    max_size=12,
)


@given(runs)
def test_a_stream_changes_when_several_looks_agree(story):
    names = [name for name, count in story for _ in range(count)]
    planes = [np.full((1, 2), divmod(number, 256), np.uint8) for number in range(len(names))]
    watch = Watch(lambda luma: names[256 * int(luma[0, 0]) + int(luma[0, 1])])
    assert [watch.see(plane) for plane in planes] == plainly(names)


def test_a_passing_object_changes_nothing_and_looks_are_rare():
    seen: list[str] = []

    def look(luma: Bytes) -> str:
        seen.append(by_level(luma))
        return seen[-1]

    watch = Watch(look)
    story = [1] * 40 + [2] * (SLOWEST - 2 * LOOK_EVERY) + [1] * 200
    assert {watch.see(plane) for plane in levels(*story)} == {"a"}
    assert len(seen) == 1 + (len(story) - 1) // LOOK_EVERY
    assert "bb" in seen


def test_the_gate_tells_the_planes_of_these_tests_apart(model):
    gate = Gate.load(model.folder / "gate.json")
    assert [gate.choose(plane) for plane in (flat(), blurred(), loud())] == ["", "soft", "call"]


def test_what_is_not_sharpened_is_not_looked_at():
    engine, _ = adding(lambda _: pytest.fail("was looked at"))
    plane = loud(64, 64)
    engine.process(frame(plane).replaced(notice="no camera"))
    engine.share = 0.0
    engine.process(frame(plane))
    engine.strength = 0.0
    engine.process(frame(plane))
    assert (engine.sharpen_luma(plane, 0.0) == plane).all()
    engine.warm_up(64, 64)
    engine.check()


# Each does what it would do alone.


@pytest.mark.parametrize("backend", ["ort", "torch"])
@pytest.mark.parametrize(("name", "make"), [("", flat), ("soft", blurred), ("call", loud)])
def test_an_experts_bytes_are_those_of_its_weights_alone(model, backend, name, make):
    with (
        made(model, "auto", backend) as auto,
        made(model, name or "off", backend) as pinned,
    ):
        plane = make()
        expected = pinned.sharpen_luma(plane, 1.0)
        assert (auto.sharpen_luma(plane, 1.0) == expected).all()
        assert (auto.process(frame(plane)).y == expected).all()
        assert auto.facts.expert == pinned.facts.expert == name
        assert auto.facts.title == (f"random/{name}" if name else "random")


@pytest.mark.parametrize("backend", ["ort", "torch"])
def test_the_weights_of_these_tests_differ(model, backend):
    outs = []
    for name in ("off", *KINDS):
        with made(model, name, backend) as engine:
            outs.append(engine.sharpen_luma(loud(), 1.0).tobytes())
    assert len(set(outs)) == len(outs)


@pytest.mark.parametrize("backend", ["ort", "torch"])
def test_a_batch_in_groups_equals_its_planes_one_by_one(model, backend):
    planes = [loud(), flat(), blurred(), loud(seed=1), blurred(seed=1)]
    with made(model, "auto", backend) as engine:
        got = engine.sharpen_batch(planes, 1.0)
        for one, plane in zip(got, planes, strict=True):
            worst = np.abs(one.astype(int) - engine.sharpen_luma(plane, 1.0)).max()
            assert worst <= (backend == "torch")


def test_a_stream_follows_and_single_pictures_have_no_memory(model):
    told: list[str] = []
    with made(model) as engine, made(model, "call") as call, made(model, "soft") as soft:
        engine.on_expert = lambda facts: told.append(facts.title)
        outs = [engine.process(frame(loud())) for _ in range(2)]
        outs += [engine.process(frame(blurred())) for _ in range(SLOWEST)]
        wanted = soft.sharpen_luma(blurred(), 1.0)
        change = next(i for i, out in enumerate(outs) if (out.y == wanted).all())
        assert (outs[0].y == call.sharpen_luma(loud(), 1.0)).all()
        assert (outs[change - 1].y == call.sharpen_luma(blurred(), 1.0)).all()
        assert change == SLOWEST
        assert told == ["random/call", "random/soft"]
        engine.sharpen_luma(loud(), 1.0)
        assert (engine.process(frame(blurred())).y == outs[-1].y).all()


@pytest.mark.parametrize("threshold", [0, 4])
def test_no_tile_is_kept_from_one_expert_to_the_next(model, threshold):
    tallies: list[Tally] = []
    story = ["call"] * 40 + ["soft"] * (SLOWEST + 10)
    looks = iter(story[::LOOK_EVERY])
    with made(model, "off", threshold=threshold) as engine, made(model, "soft") as soft:
        engine._experts.follow(lambda _: next(looks))
        engine.on_tiles = tallies.append
        last = [engine.process(frame(blurred())) for _ in story][-1]
        assert (last.y == soft.sharpen_luma(blurred(), 1.0)).all()
        tiles = len(engine.plan(160, 96).tiles)
    assert [index for index, t in enumerate(tallies) if t.computed == tiles] == [0, 120]


# Who is in memory.


def test_two_at_most_are_in_memory_and_none_after_the_end():
    engine, alive = adding(by_level)
    rng = np.random.default_rng(2)
    for number in rng.integers(0, 4, 60):
        (plane,) = levels(number)
        assert (engine.sharpen_luma(plane, 1.0) == plane + number).all()
        assert len(alive) <= MOST_ALIVE
        assert len(set(alive)) == len(alive)
    engine.close()
    engine.close()
    assert alive == []


def test_the_one_before_stays_for_frames_that_are_under_way():
    engine, alive = adding(by_level)
    (plane,) = levels(1)
    pending = engine.submit(frame(plane))
    for other in levels(2, 3, 0, 2):
        engine.sharpen_luma(other, 1.0)
    assert "a" in alive
    assert (engine.collect(pending).y == plane + 1).all()
    engine.sharpen_luma(levels(3)[0], 1.0)
    engine.sharpen_luma(levels(0)[0], 1.0)
    assert "a" not in alive
    assert len(alive) <= MOST_ALIVE
    engine.close()


def test_frames_under_way_at_a_change_are_those_of_their_own_expert(model):
    planes = [loud()] * 30 + [blurred()] * SLOWEST
    with made(model, "auto", "torch") as engine, made(model, "auto", "torch") as slow:
        assert engine.depth > 1
        got = engine.process_many(map(frame, planes))
        for one, plane in zip(got, planes, strict=True):
            assert (one.y == slow.process(frame(plane)).y).all()
        assert engine.facts.expert == "soft"


# What cannot be used.


@pytest.mark.parametrize("spoil", ["missing", "changed", "not a network", "unknown"])
def test_an_expert_that_cannot_be_used_leaves_the_student(own, spoil, caplog):
    path = own.folder / "call.int8.onnx"
    text = (own.folder / "card.json").read_text("utf-8")
    if spoil == "missing":
        path.unlink()
    elif spoil == "unknown":
        (own.folder / "card.json").write_text(text.replace('"call":', '"mjpeg":'), "utf-8")
    else:
        before = entry(path)["sha256"]
        path.write_bytes(path.read_bytes()[::-1])
        if spoil == "not a network":
            text = text.replace(before, entry(path)["sha256"])
            (own.folder / "card.json").write_text(text, "utf-8")
    with made(load(own.folder)) as engine, made(own, "off") as student:
        for plane in [loud(), loud(seed=1), loud()]:
            assert (engine.sharpen_luma(plane, 1.0) == student.sharpen_luma(plane, 1.0)).all()
            assert (engine.process(frame(plane)).y == student.process(frame(plane)).y).all()
        assert engine.facts.expert == ""
        warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert len(warnings) == 1
        assert "'random' goes on without its expert 'call'" in warnings[0]
        assert "\n" not in warnings[0]


def test_an_expert_that_makes_something_else_of_grey_leaves_the_student(caplog):
    alive: list[str] = []
    experts = Experts(lambda name: Adding(name * 9, alive))  # as many levels as are insane
    experts.follow(by_level)
    with Engine(experts, None, 64) as engine:
        (plane,) = levels(3)
        assert (engine.sharpen_luma(plane, 1.0) == plane).all()
        assert alive == [""]
    assert "turns plain grey into something else" in caplog.text


def test_a_pinned_expert_that_is_damaged_is_an_error_at_the_start(own):
    (own.folder / "call.int8.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"call\.int8\.onnx.* does not match"):
        made(own, "call")


def test_a_damaged_gate_leaves_the_student(own, caplog):
    (own.folder / "gate.json").write_text("{}", "utf-8")
    with made(own) as engine:
        engine.process(frame(loud()))
        assert engine.facts.expert == ""
    assert caplog.text.count("'random' goes on without its experts") == 1
    with made(own, "call") as pinned:
        assert pinned.facts.expert == "call"  # nobody has to choose


def test_a_student_that_cannot_be_loaded_again_is_a_fault_of_the_engine():
    alive: list[str] = []
    broken: list[str] = []

    def make(name: str) -> Adding:
        if name in broken:
            raise BackendUnavailableError("no memory")
        return Adding(name, alive)

    experts = Experts(make, of="nano")
    experts.follow(by_level)
    with Engine(experts, None, 64) as engine:
        for plane in levels(1, 2):
            engine.sharpen_luma(plane, 1.0)
        broken += ["", "ccc"]
        with pytest.raises(BackendError, match="cannot load 'nano' again: no memory"):
            engine.sharpen_luma(levels(3)[0], 1.0)


def test_an_unknown_expert_is_refused_with_the_known_ones(model):
    with pytest.raises(SettingsError, match=r"no expert 'half'; its experts are: call, soft"):
        made(model, "half")
    with choose("none", "cpu", "auto", "auto", 0, 0, None, "half") as engine:
        assert engine.facts.title == "none"  # no network, no expert
