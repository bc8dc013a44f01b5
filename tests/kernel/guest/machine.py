"""The parts of the guest that a scenario moves: the module, the camera, the daemon."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.kernel.guest.report import OUT, SLOWER, until

DEVICE = "/dev/video10"
SYSFS = Path("/sys/class/video4linux/video10")
UVC_DRIVER = Path("/sys/bus/usb/drivers/uvcvideo")
_AS_USER = {
    "HOME": "/home/user",
    "USER": "user",
    "XDG_RUNTIME_DIR": "/run/user/1000",
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus",
}


def shell(*command: object, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs to the end; stdout and stderr together as text."""
    return subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=timeout_s * SLOWER,
        check=False,
    )


def as_user(*command: object, name: str = "user") -> list[str]:
    """The command, run as an ordinary user of this machine."""
    home = {} if name == "user" else {"HOME": f"/home/{name}"}
    settings = [f"{key}={value}" for key, value in (_AS_USER | home).items()]
    return ["runuser", "-u", name, "--", "env", *settings, *map(str, command)]


def release() -> tuple[int, ...]:
    """Of v4l2loopback: (0, 12, 7). That one does not tell it itself, so the guest was told."""
    words = Path("/proc/cmdline").read_text().split()
    told = [word.removeprefix("loopback=") for word in words if word.startswith("loopback=")]
    return tuple(int(part) for part in told[-1].split("."))


def load_loopback(**options: object) -> None:
    """Loads the module anew, as the manual says where no option is given."""
    shell("modprobe", "-r", "v4l2loopback")
    words = {"video_nr": 10, "card_label": "vcsharp", "exclusive_caps": 1} | options
    done = shell("modprobe", "v4l2loopback", *(f"{key}={value}" for key, value in words.items()))
    if done.returncode:
        sys.exit(f"v4l2loopback did not load: {done.stdout}")
    shell("udevadm", "settle")


def set_control(name: str, value: int) -> subprocess.CompletedProcess[str]:
    return shell("v4l2-ctl", "-d", DEVICE, "-c", f"{name}={value}")


class UsbCamera:
    """The software webcam; plugged in while the context is open."""

    def __init__(self, *options: str, port: int = 0) -> None:
        self._options, self._port = options, port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> UsbCamera:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    @property
    def node(self) -> Path | None:
        """The capture node, by the name that stays the same."""
        found = sorted(Path("/dev").glob("v4l/by-id/*-index0")) if self._process else []
        return found[0] if found else None

    def plug(self) -> None:
        command = [sys.executable, "-m", "tests.kernel.guest.usb_camera", *self._options]
        log = (OUT / "camera.log").open("ab")
        self._process = subprocess.Popen(
            [*command, "--port", str(self._port)], stdout=log, stderr=log
        )
        log.close()
        if until(lambda: self.node, 20) is None:
            sys.exit("the software webcam did not appear; see camera.log")

    def unplug(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10 * SLOWER)
            self._process = None
            until(lambda: not any(Path("/dev").glob("v4l/by-id/*-index0")), 10)

    def hang(self) -> None:
        """Stops the pictures, and starts them when called again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)


def usb_interface() -> str:
    """Of the camera, as its driver knows it: `1-1:1.0`."""
    return next(path.name for path in UVC_DRIVER.glob("*:1.0"))


def is_read(node: Path) -> bool:
    """Whether any process holds a device node open."""
    return bool(holders(node))


def holders(node: Path | str) -> list[int]:
    """Processes that hold a device node open."""
    wanted = str(Path(node).resolve())
    found = []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) == wanted for link in folder.iterdir()):
                found.append(int(folder.parent.name))
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Daemon:
    """`vcsharp run` in a process of its own; ended with the context."""

    def __init__(self, *arguments: object, user: str | None = None, name: str = "daemon") -> None:
        command = ["/opt/venv/bin/vcsharp", "run", *map(str, arguments)]
        self.log = OUT / f"{name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                as_user(*command, name=user) if user else command, stderr=log, stdout=log
            )
        self.started = time.monotonic()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()

    @property
    def said(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode("utf-8", "replace")

    @property
    def pid(self) -> int:
        """Of the program itself, where it runs as another user too."""
        found = shell("pgrep", "-f", "bin/vcsharp run").stdout.split()
        return int(found[-1]) if found else self._process.pid

    @property
    def ended(self) -> int | None:
        """The exit status, once there is one."""
        return self._process.poll()

    def wait_writing(self, timeout_s: float = 60) -> bool:
        """Until the daemon says that it feeds its output, and that can be read."""
        until(lambda: self.ended is not None or "sink: " in self.said, timeout_s)
        return self.ended is None and bool(until(is_camera, 5))

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self, timeout_s: float = 20) -> tuple[int | None, float]:
        """SIGTERM; the exit status (None if it did not end) and how long it took."""
        began = time.monotonic()
        self.send(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s * SLOWER)
        return self.ended, time.monotonic() - began

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._process.wait(10 * SLOWER)


def is_camera() -> bool:
    """Whether the virtual camera is held open and has a format."""
    if not holders(DEVICE):
        return False
    answer = shell("v4l2-ctl", "-d", DEVICE, "--get-fmt-video").stdout
    return "Width/Height" in answer and "0/0" not in answer


@contextlib.contextmanager
def daemon(*arguments: object, user: str | None = None, name: str = "daemon") -> Iterator[Daemon]:
    """A daemon whose virtual camera can be read."""
    with Daemon(*arguments, user=user, name=name) as running:
        if not running.wait_writing():
            sys.exit(f"the daemon did not come up: {running.said[-2000:]}")
        yield running


def ctl(*words: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
    """`vcsharp ctl`, as whoever the daemon belongs to."""
    command: Sequence[str] = ["/opt/venv/bin/vcsharp", "ctl", *words]
    return shell(*(as_user(*command, name=user) if user else command))
