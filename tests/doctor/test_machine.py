"""The real answers: commands, packages, devices by ioctl, sockets of runs."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from vcsharp import videodev
from vcsharp.control import client
from vcsharp.doctor import machine, runs, v4l2, world
from vcsharp.doctor.machine import Answer
from vcsharp.doctor.video import Mode, VideoNode, probe
from vcsharp.doctor.world import Once, this_world
from vcsharp.sources import v4l2_ioctl

from .test_service import state


def script(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_command_is_run_in_plain_english(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    script(tmp_path, "planted-tool", 'echo "$LC_ALL $1"; echo no >&2; exit 3')
    assert machine.run_command(["planted-tool", "x"]) == Answer(3, "C x\n", "no\n")
    assert machine.run_command(["planted-tool-that-is-not-there"]) is None


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    script(tmp_path, "planted-tool", "exec sleep 60")
    with pytest.raises(subprocess.TimeoutExpired):
        machine.run_command(["planted-tool"], 0.1)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(1, "out", "first\nlast\n"), "last"),
        (Answer(1, "said\nso \n", " \n"), "so"),
        (Answer(7), "exit status 7"),
    ],
)
def test_why_is_the_last_word(answer: Answer, why: str) -> None:
    assert answer.why == why


def test_groups_and_packages_that_are_there_and_not() -> None:
    import grp

    entry = grp.getgrall()[0]
    found = machine.find_group(entry.gr_name)
    assert found is not None
    assert found.gid == grp.getgrnam(entry.gr_name).gr_gid
    assert machine.find_group("no-such-group-here") is None
    assert "av" in machine.installed_packages()


def test_only_files_that_may_be_written_can_be_opened(tmp_path: Path) -> None:
    assert machine.may_open(tmp_path)
    assert not machine.may_open(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("text", "cuda"),
    [
        ("__version__ = '2.5'\ncuda: Optional[str] = '12.4'\n", "12.4"),
        ("cuda = '11.8'\n", "11.8"),
        ("cuda: Optional[str] = None\n", None),
    ],
)
def test_pytorch_s_cuda_is_read_without_loading_it(
    tmp_path: Path, monkeypatch: Any, text: str, cuda: str | None
) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('loaded')\n")
    (package / "version.py").write_text(text)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert machine.torch_cuda() == cuda


def test_no_pytorch_has_no_cuda(monkeypatch: Any) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert machine.torch_cuda() is None


def test_a_uid_without_a_name_stands_for_itself(monkeypatch: Any) -> None:
    import pwd

    def unknown(_: int) -> Any:
        raise KeyError

    uid, gids, _ = machine.person()
    assert uid == os.getuid()
    assert os.getgid() in gids
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert machine.person()[2] == str(os.getuid())


def test_a_value_is_made_once_whoever_asks() -> None:
    numbers = iter(range(100))
    once = Once(lambda: next(numbers))
    threads = [threading.Thread(target=once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert once() == 0
    assert next(numbers) == 1


def test_faulty_settings_become_a_fault(tmp_path: Path, monkeypatch: Any) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("strength = 9\n")
    config.chmod(0o600)
    here = this_world(config)
    assert "strength" in here.settings_fault
    assert here.config_path == config
    assert here.settings.strength == 1.0
    config.write_text("strength = 1.5\n")
    assert this_world(config).settings.strength == 1.5


def test_the_usual_settings_file_is_named_where_there_is_none(
    tmp_path: Path, monkeypatch: Any
) -> None:
    assert this_world().config_path == tmp_path / "config-home" / "vcsharp" / "config.toml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert world.this_world().config_path == tmp_path / ".config" / "vcsharp" / "config.toml"


class Kernel:
    """Answers the calls of a camera; numbers as in videodev2.h."""

    def __init__(self, monkeypatch: Any, driver: bytes = b"uvcvideo") -> None:
        self.driver = driver
        self.caps = videodev.CAP_VIDEO_CAPTURE
        self.own = True
        self.formats = ["MJPG", "YUYV"]
        self.sizes: dict[str, list[tuple[int, int]]] = {"MJPG": [(1920, 1080)], "YUYV": []}
        self.intervals = {("MJPG", 1920): [(1, 15), (1, 30)], ("YUYV", 640): [(0, 1), (1, 25)]}
        self.stepwise = False
        self.keep_format: int | None = 1
        self.asked: list[int] = []
        monkeypatch.setattr(v4l2_ioctl, "opened", self.opened)
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)

    @contextmanager
    def opened(self, path: Path) -> Iterator[int]:
        if path.name == "video9":
            raise OSError(errno.EBUSY, "busy")
        if path.name == "video8":
            raise OSError("odd")
        yield 1

    def ioctl(self, _: int, number: int, struct: Any) -> None:
        self.asked.append(number)
        if isinstance(struct, videodev.Capability):
            struct.driver, struct.card = self.driver, b"Cam: Cam"
            struct.capabilities = self.caps | (videodev.CAP_DEVICE_CAPS if self.own else 0)
            struct.device_caps = self.caps
        elif isinstance(struct, v4l2_ioctl.FormatDescription):
            struct.pixelformat = v4l2_ioctl.fourcc_number(self.nth(self.formats, struct))
        elif isinstance(struct, v4l2_ioctl.FrameSize):
            sizes = self.sizes[v4l2_ioctl.fourcc_text(struct.pixel_format)]
            struct.type = v4l2_ioctl.FRMSIZE_TYPE_DISCRETE
            struct.values[:2] = self.nth(sizes, struct)
        elif isinstance(struct, v4l2.FrameInterval):
            key = (v4l2_ioctl.fourcc_text(struct.pixel_format), struct.width)
            struct.type = 3 if self.stepwise else v4l2_ioctl.FRMSIZE_TYPE_DISCRETE
            struct.values[:2] = self.nth(self.intervals.get(key, []), struct)
        elif isinstance(struct, videodev.Control):
            if self.keep_format is None:
                raise OSError(errno.EINVAL, "no such control")
            assert struct.id == 0x0098F900  # as v4l2-ctl lists it
            struct.value = self.keep_format

    def nth(self, items: Any, struct: Any) -> Any:
        if struct.index >= len(items):
            raise OSError(errno.EINVAL, "the last one was before")
        return items[struct.index]


def test_a_camera_s_modes_and_rates_are_listed(monkeypatch: Any) -> None:
    Kernel(monkeypatch)
    node = probe(Path("/dev/video0"))
    assert (node.card, node.driver, node.captures, node.outputs) == ("Cam", "uvcvideo", True, False)
    assert node.modes == (Mode("MJPG", 1920, 1080, 30.0), Mode("YUYV", 640, 480, 25.0))
    assert node.keep_format is None


def test_of_a_range_of_rates_the_first_is_the_highest(monkeypatch: Any) -> None:
    kernel = Kernel(monkeypatch)
    kernel.stepwise = True
    node = probe(Path("/dev/video0"))
    assert node.modes == (Mode("MJPG", 1920, 1080, 15.0),)


def test_a_metadata_node_has_no_modes(monkeypatch: Any) -> None:
    kernel = Kernel(monkeypatch)
    kernel.caps = 0
    node = probe(Path("/dev/video1"))
    assert not node.captures
    assert node.modes == ()


@pytest.mark.parametrize(("value", "keeps"), [(1, True), (0, False), (None, None)])
def test_a_loopback_device_is_asked_for_no_buffer(
    monkeypatch: Any, value: int | None, keeps: bool | None
) -> None:
    kernel = Kernel(monkeypatch, b"v4l2 loopback")
    kernel.caps |= videodev.CAP_VIDEO_OUTPUT
    kernel.own, kernel.keep_format = False, value
    node = probe(Path("/dev/video10"))
    assert node.outputs
    assert node.keep_format is keeps
    request_buffers = videodev.REQBUFS
    assert request_buffers not in kernel.asked


def test_what_cannot_be_opened_tells_why(monkeypatch: Any, tmp_path: Path) -> None:
    assert probe(tmp_path / "video7") == VideoNode("video7", error=errno.ENOENT)
    Kernel(monkeypatch)
    assert probe(Path("/dev/video9")) == VideoNode("video9", error=errno.EBUSY, busy=True)
    assert probe(Path("/dev/video8")) == VideoNode("video8", error=errno.EIO)


def test_structures_have_the_kernel_s_sizes() -> None:
    assert ctypes.sizeof(v4l2.FrameInterval) == 52
    assert ctypes.sizeof(videodev.Control) == 8
    assert v4l2.ENUM_FRAMEINTERVALS == 0xC034564B
    assert videodev.G_CTRL == 0xC008561B


@pytest.fixture
def a_run(monkeypatch: Any, tmp_path: Path) -> Iterator[Callable[[bytes], None]]:
    """Puts a socket named `default` in place, which gives one planted answer if it is served."""
    path = tmp_path / "default.sock"
    monkeypatch.setattr(runs, "instances", lambda: ["default"])
    for module in (runs, client):
        monkeypatch.setattr(module, "find_socket", lambda _: path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    threads = []

    def serve(answer: bytes) -> None:
        listener.listen()
        threads.append(threading.Thread(target=answer_all, args=(listener, answer)))
        threads[0].start()

    yield serve
    if threads:
        listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    listener.close()


def answer_all(listener: socket.socket, answer: bytes) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                if connection.recv(4096).startswith(b"GET /api/state"):
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n"
                    connection.sendall(head.encode() + answer)


def test_a_run_is_asked_for_its_state(a_run: Callable[[bytes], None]) -> None:
    a_run(state().model_dump_json().encode())
    assert runs.running() == [runs.Run("default", state())]


def test_a_run_that_answers_nonsense_is_told(a_run: Callable[[bytes], None]) -> None:
    a_run(b'{"version": "9"}')
    (run,) = runs.running()
    assert run.state is None
    assert "is not of version" in run.problem


@pytest.mark.usefixtures("a_run")
def test_a_socket_that_a_killed_run_left_is_no_run() -> None:
    assert runs.running() == []


def test_a_socket_of_another_user_is_told(monkeypatch: Any) -> None:
    def refuse(_: str) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(runs, "instances", lambda: ["default"])
    monkeypatch.setattr(runs, "find_socket", refuse)
    (run,) = runs.running()
    assert run.problem == "its socket cannot be opened: Permission denied"


def test_without_sockets_nothing_runs(monkeypatch: Any) -> None:
    monkeypatch.setattr(runs, "instances", list)
    assert runs.running() == []
