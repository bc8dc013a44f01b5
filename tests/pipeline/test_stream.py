"""A network stream through the whole program: it dies, the picture says so, it comes back."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from .process import spawned, started

SERVER = Path(__file__).parent.parent / "sources" / "rtsp_server.py"
PASSWORD = "p4ss-w0rd"
PATIENCE_S = 60


@contextmanager
def rtsp_server(port: int = 0) -> Iterator[int]:
    """A real server on loopback; killed at the end, as a power cut would."""
    arguments = ["--port", str(port), "--user", "me", "--password", PASSWORD]
    with subprocess.Popen(
        [sys.executable, str(SERVER), *arguments], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline().split()[1])
        finally:
            server.kill()


def wait_for(url: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Asks for the figures until they are as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    figures: dict[str, Any] = {}
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}stats", timeout=5) as answer:
            figures = json.load(answer)
        if wanted(figures):
            return figures
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_S} s: {figures}")


def test_a_stream_that_dies_and_returns_is_picked_up_again(tmp_path):
    with ExitStack() as rest:
        with rtsp_server() as port:
            source = f"rtsp://me:{PASSWORD}@127.0.0.1:{port}/live"
            arguments = ["--source", source, "--sink", "preview", "--size", "320x240"]
            process, line = rest.enter_context(started(tmp_path, *arguments))
            url = re.search(r"http://\S+", line)[0]  # type: ignore[index]
            wait_for(url, lambda now: now["frames_in"] > 20 and now["status"] == "live")
        lost = wait_for(url, lambda now: now["status"].startswith("reconnecting"))
        assert process.poll() is None
        with rtsp_server(port):
            before = lost["frames_in"]
            back = wait_for(url, lambda now: now["frames_in"] > before + 20)
            assert back["status"] == "live"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert PASSWORD not in process.stderr.read() + json.dumps(back)


@contextmanager
def camera_that_never_answers() -> Iterator[int]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_a_stream_hangs_in_opening_is_clean(tmp_path, number):
    with camera_that_never_answers() as port:
        url = f"rtsp://127.0.0.1:{port}/live"
        with spawned(tmp_path, "--source", url, "--sink", "null") as process:
            assert process.stderr is not None
            assert any(line.startswith("opening") for line in process.stderr)
            time.sleep(0.5)
            process.send_signal(number)
            _, text = process.communicate(timeout=30)
    assert process.returncode == 0, text
    assert "Traceback" not in text
    assert "terminate" not in text
