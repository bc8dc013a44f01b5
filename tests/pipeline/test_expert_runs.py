"""Experts in a whole run: chosen, pinned or left alone, and told of."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.engine.cast import gate_table, write_model
from vcsharp import catalogue, live

from .clips import write_clip
from .process import started, vcsharp, wait_for_state

CALL = "picture looks starved by a call's bit rate; using random's expert 'call'"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose gate takes every picture for a call."""
    table = gate_table() | {"gains_db": {"": [0, 0, 0], "call": [1, 1, 1]}}
    return write_model(tmp_path_factory.mktemp("model"), table).folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=5)


def converted(folder: Path, clip: Path, model: Path, expert: str) -> tuple[str, str, dict]:
    """(digests, what was said, statistics) of a run."""
    sink = ["--sink", f"digest:{expert}.txt", "--stats", "s.json"]
    status, text = vcsharp(
        folder, "--source", clip, *sink, "--model", model, "--expert", expert, "--device", "cpu"
    )
    assert status == 0, text
    figures = json.loads((folder / "s.json").read_text())
    return (folder / f"{expert}.txt").read_text(), text, figures


def test_a_conversion_takes_the_expert_that_the_picture_is_for(tmp_path, clip, model) -> None:
    auto, said, figures = converted(tmp_path, clip, model, "auto")
    assert said.count(CALL) == 1
    assert (figures["model"], figures["expert"]) == ("random", "call")
    pinned, said, figures = converted(tmp_path, clip, model, "call")
    assert "engine: random/call on cpu" in said
    assert CALL not in said
    assert (pinned, figures["expert"]) == (auto, "call")
    off, said, figures = converted(tmp_path, clip, model, "off")
    assert off != auto
    assert (CALL in said, figures["expert"]) == (False, "")


def test_a_live_run_tells_who_sharpens(tmp_path, model) -> None:
    wish = ("--source", "demo", "--sink", "preview", "--size", "320x180", "--open-browser", "no")
    with started(tmp_path, *wish, "--model", model) as (process, _):
        state = wait_for_state(tmp_path, lambda now: now["engine"]["expert"] == "call")
        assert (state["engine"]["model"], state["engine"]["state"]) == ("random", "ready")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert CALL in process.stderr.read()
        assert process.wait(20) == 0


def test_an_expert_that_is_not_there_is_named_with_those_that_are(tmp_path, clip, model) -> None:
    wish = ("--source", clip, "--sink", "null", "--model", model, "--expert", "half")
    status, text = vcsharp(tmp_path, *wish)
    assert status == 2
    assert "expert: model 'random' has no expert 'half'; its experts are: call, soft" in text


def test_every_shipped_expert_is_told_in_words():
    shipped = [m for m in catalogue.every() if m.folder.parent == catalogue.packaged_folder()]
    kinds = {kind for model in shipped for kind in model.card.experts}
    assert kinds >= {"half", "soft", "mjpeg", "call"}
    assert kinds <= set(live.DAMAGE)
