"""`vcsharp ctl` and the run at the other end: watched for long, gone, mute, another user's."""

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

import pytest
from rich.console import Console

from vcsharp import cli
from vcsharp.commands import ctl
from vcsharp.control import client
from vcsharp.control.client import Client
from vcsharp.control.doors import Doors
from vcsharp.errors import VcsharpError

from .ctl_rig import done, refused


@pytest.fixture
def three_looks(monkeypatch) -> list[float]:
    """No waiting between two looks, and Ctrl-C after the third; the pauses that were wanted."""
    asleep: list[float] = []

    def sleep(seconds):
        asleep.append(seconds)
        if len(asleep) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    return asleep


def test_watching_prints_a_line_a_second_without_a_terminal(at_home, three_looks, capsys):
    assert cli.main(["ctl", "status", "--watch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all("live; 30.0 fps in, 29.9 fps out; delay 14 ms" in line for line in lines)
    three_looks.clear()
    assert cli.main(["ctl", "status", "--watch", "--json"]) == 0
    assert [json.loads(row)["pid"] for row in capsys.readouterr().out.splitlines()] == [4711] * 3


def test_watching_draws_in_place_on_a_terminal(at_home, three_looks, monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    monkeypatch.setattr(ctl, "stdout_console", lambda: terminal)
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
