"""A browser, and a page before it: what the tests of the control page share."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.control.fake_runtime import FakeRuntime, picture
from vcsharp.control import servers
from vcsharp.control.doors import Doors

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome", "chrome"])),
    None,
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDTH, HEIGHT = 640, 360
WAIT_MS = 30_000
KEY = "k" * 43
POLL_MS = 250
"""How often the pages of the tests ask for the state; those of people do so once a second."""
HURRY = """{
    const wait = window.setTimeout;
    window.setTimeout = (what, ms, ...more) => wait(what, ms === 1000 ? POLL_MS : ms, ...more);
}"""


class Show:
    """A run that is made up: its page, and twenty pictures a second."""

    def __init__(self, runtime: FakeRuntime, port: int = 0) -> None:
        self.runtime = runtime
        self._doors = Doors(runtime, "unused")
        self.url = self._doors.page_url(port)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def _feed(self) -> None:
        number = 0
        while not self._stop.wait(0.05):
            number = self.runtime.show(picture(number, WIDTH, HEIGHT))

    def stop_pictures(self) -> None:
        self._stop.set()
        self._thread.join()

    def end(self) -> None:
        self.stop_pictures()
        self._doors.close()


class OneKey:
    """Stands in for the module `secrets` where a key is made: each server gets the same."""

    @staticmethod
    def token_urlsafe(length: int) -> str:
        assert length == 32
        return KEY


def with_one_key(monkeypatch: Any) -> None:
    monkeypatch.setattr(servers, "secrets", OneKey)


def open_page(
    browser: Browser,
    url: str,
    scheme: Any = "light",
    width: int = 1280,
    height: int = 900,
    poll_ms: int = POLL_MS,
) -> Page:
    """The page with a picture on it."""
    context = browser.new_context(
        color_scheme=scheme,
        viewport=ViewportSize(width=width, height=height),
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.add_init_script(HURRY.replace("POLL_MS", str(poll_ms)))
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    opened.goto(url)
    expect(opened.locator("#stage[data-state=live]")).to_be_visible(timeout=WAIT_MS)
    expect(opened.locator("#source-list [aria-current]")).to_be_visible(timeout=WAIT_MS)
    return opened


def shot(page: Page, path: Path) -> np.ndarray:
    """The stage as seen: blue, green, red."""
    page.locator("#stage").screenshot(path=path)
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return pixels


def sequence(page: Page) -> int:
    return int(page.locator("#stage").get_attribute("data-sequence") or 0)


def wait_until(page: Page, done: Any, what: str) -> None:
    """Until `done()` is true; the page's policy forbids asking this within the page."""
    for _ in range(WAIT_MS // 100):
        if done():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"it never came to this: {what}")


def wait_for_sequence(page: Page, number: int) -> None:
    """Until the picture of that number or a later one is drawn."""
    wait_until(page, lambda: sequence(page) >= number, f"picture {number} is drawn")
