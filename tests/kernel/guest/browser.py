"""Headless Chromium with a page that opens a camera, driven over its DevTools pipe.

    python -m tests.kernel.guest.browser FOLDER [--sandbox]

As a program it takes one JavaScript expression a line on stdin and answers with one line of JSON;
`shot NAME` writes NAME.png (the camera's picture) and NAME-page.png. `Page` starts that program as
the user it likes: Chromium's sandbox does not work for root.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.kernel.guest import pictures
from tests.kernel.guest.machine import as_user
from tests.kernel.guest.report import OUT, until

FLAGS = [
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-sync",
    "--mute-audio",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
    "--window-size=700,520",
    "--enable-logging=stderr",
]


class _PageHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing: stderr is Chromium's."""


class Chromium:
    """One browser with one page of this machine. Not thread-safe."""

    def __init__(self, log: Path, *, sandbox: bool) -> None:
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        # User-mode Linux cannot do the seccomp layer; the namespaces work.
        box = "--disable-seccomp-filter-sandbox" if sandbox else "--no-sandbox"
        command = ["chromium", *FLAGS, box, f"--user-data-dir={self._profile}", "about:blank"]
        # The browser reads descriptor 3 and writes 4.
        moved = ["bash", "-c", f'exec "$@" 3<&{reads} 4>&{writes}', "chromium", *command]
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                moved,
                pass_fds=(reads, writes),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        os.close(reads)
        os.close(writes)
        self._buffer, self._count, self._session = b"", 0, ""

    def open(self, address: str) -> None:
        """Shows a page that may use cameras."""
        permissions = {"origin": address, "permissions": ["videoCapture"]}
        self.call("Browser.grantPermissions", permissions)
        target = self.call("Target.createTarget", {"url": f"{address}/page.html"})["targetId"]
        attached = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        ready = "document.readyState === 'complete' && typeof sample === 'function'"
        while not self.evaluate(ready):
            time.sleep(0.2)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        wish = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", wish)
        if "exceptionDetails" in answer:
            return {"error": json.dumps(answer["exceptionDetails"])[:500]}
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        data: str = self.call("Page.captureScreenshot", {"format": "png"})["data"]
        return base64.b64decode(data)

    def call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """One DevTools command. Raises EOFError where the browser went away."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters or {}}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next_message()
            if answer.get("id") == self._count:
                result: dict[str, Any] = answer.get("result", {})
                return result

    def _next_message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not (data := os.read(self._from, 1 << 20)):
                raise EOFError("the browser went away")
            self._buffer += data
        one, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(one)
        return message

    def close(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        shutil.rmtree(self._profile, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sandbox", action="store_true")
    wish = parser.parse_args()
    here = str(Path(__file__).parent)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: _PageHandler(*args, directory=here)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = Chromium(wish.folder / "chromium.log", sandbox=wish.sandbox)
    try:
        browser.open(f"http://localhost:{server.server_port}")
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(browser, line.strip(), wish.folder)), flush=True)
    finally:
        browser.close()


def answer(browser: Chromium, line: str, folder: Path) -> Any:
    """What one line of stdin asks for."""
    if not line.startswith("shot "):
        return browser.evaluate(line)
    name = line.removeprefix("shot ")
    (folder / f"{name}-page.png").write_bytes(browser.screenshot())
    (folder / f"{name}.png").write_bytes(base64.b64decode(browser.evaluate("picture()") or ""))
    return name


@dataclass
class Sample:
    """What the page saw since the last time it was asked."""

    frames: int
    width: int
    height: int
    state: str
    frozen_s: float
    events: list[str]
    mean: list[int] | None
    blocks: list[list[float]]

    @property
    def number(self) -> int | None:
        """Of the camera's picture; None for a placeholder or a torn one."""
        top, bottom = map(pictures.number_of, self.blocks)
        return top if top == bottom else None

    @property
    def is_green(self) -> bool:
        """The colour of memory that was only zeroed."""
        red, green, blue = self.mean or (0, 0, 0)
        return green > 80 and red < 40 and blue < 40


class Page:
    """The page of a browser in a process of its own, run by an ordinary user or by root."""

    def __init__(self, name: str = "chromium", *, user: str | None = "user") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self._kept = OUT / name
        self.folder.chmod(0o777)
        command = ["/opt/venv/bin/python", "-m", "tests.kernel.guest.browser", str(self.folder)]
        if user:
            command = as_user(*command, "--sandbox", name=user)
        with (self.folder / "driver.log").open("w") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._answer()

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        shutil.copytree(self.folder, self._kept, dirs_exist_ok=True)

    def ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            shutil.copytree(self.folder, self._kept, dirs_exist_ok=True)
            sys.exit(f"Chromium did not come up or went away; see {self._kept}")
        return json.loads(line)

    def labels(self) -> list[str]:
        """Of the cameras that the page is offered."""
        found: list[str] = self.ask("labels()")
        return found

    def open_camera(self, label: str = "vcsharp", timeout_s: float = 10) -> dict[str, Any]:
        """What getUserMedia gave: `label`, `settings`, `opened_s`, or `error`."""
        until(lambda: any(label in one for one in self.labels()), timeout_s, 0.3)
        opened: dict[str, Any] = self.ask(f"openCamera({json.dumps(label)})")
        return opened

    def sample(self) -> Sample:
        """What happened since the last time."""
        return Sample(**self.ask("sample()"))

    def picture(self, name: str) -> pictures.Picture | None:
        """The camera's picture as the page has it; also kept as NAME.png."""
        self.ask(f"shot {name}")
        image = cv2.imread(str(self.folder / f"{name}.png"))
        return None if image is None else np.asarray(image, np.uint8)


if __name__ == "__main__":
    main()
