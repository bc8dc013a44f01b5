"""A real RTSP server as a process, and what the tests of sources share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class RtspServer:
    """Servers started by one test, on one port, so that a killed one can return."""

    port: int = 0
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> str:
        """Starts a server (on the last one's port, if any); returns the address of its stream."""
        script = str(Path(__file__).with_name("rtsp_server.py"))
        command = [sys.executable, script, "--port", str(self.port), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        assert process.stdout is not None
        ready, port = process.stdout.readline().split()
        assert ready == "ready"
        self.port = int(port)
        return self.url()

    def url(self, credentials: str = "", path: str = "live") -> str:
        """The address, `credentials` being `user:password@`."""
        return f"rtsp://{credentials}127.0.0.1:{self.port}/{path}"

    def kill(self) -> None:
        """Ends the running server as `kill -9` does."""
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self.processes.clear()


@pytest.fixture
def rtsp() -> Iterator[RtspServer]:
    """A server not yet started."""
    server = RtspServer()
    yield server
    server.kill()
