"""A live run in a process of its own: steered by its socket, its settings file, its signals."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from .process import ask, command, environment, runtime_folder, started, vcsharp, wait_for_state

LIVE = ("--source", "demo", "--sink", "preview", "--size", "320x180", "--open-browser", "no")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs UNIX sockets")
def test_systemd_is_told_of_the_first_frame_of_progress_and_of_the_end(tmp_path: Path) -> None:
    environment(tmp_path)  # makes the folder
    address = runtime_folder(tmp_path) / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(address))
        listener.settimeout(60)
        process = subprocess.Popen(
            command(*LIVE),
            cwd=tmp_path,
            env=environment(tmp_path) | {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "400000"},
            stderr=subprocess.DEVNULL,
        )
        try:
            said = until(listener, "READY=1")
            assert "WATCHDOG=1" not in "".join(said[:-1])
            until(listener, "WATCHDOG=1")
            until(listener, "WATCHDOG=1")
            process.send_signal(signal.SIGHUP)
            until(listener, "RELOADING=1")
            until(listener, "READY=1")
            process.send_signal(signal.SIGTERM)
            until(listener, "STOPPING=1")
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            address.unlink()


def until(listener: socket.socket, word: str) -> list[str]:
    """Datagrams up to the first that says `word`."""
    said: list[str] = []
    while not said or word not in said[-1].splitlines():
        said.append(listener.recv(4096).decode())
        assert len(said) < 1000
    return said


def test_a_conversion_can_be_watched_but_not_led_astray(tmp_path: Path) -> None:
    arguments = ("--source", "demo", "--sink", "null", "--size", "640x360")
    with started(tmp_path, *arguments) as (process, _):
        state = wait_for_state(tmp_path, lambda now: now["figures"]["frames_out"] > 0)
        assert state["source"]["state"] == "live"
        changed = ask(tmp_path, "PATCH", "/api/options", {"strength": 0.5})
        assert changed["options"]["strength"] == 0.5
        with pytest.raises(httpx.HTTPStatusError):
            ask(tmp_path, "POST", "/api/pause")
        time.sleep(0.1)
        assert not ask(tmp_path, "GET", "/api/state")["paused"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


class Run(NamedTuple):
    folder: Path
    process: subprocess.Popen[str]

    def configure(self, text: str) -> None:
        (self.folder / "config" / "vcsharp" / "config.toml").write_text(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One for all tests that steer, for it takes seconds; they stand last, for it is busy."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "config" / "vcsharp").mkdir(parents=True, mode=0o700)
    (folder / "config" / "vcsharp" / "config.toml").write_text("strength = 0.5\n")
    with started(folder, *LIVE) as (process, _):
        first = wait_for_state(folder, lambda now: now["figures"]["frames_out"] > 5)
        assert first["options"]["strength"] == 0.5
        yield Run(folder, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not (runtime_folder(folder) / "vcsharp" / "default.sock").exists()


def test_it_is_steered_by_its_socket(run: Run) -> None:
    socket_file = runtime_folder(run.folder) / "vcsharp" / "default.sock"
    assert stat.S_IMODE(socket_file.stat().st_mode) & 0o077 == 0
    state = ask(run.folder, "PATCH", "/api/options", {"strength": 1.7, "compare": "side"})
    assert (state["options"]["strength"], state["options"]["compare"]) == (1.7, "side")
    ask(run.folder, "POST", "/api/pause")
    wait_for_state(run.folder, lambda now: now["source"]["state"] == "paused")
    released = wait_for_state(run.folder, lambda now: now["engine"]["state"] == "released")
    assert released["paused"]
    ask(run.folder, "POST", "/api/resume")
    before = released["figures"]["frames_out"]
    back = wait_for_state(run.folder, lambda now: now["figures"]["frames_out"] > before + 5)
    assert back["source"]["state"] == "live"
    assert run.process.poll() is None


def test_a_changed_settings_file_is_read_again(run: Run) -> None:
    run.configure("strength = 1.25\nfps = 20.0\n")
    run.process.send_signal(signal.SIGHUP)
    wait_for_state(run.folder, lambda now: now["options"]["strength"] == 1.25)
    run.configure("strength = 99\n")
    run.process.send_signal(signal.SIGHUP)
    state = wait_for_state(run.folder, lambda now: bool(now["faults"]))
    assert "strength" in state["faults"][0]["what"]
    assert state["options"]["strength"] == 1.25
    run.configure("strength = 1.25\n")  # the next test reads it too


def test_a_second_run_of_the_same_name_does_its_job_without_the_socket(run: Run) -> None:
    status, text = vcsharp(run.folder, "--source", "demo", "--sink", "null", "--frames", "3")
    assert status == 0
    assert "--instance" in text
    assert ask(run.folder, "GET", "/api/state")["pid"] == run.process.pid
