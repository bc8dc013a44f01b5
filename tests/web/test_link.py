"""What the page does when vcsharp ends, hangs, comes back, or has another key."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.control.fake_runtime import FakeRuntime, picture
from vcsharp.control.model import SourceChoice

from .browsing import (
    WAIT_MS,
    Show,
    open_page,
    sequence,
    shot,
    wait_for_sequence,
    wait_until,
    with_one_key,
)

pytestmark = pytest.mark.browser

NO_ANSWER = "vcsharp does not answer. Is it still running?"


def port_of(show: Show) -> int:
    return urlsplit(show.url).port or 0


@pytest.fixture
def one_key(monkeypatch):
    with_one_key(monkeypatch)


def test_the_end_of_the_run_is_told_and_the_picture_stays(page, show, tmp_path):
    show.end()
    expect(page.locator("#notice")).to_have_text(
        "The stream has ended. Start vcsharp again to go on.", timeout=WAIT_MS
    )
    expect(page.locator("#status")).to_have_text("No answer", timeout=WAIT_MS)
    expect(page.locator("#announcer")).to_have_text(NO_ANSWER)
    expect(page.locator("#run")).to_have_text(f"{NO_ANSWER} This is what was known last.")
    expect(page.locator("body")).to_have_attribute("data-link", "broken")
    assert shot(page, tmp_path / "ended.png").std() > 15


def test_a_change_without_an_answer_is_told_at_its_control(page, show):
    show.end()
    expect(page.locator("#status")).to_have_text("No answer", timeout=WAIT_MS)
    page.get_by_role("slider", name="Strength").press("End")
    expect(page.locator("#strength-error")).to_have_text(NO_ANSWER)
    expect(page.get_by_role("slider", name="Strength")).to_have_value("1")
    page.get_by_role("switch", name="Camera").click()
    expect(page.locator("#power-error")).to_have_text(NO_ANSWER)
    expect(page.get_by_role("switch", name="Camera")).to_be_checked()


def test_the_page_goes_on_by_itself_when_vcsharp_is_there_again(browser, runtime, one_key):
    first = Show(runtime)
    page = open_page(browser, first.url)
    wait_for_sequence(page, 3)
    first.end()
    expect(page.locator("#status")).to_have_text("No answer", timeout=WAIT_MS)
    fresh = FakeRuntime()
    fresh.choices = [SourceChoice(source="demo", title="Another scene")]
    fresh.update(options={"strength": 0.5})
    second = Show(fresh, port_of(first))
    try:
        expect(page.locator("#status")).to_have_text("Live", timeout=WAIT_MS)
        expect(page.locator("#announcer")).to_have_text("vcsharp answers again")
        expect(page.locator("#stage")).to_have_attribute("data-state", "live", timeout=WAIT_MS)
        expect(page.locator("#notice")).to_be_empty()
        expect(page.get_by_role("slider", name="Strength")).to_have_value("0.5")
        expect(page.locator("#source-list")).to_contain_text("Another scene", timeout=WAIT_MS)
        page.get_by_role("slider", name="Strength").press("Home")
        wait_until(page, lambda: fresh.state().options.strength == 0, "the strength is 0")
    finally:
        page.context.close()
        second.end()


def test_a_run_with_another_key_asks_for_the_page_to_be_opened_again(browser, runtime):
    first = Show(runtime)
    page = open_page(browser, first.url)
    first.end()
    second = Show(FakeRuntime(), port_of(first))
    try:
        expect(page.locator("#status")).to_have_text("Key refused", timeout=WAIT_MS)
        expect(page.locator("#notice")).to_have_text(
            re.compile("Open the page again with: vcsharp ui"), timeout=WAIT_MS
        )
    finally:
        page.context.close()
        second.end()


def test_pictures_that_stop_for_a_while_are_no_trouble(page, show):
    show.stop_pictures()
    page.wait_for_timeout(2500)
    expect(page.locator("#stage")).to_have_attribute("data-state", "live")
    expect(page.locator("#notice")).to_be_empty()
    drawn = sequence(page)
    show.runtime.show(picture(5, 320, 240))
    wait_for_sequence(page, drawn + 1)
    expect(page.locator("#after[width='320'][height='240']")).to_be_visible()
