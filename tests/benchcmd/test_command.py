"""The command: what it takes, what it prints where, how it ends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vcsharp import catalogue, cli
from vcsharp.bench import runner, suite
from vcsharp.bench.runner import Wish
from vcsharp.console import setup_logging

from .conftest import SIZE
from .plants import MACHINE, planted_outcome


@pytest.fixture(autouse=True)
def no_handler_left() -> Iterator[None]:
    yield
    setup_logging(Console(file=StringIO()))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Measuring is planted; what it was asked for is kept here, and its outcome can be set."""
    seen: dict[str, Any] = {"outcome": planted_outcome()}

    def measure(models, wish: Wish, tell, stopped):
        seen.update(models=[model.card.name for model in models], wish=wish)
        if "signal" in seen:
            os.kill(os.getpid(), seen["signal"])
            seen["stopped"] = stopped()
        return seen["outcome"]

    monkeypatch.setattr(runner, "measure", measure)
    return seen


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, small_scene: object) -> None:
    """Everything real, on pictures of 64x48 and products of 16x16."""
    monkeypatch.setattr(runner, "this_machine", lambda: MACHINE)
    monkeypatch.setattr(suite, "HD", SIZE)
    monkeypatch.setattr(suite, "SIZES", (SIZE, (32, 24)))
    monkeypatch.setattr(suite, "LARGEST", (80, 64))
    monkeypatch.setattr(suite, "SQUARISH", (40, 40))
    monkeypatch.setattr(suite, "CAMERAS", (1, 2))
    monkeypatch.setattr("vcsharp.bench.ceilings.EDGES", (16,))
    monkeypatch.setattr("vcsharp.bench.ceilings.TRIAL_S", 0.0)
    monkeypatch.setattr("vcsharp.bench.ceilings.COPY_BYTES", 1000)
    monkeypatch.setattr("vcsharp.bench.rounds.RESERVE_S", 0.0)
    monkeypatch.setattr("vcsharp.bench.rounds.PREPARING_SHARE", 1e9)
    monkeypatch.setattr("vcsharp.bench.rounds.OVERTIME_S", 1e9)


def test_by_default_all_tiers_and_groups_take_two_minutes(asked) -> None:
    assert cli.main(["bench"]) == 1  # the planted outcome has one that failed
    assert asked["models"] == [model.card.name for model in catalogue.tiers()]
    assert asked["wish"] == Wish(suite.Choice(), 110.0, 5)


def test_quick_takes_twenty_seconds(asked) -> None:
    cli.main(["bench", "--quick"])
    assert asked["wish"].seconds == 20.0
    assert asked["wish"].choice.quick


def test_groups_and_models_are_chosen_by_name(asked) -> None:
    cli.main(["bench", "--only", "peers", "--only", "nano", "--seconds", "7"])
    assert asked["wish"].choice.groups == {"peers"}
    assert asked["wish"].seconds == 7.0
    assert asked["models"] == ["nano"]


def test_a_folder_brings_another_model(asked, tmp_path: Path) -> None:
    card = catalogue.find("nano").card.model_copy(update={"name": "mine", "mac_per_px": 1})
    (tmp_path / "card.json").write_text(card.model_dump_json())
    cli.main(["bench", "--model", str(tmp_path)])
    assert asked["models"][0] == "mine"
    assert "nano" in asked["models"]


def test_a_variant_is_measured_where_it_is_named(asked, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    variant = tmp_path / "vcsharp" / "models" / "nano-crisp"
    variant.mkdir(parents=True)
    card = catalogue.find("nano").card.model_copy(update={"name": "nano-crisp"})
    (variant / "card.json").write_text(card.model_dump_json())
    assert "nano-crisp" in [model.card.name for model in catalogue.every()]
    cli.main(["bench", "--only", "nano-crisp"])
    assert asked["models"] == ["nano-crisp"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--only", "network"], "no group or model is called 'network'; did you mean 'networks'?"),
        (["--seconds", "soon"], "seconds: should be a number from 1 to 3600, got 'soon'"),
        (["--seconds", "nan"], "seconds: should be a number"),
        (["--seconds", "0.5"], "seconds: should be a number"),
        (["--plot", "no/such/folder/x.png"], "plot: 'no/such/folder/x.png' is no file"),
        (["--plot", "x.svg"], "plot: 'x.svg' should end in .png"),
        (["--json", "--markdown"], "not allowed with argument"),
        (["--model", "no/such/folder"], "no model in 'no/such/folder'"),
        (["--frob"], "no flag is called '--frob'"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(asked, argv, words: str, capsys) -> None:
    assert cli.main(["bench", *argv]) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert shown.out == ""


def test_json_is_all_that_stdout_gets(asked, capsys) -> None:
    cli.main(["bench", "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(asked["outcome"].as_dict()))


def test_markdown_goes_to_stdout(asked, capsys) -> None:
    cli.main(["bench", "--markdown"])
    assert capsys.readouterr().out.startswith("## Planted CPU")


def test_a_plot_is_written_beside_the_table(asked, tmp_path: Path, capsys) -> None:
    cli.main(["bench", "--plot", str(tmp_path / "bench.png")])
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "nano int8 ort cpu" in capsys.readouterr().out


def test_a_failure_is_status_1_and_no_failure_0(asked) -> None:
    assert cli.main(["bench"]) == 1
    asked["outcome"].failed.clear()
    assert cli.main(["bench"]) == 0


def test_ctrl_c_prints_what_was_measured_and_ends_with_130(asked, capsys) -> None:
    asked["signal"] = signal.SIGINT
    asked["outcome"] = planted_outcome(interrupted=True)
    assert cli.main(["bench"]) == 130
    assert asked["stopped"] is True
    shown = capsys.readouterr()
    assert "interrupted" in shown.out
    assert "nano int8 ort cpu" in shown.out


def test_help_explains_the_groups_without_measuring(capsys) -> None:
    assert cli.main(["bench", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(group in text for group in suite.GROUPS)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.usefixtures("tiny")
def test_a_whole_call_measures_every_group(capsys, monkeypatch) -> None:
    monkeypatch.setattr(suite, "has_nvidia", lambda: False)
    assert cli.main(["bench", "--json", "--seconds", "1", "--only", "nano"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {row["group"] for row in data["rows"]} == set(suite.GROUPS) - {"ceilings", "gpu"}
    assert {rate["unit"] for rate in data["ceilings"]} == {"GMAC/s", "GB/s"}
    assert data["run"]["rounds"] >= 1
    assert data["live"]["frames"] >= 1
    assert data["failed"] == []
    int8 = next(row for row in data["rows"] if row["name"] == "nano int8 ort cpu")
    assert int8["ceiling_percent"] > 0
    assert int8["rss_growth_mib"] >= 0


@pytest.mark.usefixtures("tiny")
def test_a_stop_midway_leaves_the_figures_of_the_turns_that_were(monkeypatch) -> None:
    turns: list[str] = []
    wish = Wish(suite.Choice(frozenset({"peers"})), 5.0, 100)
    found = runner.measure(
        [],
        wish,
        lambda step: turns.append(step.stage),
        lambda: sum(stage.startswith("round") for stage in turns) > 4,
    )
    assert found.circumstances.interrupted
    assert found.circumstances.rounds < 100
    assert {row.name for row in found.rows} >= {"opencv unsharp"}


@pytest.mark.usefixtures("tiny")
def test_without_any_model_the_rest_is_measured() -> None:
    found = runner.measure([], Wish(suite.Choice(), 1.0, 1))
    assert not found.of("networks")
    assert found.of("pipeline")
    assert found.live is None
