"""The watch for sleep on a real message bus, with a logind of our own."""

from __future__ import annotations

import os
import queue
import select
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vcsharp.sleep import SleepWatch

DAEMON = shutil.which("dbus-daemon")
pytestmark = pytest.mark.skipif(DAEMON is None, reason="dbus-daemon is not installed")

NAME, PATH, MANAGER = (
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
)
BUS = """<busconfig><type>custom</type><listen>unix:path={path}</listen>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/>
<allow own="*"/></policy>
</busconfig>"""


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a bus of our own, which stands for the system's."""
    assert DAEMON is not None
    config = tmp_path / "bus.conf"
    config.write_text(BUS.format(path=tmp_path / "bus"))
    command = [DAEMON, f"--config-file={config}", "--print-address", "--nofork"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address
        daemon.kill()


class Logind:
    """Answers Inhibit with the writing end of a pipe, as the real one does."""

    def __init__(self) -> None:
        from jeepney import message_bus
        from jeepney.io.blocking import open_dbus_connection

        self._connection = open_dbus_connection(bus="SYSTEM", enable_fds=True)
        self._connection.send_and_get_reply(message_bus.RequestName(NAME))
        self.asked: queue.Queue[tuple[str, ...]] = queue.Queue()
        self.delays: queue.Queue[int] = queue.Queue()
        self._thread = threading.Thread(target=self._serve, name="fake-logind")
        self._thread.start()

    def announce(self, sleeping: bool) -> None:
        announce(self._connection, sleeping)

    def close(self) -> None:
        import socket

        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()

    def _serve(self) -> None:
        from jeepney import HeaderFields, new_method_return

        while True:
            try:
                call = self._connection.receive()
            except OSError:
                return
            if call.header.fields.get(HeaderFields.member) != "Inhibit":
                continue
            ours, theirs = os.pipe()
            self._connection.send(new_method_return(call, "h", (theirs,)))
            os.close(theirs)
            self.delays.put(ours)
            self.asked.put(call.body)


def announce(connection: Any, sleeping: bool) -> None:
    from jeepney import DBusAddress, new_signal

    origin = DBusAddress(PATH, interface=MANAGER)
    connection.send(new_signal(origin, "PrepareForSleep", "b", (sleeping,)))


def given_back(delay: int) -> bool:
    """Whether the other end was closed, within a generous time."""
    ready, _, _ = select.select([delay], [], [], 20)
    return bool(ready) and os.read(delay, 1) == b""


@pytest.fixture
def logind(bus: str) -> Iterator[Logind]:
    made = Logind()
    yield made
    made.close()


def test_sleep_waits_for_us_and_no_longer(logind: Logind) -> None:
    told: queue.Queue[str] = queue.Queue()
    watcher = SleepWatch(lambda: told.put("sleep"), lambda: told.put("wake"))
    watcher.start()
    assert logind.asked.get(timeout=20)[:2] == ("sleep", "vcsharp")
    first = logind.delays.get(timeout=20)
    logind.announce(True)
    assert told.get(timeout=20) == "sleep"
    assert given_back(first)
    logind.announce(False)
    assert told.get(timeout=20) == "wake"
    second = logind.delays.get(timeout=20)
    watcher.close()
    assert given_back(second)
    for descriptor in (first, second):
        os.close(descriptor)


def test_another_programs_word_for_sleep_is_not_believed(logind: Logind) -> None:
    from jeepney.io.blocking import open_dbus_connection

    told: queue.Queue[str] = queue.Queue()
    watcher = SleepWatch(lambda: told.put("sleep"), lambda: told.put("wake"))
    watcher.start()
    first = logind.delays.get(timeout=20)
    with open_dbus_connection(bus="SYSTEM") as stranger:
        announce(stranger, True)
        stranger.bus_proxy.GetId()  # an answer: the bus has passed the signal on
        logind.announce(False)
        assert told.get(timeout=20) == "wake"
    watcher.close()
    os.close(first)


def test_a_bus_without_logind_is_left_alone(bus: str) -> None:
    watcher = SleepWatch(lambda: None, lambda: None)
    watcher.start()
    assert watcher._thread is not None
    watcher._thread.join(20)
    assert not watcher._thread.is_alive()
    watcher.close()
