"""A password that is planted in an address is shown nowhere, whatever goes wrong."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from tests.peers import answering
from tests.pipeline.process import ask, command, environment, wait_for_state
from tests.sources.conftest import RtspServer
from vcsharp import cli, proctitle
from vcsharp.console import setup_logging
from vcsharp.errors import SourceError
from vcsharp.sources.rtsp import StreamSource

SECRET = "planted-5ecret"
LOGIN = f"anna:{SECRET}@"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [name for name in os.environ if name.upper().startswith("VCSHARP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield
    setup_logging(Console(file=StringIO()))


@pytest.fixture
def rtsp() -> Iterator[RtspServer]:
    server = RtspServer()
    yield server
    server.kill()


@contextmanager
def running(tmp_path: Path, *arguments: object, **variables: str):
    """A run, and a file that takes all it says."""
    told = tmp_path / "told.txt"
    with told.open("w") as file:
        process = subprocess.Popen(
            command("--debug", "--sink", "null", *arguments),
            cwd=tmp_path,
            env=environment(tmp_path) | variables,
            stdout=file,
            stderr=file,
        )
        try:
            yield process, told
        finally:
            process.kill()
            process.wait()


def hidden(text: str) -> bool:
    """No part of the login is there, also not with its special characters written otherwise."""
    return not any(word in text for word in (SECRET, "5ecret", "planted", "anna"))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def faulty(kind: str, rtsp: RtspServer) -> Iterator[str]:
    """The address of a camera that is at fault."""
    if kind in ("wrong password", "no such path", "cut off"):
        more = ("--user", "anna", "--password", "another") if kind == "wrong password" else ()
        rtsp.start(*more, *(("--die-after", "20") if kind == "cut off" else ()))
        yield rtsp.url(LOGIN, path="other" if kind == "no such path" else "live")
    elif kind == "refused":
        yield f"rtsp://{LOGIN}127.0.0.1:{closed_port()}/live"
    elif kind == "no such host":
        yield f"rtsp://{LOGIN}no-such-host.invalid/live"
    elif kind == "badly written":
        yield f"rtsp://anna:{SECRET}/x:y@127.0.0.1:{closed_port()}:9/live"
    else:
        with answering(b"HTTP/1.1 400 Bad\r\n\r\n" if kind == "something else" else None) as port:
            yield f"rtsp://{LOGIN}127.0.0.1:{port}/live?password={SECRET}"


FAULTS = (
    "refused",
    "wrong password",
    "no such path",
    "no such host",
    "badly written",
    "something else",
    "silent",
    "cut off",
)


@pytest.mark.parametrize("kind", FAULTS)
def test_no_fault_of_a_camera_tells_its_password(rtsp, caplog, kind):
    caplog.set_level(logging.DEBUG)
    with faulty(kind, rtsp) as address:
        source = StreamSource(address, open_timeout_s=2, read_timeout_s=2)
        with pytest.raises(SourceError) as caught:
            read_to_the_end(source)
    told = [str(caught.value), repr(caught.value), caught.value.title, source.name, caplog.text]
    assert "***" in told[0]
    assert hidden("".join(told)), told
    assert caught.value.__cause__ is None  # FFmpeg's own words hold the address


def read_to_the_end(source: StreamSource) -> None:
    try:
        source.open()
        while source.read() is not None:
            pass
    finally:
        source.close()


@pytest.mark.parametrize("kind", ["wrong password", "cut off"])
def test_no_run_that_fails_tells_the_password(tmp_path, rtsp, kind):
    figures = tmp_path / "figures.json"
    with (
        faulty(kind, rtsp) as address,
        running(tmp_path, "--source", address, "--stats", figures, "--seconds", 4) as run,
    ):
        process, told = run
        process.wait(timeout=120)
        text = told.read_text()
    assert "***" in text, text  # the address was there to be told
    assert hidden(text), text
    assert hidden(figures.read_text())


@LINUX
def test_ps_shows_the_command_without_the_password(tmp_path):
    with (
        answering(None) as port,
        running(tmp_path, "--source", f"rtsp://{LOGIN}127.0.0.1:{port}/live") as (process, told),
    ):
        wait_for(lambda: "opening" in told.read_text())
        proc = Path(f"/proc/{process.pid}")
        words = (proc / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        listed = ""
        if shutil.which("ps"):
            listed = subprocess.check_output(["ps", "axww", "-o", "args="], text=True)
        assert words[1:4] == [b"-m", b"vcsharp", b"run"]  # still whole, and still by name
        assert words[-1] == f"rtsp://***@127.0.0.1:{port}/live".encode()
        assert hidden(listed.replace(__file__, ""))
        assert b"PATH=" in (proc / "environ").read_bytes()


@LINUX
@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["rtsp://a@cam"], ["rtsp://***@c"]),  # longer than it was: cut off at the end
        (["x", "--source=rtsp://u:p w'd@cam/", "end"], ["x", "--source=rtsp://***@cam/", "end"]),
        (["http://cam/?token=abcdef&x=1"], ["http://cam/?token=***&x=1"]),
        (["rtsp://u:\udcff\udcfe@cam", "ü"], ["rtsp://***@cam", "ü"]),
        (["rtsp://cam/live", "me@home"], ["rtsp://cam/live", "me@home"]),
    ],
)
def test_only_the_credentials_of_a_command_line_are_written_over(given, shown):
    code = (
        "from vcsharp.proctitle import hide_passwords; import sys, pathlib;"
        "assert hide_passwords();"
        "sys.stdout.buffer.write(pathlib.Path('/proc/self/cmdline').read_bytes())"
    )
    out = subprocess.check_output([sys.executable, "-c", code, *given])
    assert out.rstrip(b"\0").split(b"\0")[3:] == [os.fsencode(word) for word in shown]


@LINUX
def test_where_a_command_line_cannot_be_written_over_that_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["vcsharp", f"rtsp://{LOGIN}cam"])
    assert not proctitle.hide_passwords(tmp_path)
    (tmp_path / "cmdline").write_bytes(b"another\0")
    (tmp_path / "stat").write_text("1 (odd) name) S " + " ".join("0" for _ in range(50)))
    (tmp_path / "mem").write_bytes(bytes(100))
    assert not proctitle.hide_passwords(tmp_path)
    monkeypatch.setattr(sys, "orig_argv", ["vcsharp", "rtsp://cam"])
    assert proctitle.hide_passwords(tmp_path / "nothing is asked where nothing is to be hidden")


def test_a_run_tells_its_state_and_figures_without_the_password(tmp_path, rtsp):
    rtsp.start("--user", "anna", "--password", SECRET)
    with running(tmp_path, "--source", rtsp.url(LOGIN), "--metrics-port", 0) as (process, told):
        wait_for(lambda: "metrics: http" in told.read_text())  # the socket is open by then
        live = wait_for_state(tmp_path, lambda state: state["source"]["state"] == "live")
        assert live["options"]["source"] == rtsp.url("***@")
        found = re.search(r"metrics: (http\S+)", told.read_text())
        assert found is not None
        with httpx.Client(trust_env=False) as client:
            metrics = client.get(found[1]).text
        assert "vcsharp_frames_in_total" in metrics
        rtsp.kill()
        lost = wait_for_state(tmp_path, lambda state: bool(state["faults"]))
        refused = ask_for(tmp_path, f"gopher://{LOGIN}cam/")
        ask(tmp_path, "PATCH", "/api/options", {"source": f"rtsp://{LOGIN}127.0.0.1:1/x"})
        changed = wait_for_state(tmp_path, lambda state: ":1/x" in str(state["faults"]))
        reloaded = ask(tmp_path, "POST", "/api/reload")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        for answer in (live, metrics, lost, refused, changed, reloaded, told.read_text()):
            assert hidden(json.dumps(answer)), answer


def ask_for(tmp_path: Path, source: str) -> str:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        ask(tmp_path, "PATCH", "/api/options", {"source": source})
    text: str = caught.value.response.text
    assert "***" in text
    return text


@pytest.mark.skipif(not hasattr(signal, "SIGABRT"), reason="POSIX")
def test_a_dying_process_leaves_no_password_in_its_last_words(tmp_path):
    with (
        answering(None) as port,
        running(
            tmp_path,
            "--source",
            f"rtsp://{LOGIN}127.0.0.1:{port}/live",
            PYTHONFAULTHANDLER="1",
        ) as (process, told),
    ):
        wait_for(lambda: "opening" in told.read_text())
        # Up and waiting: Python may crash while it tells of threads that are still being started.
        wait_for_state(tmp_path, lambda state: state["source"]["state"] != "live")
        process.send_signal(signal.SIGABRT)
        assert process.wait(timeout=60) == -signal.SIGABRT
        text = told.read_text()
    assert "Fatal Python error: Aborted" in text
    assert hidden(text)


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_fault_of_the_program_itself_is_told_without_the_password(monkeypatch, capfd, debug):
    def fails(*_: object) -> int:
        logging.getLogger("vcsharp.daemon").warning("about to fail at rtsp://%scam/", LOGIN)
        raise RuntimeError(f"no idea what to do with 'rtsp://{LOGIN}cam/'")

    monkeypatch.setattr("vcsharp.daemon.run", fails)
    address = f"rtsp://{LOGIN}cam/?token={SECRET}"
    assert cli.main(["run", "--source", address, "--sink", "null", *debug]) == 1
    text = capfd.readouterr().err
    assert "internal error: RuntimeError" in text
    assert ("Traceback" in text) == bool(debug)
    assert "warning: about to fail at rtsp://***@cam/" in text
    assert hidden(text)


@pytest.mark.parametrize(
    "words",
    [
        [f"rtsp://{LOGIN}cam/"],
        [f"--sorce=rtsp://{LOGIN}cam/"],
        [f"--size=rtsp://{LOGIN}cam/"],
        ["--config", f"rtsp://{LOGIN}cam/"],
        ["--sink", f"rtsp://{LOGIN}cam/", "--source", "demo"],
        ["--source", f"gopher://{LOGIN}cam/"],
    ],
)
def test_a_slip_of_the_pen_is_answered_without_the_password(capfd, words):
    assert cli.main(["run", *words]) in (2, 3)
    text = capfd.readouterr().err
    assert any(line.startswith("vcsharp: ") for line in text.splitlines())
    assert hidden(text), text


def wait_for(condition, timeout_s: float = 60) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
