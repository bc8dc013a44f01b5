"""The program in a process of its own."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "vcsharp", "run", *map(str, arguments)]


def environment(tmp_path: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("VCSHARP_")}
    runtime = runtime_folder(tmp_path)
    runtime.mkdir(mode=0o700, exist_ok=True)
    return clean | {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_RUNTIME_DIR": str(runtime)}


def runtime_folder(tmp_path: Path) -> Path:
    """A short name: the address of a UNIX socket may have a hundred characters."""
    name = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"vcs-{name}"


def ask(tmp_path: Path, method: str, path: str, body: object = None) -> Any:
    """The answer of the run that was started with the same `tmp_path`."""
    transport = httpx.HTTPTransport(uds=str(runtime_folder(tmp_path) / "vcsharp" / "default.sock"))
    with httpx.Client(transport=transport, base_url="http://vcsharp", timeout=10) as client:
        answer = client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()


def wait_for_state(
    tmp_path: Path, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 60
) -> dict[str, Any]:
    """Asks for the state until it is as wanted."""
    deadline_s = time.monotonic() + timeout_s
    state: dict[str, Any] = {}
    while time.monotonic() < deadline_s:
        with suppress(httpx.TransportError):  # the socket comes a moment after the first line
            state = ask(tmp_path, "GET", "/api/state")
            if wanted(state):
                return state
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s: {state}")


def wait_for_its_own_signals(process: subprocess.Popen[str], timeout_s: float = 30) -> None:
    """Python takes Ctrl-C for itself while it starts; then the program says what it does.

    Read from what the kernel knows of the process: SIGINT caught, and then no more.
    """
    deadline_s, caught = time.monotonic() + timeout_s, False
    while process.poll() is None and time.monotonic() < deadline_s:
        status = Path(f"/proc/{process.pid}/status").read_text()
        mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        catches = bool(int(mask, 16) >> (signal.SIGINT - 1) & 1)
        if caught and not catches:
            return
        caught |= catches
        time.sleep(0.001)
    raise AssertionError(f"ended with {process.poll()} or not begun within {timeout_s} s")


def vcsharp(tmp_path: Path, *arguments: object, timeout_s: float = 60):
    """Runs to the end; returns (exit status, stderr)."""
    done = subprocess.run(
        command(*arguments),
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def spawned(tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    """A run in the background; its stderr can be read."""
    return subprocess.Popen(
        command(*arguments),
        cwd=tmp_path,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def started(tmp_path: Path, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run in the background and its line about the sink, as soon as that was said."""
    with spawned(tmp_path, *arguments) as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if line.startswith("sink: "))
            yield process, line
        finally:
            process.kill()
