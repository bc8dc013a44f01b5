"""`vcsharp ui` asks the run for its page, and opens or prints the address."""

from __future__ import annotations

import json
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.control.fake_runtime import FakeRuntime
from vcsharp import cli
from vcsharp.control.doors import Doors


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Addresses that a browser was told to open; there is a screen."""
    with tempfile.TemporaryDirectory(prefix="vcs-") as folder:  # a socket's path must be short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(Path(folder) / "config"))
        monkeypatch.setenv("DISPLAY", ":7")
        monkeypatch.delenv("VCSHARP_INSTANCE", raising=False)
        addresses: list[str] = []

        def note(url: str) -> bool:
            addresses.append(url)
            return True

        monkeypatch.setattr(webbrowser, "open", note)
        yield addresses


@pytest.fixture
def run(opened) -> Iterator[str]:
    """The instance name of a run."""
    doors = Doors(FakeRuntime(), "desk")
    doors.open()
    yield "desk"
    doors.close()


def test_the_page_is_opened_in_the_browser(run, opened, capsys):
    assert cli.main(["ui", "--instance", run]) == 0
    assert len(opened) == 1
    assert urlsplit(opened[0]).hostname == "127.0.0.1"
    with httpx.Client(follow_redirects=True) as browser:
        assert "<title>vcsharp" in browser.get(opened[0]).text
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "the page is open in the browser\n"


def test_the_address_is_printed_and_nothing_opened(run, opened, capsys):
    assert cli.main(["ui", "--instance", run, "--print"]) == 0
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")
    assert opened == []


def test_without_a_screen_the_address_is_printed(run, opened, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert cli.main(["ui", "--instance", run]) == 0
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")
    assert opened == []


def test_where_no_browser_starts_the_address_is_printed(run, monkeypatch, capsys):
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert cli.main(["ui", "--instance", run]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("http://127.0.0.1:")
    assert shown.err == "no browser could be started; open this address:\n"


def test_json_names_the_run_and_its_address(run, opened, monkeypatch, capsys):
    monkeypatch.setenv("VCSHARP_INSTANCE", run)
    assert cli.main(["ui", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["instance"] == run
    assert facts["url"].startswith("http://127.0.0.1:")
    assert opened == []


def test_asked_twice_the_page_is_the_same(run, capsys):
    for _ in range(2):
        assert cli.main(["ui", "--instance", run, "--print"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


# httpcore leaves a socket that could not be connected to the garbage collector
@pytest.mark.filterwarnings("ignore:.*socket.socket:pytest.PytestUnraisableExceptionWarning")
def test_without_a_run_it_says_so_in_one_line_and_exits_with_3(opened, capsys):
    assert cli.main(["ui"]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "vcsharp: no vcsharp runs here as 'default'; start one with: vcsharp run\n"
    )
    assert opened == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--instance", "../../etc"], "instance"),
        (["--prin"], "did you mean '--print'?"),
        (["default"], "no place for the argument 'default'"),
    ],
)
def test_bad_usage_is_one_line_and_exits_with_2(arguments, complaint, capsys):
    assert cli.main(["ui", *arguments]) == 2
    shown = capsys.readouterr()
    assert complaint in shown.err
    assert shown.err.count("\n") == 1


def test_the_help_explains_the_command(capsys):
    assert cli.main(["ui", "--help"]) == 0
    assert "control page of a running vcsharp" in capsys.readouterr().out
