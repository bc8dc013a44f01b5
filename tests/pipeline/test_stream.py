"""A network stream through the whole program: it dies, the picture says so, it comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.peers import answering

from .process import spawned, started, wait_for_state

SERVER = Path(__file__).parent.parent / "sources" / "rtsp_server.py"
PASSWORD = "p4ss-w0rd"


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


def test_a_stream_that_dies_and_returns_is_picked_up_again(tmp_path):
    with ExitStack() as rest:
        with rtsp_server() as port:
            source = f"rtsp://me:{PASSWORD}@127.0.0.1:{port}/live"
            arguments = ["--source", source, "--sink", "preview", "--size", "320x240"]
            process, _ = rest.enter_context(started(tmp_path, *arguments))
            wait_for_state(tmp_path, lambda now: now["figures"]["frames_in"] > 20)
        lost = wait_for_state(tmp_path, lambda now: now["source"]["state"] == "lost")
        assert process.poll() is None
        with rtsp_server(port):
            before = lost["figures"]["frames_in"]
            back = wait_for_state(tmp_path, lambda now: now["figures"]["frames_in"] > before + 20)
            assert back["source"]["state"] == "live"
            assert back["source"]["reconnects"] == 1
            assert back["faults"][0]["where"] == "source"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert PASSWORD not in process.stderr.read() + json.dumps(back)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_a_stream_hangs_in_opening_is_clean(tmp_path, number):
    with answering(None) as port:
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
