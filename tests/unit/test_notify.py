"""What systemd hears, and when; and that nothing happens where nobody listens."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vcsharp.notify import Notifier

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs UNIX sockets")


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
            bound.bind(address)
            bound.settimeout(5)
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            yield bound


def heard(listener: socket.socket) -> list[str]:
    said = []
    listener.settimeout(0)
    while True:
        try:
            said.append(listener.recv(4096).decode())
        except BlockingIOError:
            return said


def test_a_whole_life_is_told(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    notifier = Notifier.from_environment()
    assert "NOTIFY_SOCKET" not in os.environ  # children do not answer in our place
    notifier.ready("sending to\nvirtual")
    notifier.progress()
    notifier.reloading()
    notifier.status("live")
    notifier.stopping()
    ready, alive, reloading, status, stopping = heard(listener)
    assert ready == "READY=1\nSTATUS=sending to virtual"
    assert alive == "WATCHDOG=1"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert (status, stopping) == ("STATUS=live", "STOPPING=1")


def test_proofs_of_life_are_sent_twice_in_a_watchdogs_time(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    notifier = Notifier.from_environment()
    for _ in range(200):
        notifier.progress()
        now_s[0] += 0.1  # 20 s in all
    assert heard(listener) == ["WATCHDOG=1"] * 4


def test_a_proof_that_was_not_heard_is_sent_with_the_next_picture(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = Notifier.from_environment()
    address = Path(listener.getsockname())
    away = address.with_name("away")
    deaf = Notifier(str(address), watchdog_s=3600)
    address.rename(away)
    deaf.progress()
    away.rename(address)
    deaf.progress()
    deaf.progress()
    assert heard(listener) == ["WATCHDOG=1"]
    notifier.ready("a name with no meaning: \udcff")
    assert heard(listener) == ["READY=1\nSTATUS=a name with no meaning: ?"]


@pytest.mark.parametrize(("usec", "pid"), [("0", "0"), ("junk", ""), ("5000000", "1")])
def test_nobody_watches_this_process(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, usec: str, pid: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    notifier = Notifier.from_environment()
    notifier.progress()
    assert heard(listener) == []


def test_an_abstract_address_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"vcsharp-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        try:
            bound.bind(f"\0{name}")
        except OSError:
            pytest.skip("this system has no abstract sockets")
        Notifier(f"@{name}").stopping()
        assert heard(bound) == ["STOPPING=1"]


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier.from_environment()
    notifier.ready("x")
    notifier.progress()
    Notifier("/nowhere/at/all", 1.0).progress()
