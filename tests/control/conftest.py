"""What the tests of the control API share: a run that is faked, and its doors, which are not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from vcsharp import cli
from vcsharp.control import pictures
from vcsharp.control.doors import Doors

from .fake_runtime import FakeRuntime
from .page_browser import Browser


@pytest.fixture(scope="session")
def one_runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def runtime(one_runtime: FakeRuntime) -> FakeRuntime:
    """As new for every test, for that costs less than new servers."""
    one_runtime.reset()
    return one_runtime


@pytest.fixture
def run_folder(monkeypatch) -> Iterator[Path]:
    """The user's run-time folder. Short, for a socket's path holds about a hundred bytes."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    with tempfile.TemporaryDirectory(prefix="vcs-") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


@pytest.fixture
def doors(runtime, run_folder, monkeypatch) -> Iterator[Doors]:
    """Nothing is open yet, and anything may be opened and closed."""
    monkeypatch.setattr(pictures, "_GOODBYE_TIMEOUT_S", 0.05)
    made = Doors(runtime, "default")
    yield made
    made.close()


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vcs-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def open_doors(one_runtime, open_folder) -> Iterator[Doors]:
    """A socket and a page that stay open from test to test."""
    doors = Doors(one_runtime, "default")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNTIME_DIRECTORY", raising=False)
        patch.setenv("XDG_RUNTIME_DIR", str(open_folder))
        doors.open()
    yield doors
    doors.close()


@pytest.fixture
def api(open_doors, open_folder, runtime) -> Iterator[httpx.Client]:
    """A client of the run's socket."""
    with client_of(open_folder / "vcsharp" / "default.sock") as client:
        yield client


def client_of(path: Path) -> httpx.Client:
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=str(path)), base_url="http://vcsharp", timeout=30
    )


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


@pytest.fixture
def browser(open_doors, runtime) -> Browser:
    """At a page that stays open from test to test."""
    return Browser(open_doors.page_url())


@pytest.fixture
def own(doors) -> Browser:
    """At a page that this test may close."""
    return Browser(doors.page_url())
