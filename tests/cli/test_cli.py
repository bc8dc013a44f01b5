"""The command `vcsharp`: exit codes, and one line for every error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
from rich.console import Console

import vcsharp
from vcsharp import cli
from vcsharp.commands import run
from vcsharp.console import setup_logging
from vcsharp.errors import SettingsError, SinkError, SourceError, VcsharpError

Command = Callable[[Sequence[str], Console], int]


def raising(error: BaseException) -> Command:
    def command(argv: Sequence[str], console: Console) -> int:
        setup_logging(console, "--debug" in argv)
        raise error

    return command


def call(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The real program in its own process."""
    return subprocess.run(
        [sys.executable, "-m", "vcsharp", *argv],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | variables,
        check=False,
    )


def test_the_command_alone_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    shown = capsys.readouterr()
    assert "exit codes:" in shown.out
    assert "examples:" in shown.out
    assert shown.err == ""
    assert max(map(len, shown.out.splitlines())) <= 80
    for name in cli.COMMANDS:
        assert f"\n  {name} " in shown.out
    assert cli.main(["--help"]) == 0
    assert capsys.readouterr().out == shown.out


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: vcsharp {command} ")


def test_the_version_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"vcsharp {vcsharp.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["rnu"], "no command is called 'rnu'; did you mean 'run'? (see vcsharp --help)"),
        (["--source", "0"], "the command comes first, then '--source': vcsharp run --source 0"),
        (["run", "--strength", "5"], "strength: Input should be less than or equal to 2 (got '5')"),
        (
            ["models", "--jsn"],
            "no flag is called '--jsn'; did you mean '--json'? (see vcsharp models --help)",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    argv: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    shown = capsys.readouterr()
    assert shown.err == f"vcsharp: {text}\n"
    assert shown.out == ""


def with_code(error: VcsharpError, code: int) -> VcsharpError:
    error.exit_code = code
    return error


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (SettingsError("bad"), 2, "vcsharp: bad\n"),
        (SettingsError("a: bad\nb: bad"), 2, "vcsharp: a: bad\nvcsharp: b: bad\n"),
        (SourceError("lost"), 1, "vcsharp: lost\n"),
        (with_code(SinkError("no [red]room[/red]"), 3), 3, "vcsharp: no [red]room[/red]\n"),
        (SourceError("'a\x1b[2Jb' " + "x" * 200), 1, f"vcsharp: 'a\\x1b[2Jb' {'x' * 200}\n"),
        (KeyboardInterrupt(), 130, ""),
        (
            RuntimeError("odd"),
            1,
            "vcsharp: internal error: RuntimeError: odd; run again with --debug for the details\n",
        ),
    ],
)
def test_an_error_becomes_a_line_and_an_exit_code(
    error: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "main", raising(error))
    assert cli.main(["run"]) == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize("error", [SourceError("lost"), RuntimeError("odd")])
def test_the_traceback_comes_with_debug_only(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "main", raising(error))
    cli.main(["run"])
    assert "Traceback" not in capsys.readouterr().err
    cli.main(["run", "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_importing_the_command_line_brings_no_heavy_library() -> None:
    code = "import sys, vcsharp.cli, vcsharp.commands.run; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    assert "vcsharp.settings" in loaded
    assert not {"torch", "onnxruntime", "cv2", "av"} & set(loaded)


def test_the_program_itself_ends_with_the_codes() -> None:
    good, bad = call("--version"), call("run", VCSHARP_SORCE="demo")
    assert (good.returncode, good.stderr) == (0, "")
    assert bad.returncode == 2
    assert bad.stdout == ""
    assert "did you mean 'VCSHARP_SOURCE'?" in bad.stderr
    assert bad.stderr.count("\n") == 1


@pytest.mark.parametrize("argv", [["--help"], ["devices", "--json"]])
def test_a_reader_that_goes_away_leaves_no_noise(argv: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "vcsharp", *argv],
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")
