from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.control.fake_runtime import FakeRuntime
from vcsharp.control import pictures

from .browsing import CHROMIUM, FLAGS, POLL_MS, Show, open_page


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def show(runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Show]:
    made = Show(runtime)
    yield made
    monkeypatch.setattr(pictures, "_GOODBYE_TIMEOUT_S", 0.05)  # the pages are closed by now
    made.end()


@pytest.fixture
def poll_ms() -> int:
    return POLL_MS


@pytest.fixture
def page(browser: Browser, show: Show, poll_ms: int) -> Iterator[Page]:
    opened = open_page(browser, show.url, poll_ms=poll_ms)
    yield opened
    opened.context.close()
