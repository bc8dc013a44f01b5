"""What the tests of the control API share: a run that is faked, and its doors, which are not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from vcsharp.control.doors import Doors
from vcsharp.control.paths import socket_path

from .fake_runtime import FakeRuntime


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def run_folder(monkeypatch) -> Iterator[Path]:
    """The user's run-time folder. Short, for a socket's path holds about a hundred bytes."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    with tempfile.TemporaryDirectory(prefix="vcs-") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


@pytest.fixture
def doors(runtime, run_folder) -> Iterator[Doors]:
    made = Doors(runtime, "default")
    yield made
    made.close()


@pytest.fixture
def api(doors) -> Iterator[httpx.Client]:
    """A client of the run's socket."""
    doors.open()
    with client_of(socket_path("default")) as client:
        yield client


def client_of(path: Path) -> httpx.Client:
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=str(path)), base_url="http://vcsharp", timeout=30
    )
