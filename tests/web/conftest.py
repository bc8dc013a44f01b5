from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.control.fake_runtime import FakeRuntime

from .browsing import CHROMIUM, FLAGS, Show, open_page


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
def show(runtime: FakeRuntime) -> Iterator[Show]:
    made = Show(runtime)
    yield made
    made.end()


@pytest.fixture
def page(browser: Browser, show: Show) -> Iterator[Page]:
    opened = open_page(browser, show.url)
    yield opened
    opened.context.close()
