"""`vcsharp ctl` against a run that is faked behind doors that are not."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from vcsharp import cli
from vcsharp.commands import ctl
from vcsharp.control import client
from vcsharp.control.client import Client
from vcsharp.control.doors import Doors
from vcsharp.control.model import State
from vcsharp.errors import BackendError, SettingsError, VcsharpError

from .fake_runtime import picture

PASSWORD = "hunter2-planted"


@pytest.fixture
def at_home(monkeypatch, open_doors, open_folder, runtime, tmp_path):
    """The folder and the variables of a user whose run is the open one."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(open_folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def told(at_home, capsys):
    """Calls `vcsharp ctl`; returns (exit code, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["ctl", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def done(told, *arguments: str) -> str:
    code, out, err = told(*arguments)
    assert (code, err) == (0, "")
    return str(out)


def refused(told, *arguments: str) -> tuple[int, str]:
    """Exit code and the one line."""
    code, out, err = told(*arguments)
    assert out == ""
    assert err.startswith("vcsharp: ")
    return code, err.removeprefix("vcsharp: ").removesuffix("\n")


# ---- telling


@pytest.mark.parametrize("arguments", [[], ["status"]])
def test_status_tells_where_everything_stands(told, runtime, arguments):
    runtime.update(
        paused=True,
        source={"state": "lost", "words": "unplugged; plug it in", "reconnects": 2},
        faults=[{"at_s": 0, "where": "source", "what": "camera unplugged", "count": 3}],
    )
    out = done(told, *arguments)
    assert out.startswith("vcsharp 1.2.3, 'default', up 1 min, paused\n")
    for words in (
        "lost",
        "unplugged; plug it in",
        "came back 2 times",
        "nano on cpu (onnxruntime int8), strength 1",
        '/dev/video10 "vcsharp", a program looks',
        "1920x1080",
        "29.9 fps",
        "14 ms",
        "3 dropped, 1 repeated",
        "camera unplugged (3 times)",
    ):
        assert words in out
    assert "\x1b" not in out


def test_status_for_programs_is_the_whole_state(told, runtime):
    assert State.model_validate_json(done(told, "status", "--json")) == runtime.state()


def test_get_lists_the_options(told):
    assert done(told, "get") == (
        "source=demo\nmodel=nano\nstrength=1.0\ncompare=off\noverlay=preview\n"
    )
    assert json.loads(done(told, "get", "--json"))["strength"] == 1.0


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("strength", "1.0"),
        ("figures.fps_out", "29.94"),
        ("figures.latency_ms.p95", "18.9"),
        ("sinks.0.name", "virtual"),
        ("paused", "false"),
        ("sinks.0.wanted", "true"),
        ("source.state", "live"),
        ("options.model", "nano"),
        ("faults", ""),
    ],
)
def test_get_tells_one_value(told, name, line):
    assert done(told, "get", name).strip() == line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("strenght", "there is no 'strenght'; did you mean 'strength'?"),
        ("figures.fps", "there is no 'fps' in 'figures'"),
        ("sinks.7", "there is no '7' in 'sinks'"),
        ("strength.x", "there is no 'x' in 'strength'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(told, name, words):
    code, line = refused(told, "get", name)
    assert code == 2
    assert words in line


def test_the_choices_are_listed_with_the_current_one_marked(told, runtime):
    runtime.update(options={"source": "0"})
    rows = done(told, "sources").splitlines()
    assert rows[0].split() == ["*", "0", "C920", "Webcam", "MJPG", "1920x1080,", "1280x720"]
    assert "(held by zoom)" in rows[2]
    assert done(told, "models").splitlines()[0].startswith("*  nano")
    assert json.loads(done(told, "models", "--json"))[1]["model"] == "none"
    assert json.loads(done(told, "sources", "--json"))[2]["usable"] is False


def test_the_delay_is_a_number_for_scripts(told, runtime):
    assert done(told, "delay") == "14.2\n"
    assert json.loads(done(told, "delay", "--json")) == {"delay_ms": 14.2}
    runtime.update(delay_ms=0.0)
    code, line = refused(told, "delay")
    assert code == 1
    assert "no delay is measured yet" in line


# ---- changing


def test_set_changes_options_together(told, runtime):
    out = done(told, "set", "strength=1.5", "compare=split")
    assert out == "strength 1.5, compare split\n"
    assert runtime.calls == ["change"]
    assert runtime.state().options.strength == 1.5


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["strength", "1.3"], "strength", 1.3),
        (["model", "none"], "model", "none"),
        (["source", "1"], "source", "1"),
        (["source", "rtsp://camera/live?x=1"], "source", "rtsp://camera/live?x=1"),
        (["compare", "side"], "compare", "side"),
        (["overlay", "off"], "overlay", "off"),
        (["set", "source=http://camera/a=b"], "source", "http://camera/a=b"),
    ],
)
def test_the_short_forms(told, runtime, arguments, name, value):
    assert done(told, *arguments) == f"{name} {value}\n"
    assert getattr(runtime.state().options, name) == value
    assert json.loads(done(told, *arguments, "--json"))["options"][name] == value


def test_files_of_this_folder_are_named_in_full(told, runtime, tmp_path):
    """The run may have been started elsewhere."""
    (tmp_path / "talk.mp4").touch()
    (tmp_path / "demo").touch()
    done(told, "source", "talk.mp4")
    assert runtime.state().options.source == str(tmp_path / "talk.mp4")
    done(told, "source", "demo")
    assert runtime.state().options.source == "demo"
    (tmp_path / "mine").mkdir()
    _, line = refused(told, "model", "./mine")
    assert f"'{tmp_path}/mine'" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["strength", "5"], "strength: Input should be less than or equal to 2 (got '5')"),
        (["strength", "nan"], "(got 'nan')"),
        (["strength", "-1"], "(got '-1')"),
        (["compare", "splt"], "'off', 'split' or 'side' (got 'splt')"),
        (["set", "strength"], "'strength' has no value; write NAME=VALUE"),
        (["set", "stregth=1"], "'stregth' cannot be changed while running; did you mean"),
        (["set", "fps=30"], "'fps' cannot be changed while running; choose source, model,"),
        (["set"], "usage: vcsharp ctl set NAME=VALUE ..."),
        (["strength"], "usage: vcsharp ctl strength VALUE"),
        (["pause", "now"], "usage: vcsharp ctl pause"),
        (["stauts"], "no command 'stauts'; did you mean 'status'?"),
        (["pause", "--watch"], "--watch is for 'vcsharp ctl status'"),
        (["status", "--which", "both"], "--which is for 'vcsharp ctl snapshot'"),
        (["status", "--forse"], "did you mean '--force'?"),
        (["--instance", "../x"], "'../x' is no name of a run"),
    ],
)
def test_nonsense_is_refused_before_anybody_is_asked(told, runtime, arguments, words):
    code, line = refused(told, *arguments)
    assert code == 2
    assert words in line
    assert "\n" not in line
    assert runtime.calls == []


@pytest.mark.parametrize(
    ("error", "code"), [(SettingsError("no such camera"), 2), (BackendError("GPU gone"), 1)]
)
def test_a_refusal_of_the_run_is_told_as_it_is(told, runtime, error, code):
    runtime.refusal = error
    assert refused(told, "strength", "1") == (code, str(error))


def test_no_password_is_printed(told):
    for arguments in (["source", f"nowhere rtsp://me:{PASSWORD}@c"], ["source", PASSWORD * 400]):
        code, out, err = told(*arguments)
        assert code == 2
        assert f"me:{PASSWORD}" not in out + err


def test_pause_resume_and_reload(told, runtime):
    assert done(told, "pause").startswith("paused")
    assert runtime.state().paused
    assert done(told, "resume") == "resumed\n"
    assert not runtime.state().paused
    assert done(told, "reload") == "changed: strength; takes effect after a restart: fps\n"
    assert json.loads(done(told, "reload", "--json"))["needs_restart"] == ["fps"]


# ---- snapshots


def test_a_snapshot_is_written_and_never_over_another(told, runtime, tmp_path):
    runtime.show(picture(0))
    assert done(told, "snapshot", "a.png") == "written: a.png\n"
    first = (tmp_path / "a.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    code, line = refused(told, "snapshot", "a.png", "--which", "before")
    assert (code, line) == (2, "snapshot: 'a.png' exists; --force overwrites it")
    assert (tmp_path / "a.png").read_bytes() == first
    done(told, "snapshot", "a.png", "--which", "both", "--force")
    assert (tmp_path / "a.png").read_bytes() != first


@pytest.mark.parametrize("name", ["a.jpg", "png", "none/a.png"])
def test_a_snapshot_that_cannot_be_written_is_told(told, runtime, name):
    runtime.show(picture(0))
    code, line = refused(told, "snapshot", name)
    assert code in (1, 2)
    assert f"'{name}'" in line


# ---- watching


def test_watching_prints_a_line_a_second_without_a_terminal(at_home, monkeypatch, capsys):
    asleep = []

    def sleep(seconds):
        asleep.append(seconds)
        if len(asleep) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    assert cli.main(["ctl", "status", "--watch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("live; 30.0 fps in, 29.9 fps out; delay 14 ms" in line for line in lines)
    asleep.clear()
    assert cli.main(["ctl", "status", "--watch", "--json"]) == 0
    assert [json.loads(row)["pid"] for row in capsys.readouterr().out.splitlines()] == [4711] * 3


def test_watching_draws_in_place_on_a_terminal(at_home, monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    monkeypatch.setattr(ctl, "stdout_console", lambda: terminal)
    asleep = []

    def sleep(seconds):
        asleep.append(seconds)
        if len(asleep) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    assert cli.main(["ctl", "status", "--watch"]) == 0
    assert "\x1b[32mlive" in screen.getvalue()
    assert "\x1b[1A" in screen.getvalue()  # the cursor goes up again
    assert screen.getvalue().rindex("\x1b[?25h") > screen.getvalue().rindex("\x1b[?25l")


def test_ctrl_c_ends_watching_in_peace(at_home):
    """In a process of its own, for the signal is the point."""
    watching = subprocess.Popen(
        [sys.executable, "-m", "vcsharp", "ctl", "status", "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with watching:
        assert watching.stdout is not None
        assert "live" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (0, "")


# ---- nobody there


def test_without_a_run_it_says_how_to_start_one(told, run_folder):
    code, line = refused(told, "status")
    assert code == 3
    assert line == "no vcsharp runs here as 'default'; start one with: vcsharp run"
    code, line = refused(told, "pause", "--instance", "desk")
    assert code == 3
    assert line.endswith("start one with: vcsharp run --instance desk")


def test_without_a_run_of_that_name_another_is_named(told, run_folder, runtime):
    with socket.socket(socket.AF_UNIX) as dead:
        (run_folder / "vcsharp").mkdir(mode=0o700)
        dead.bind(str(run_folder / "vcsharp" / "attic.sock"))
    doors = Doors(runtime, "desk")
    doors.open()
    try:
        code, line = refused(told, "status")
        assert done(told, "get", "strength", "--instance", "desk") == "1.0\n"
    finally:
        doors.close()
    assert code == 3
    assert line == "no vcsharp runs here as 'default'; there is 'desk': --instance desk"


def test_the_settings_name_the_run(told, run_folder, runtime, monkeypatch, tmp_path):
    monkeypatch.setenv("VCSHARP_INSTANCE", "desk")
    assert "'desk'" in refused(told, "status")[1]
    assert "'attic'" in refused(told, "status", "--instance", "attic")[1]
    monkeypatch.delenv("VCSHARP_INSTANCE")
    (tmp_path / "vcsharp").mkdir()
    (tmp_path / "vcsharp" / "config.toml").write_text("strengthh = 1\n")
    assert "'default'" in refused(told, "status")[1]


def test_another_users_run_is_told_apart(told, monkeypatch):
    monkeypatch.setattr(client, "_lives", lambda _: False)  # it may not be connected to
    monkeypatch.setattr(os, "access", lambda *_: False)
    code, line = refused(told, "status")
    assert code == 3
    assert "belongs to another user" in line


def test_a_run_that_does_not_answer_is_told(at_home, run_folder, monkeypatch):
    monkeypatch.setattr(client, "ANSWER_TIMEOUT_S", 0.2)
    (run_folder / "vcsharp").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(run_folder / "vcsharp" / "default.sock"))
        mute.listen()
        with Client("default") as asking, pytest.raises(VcsharpError, match="not answer") as told:
            asking.state()
    assert told.value.exit_code == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "may have ended"),
        (b"no HTTP\r\n\r\n", "may have ended"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"version":9}', "is not of version"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n[]", "answered with status 500"),
    ],
)
def test_a_strange_answer_is_told(at_home, run_folder, answer, words):
    """The run ended amid an answer, or is of another version."""
    (run_folder / "vcsharp").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as strange:
        strange.bind(str(run_folder / "vcsharp" / "default.sock"))
        strange.listen()

        def give_answer():
            strange.accept()[0].close()  # whether anybody is there
            connection, _ = strange.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=give_answer)
        thread.start()
        with Client("default") as asking, pytest.raises(VcsharpError, match=words):
            asking.state()
        thread.join()


def test_the_page_is_opened_through_the_socket(at_home, open_doors):
    with Client("default") as asking:
        assert asking.page_url() == open_doors.page_url()


def test_help_and_manual_name_every_command(told):
    manual = (Path(__file__).parents[2] / "docs" / "control.md").read_text("utf-8")
    code, out, _ = told("--help")
    assert code == 0
    assert all(name in out for name in ctl._COMMANDS)
    assert all(f"vcsharp ctl {name}" in manual for name in ctl._COMMANDS)
