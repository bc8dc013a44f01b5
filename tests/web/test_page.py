"""The page's picture, figures and words, in a real browser."""

from __future__ import annotations

import re
import time
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from vcsharp.states import EngineState, SinkState, SourceState

from .browsing import (
    HEIGHT,
    WAIT_MS,
    WIDTH,
    open_page,
    sequence,
    shot,
    wait_for_sequence,
    wait_until,
)

pytestmark = pytest.mark.browser


def share_before(page: Page) -> float:
    """Where the line stands, 0 at the left edge to 1 at the right."""
    line, stage = page.locator(".divider").bounding_box(), page.locator("#stage").bounding_box()
    assert line is not None
    assert stage is not None
    return (line["x"] + line["width"] / 2 - stage["x"]) / stage["width"]


def test_the_picture_arrives_and_moves(page, tmp_path):
    first = shot(page, tmp_path / "first.png")
    wait_for_sequence(page, sequence(page) + 10)
    second = shot(page, tmp_path / "second.png")
    assert np.abs(first.astype(int) - second).max() > 60
    size = page.evaluate("[after.width, after.height, before.width, before.height]")
    assert size == [WIDTH, HEIGHT, WIDTH, HEIGHT]


def test_before_lies_left_of_the_line_and_after_right(page, tmp_path):
    pixels = shot(page, tmp_path / "stage.png")
    height, width, _ = pixels.shape
    rows = slice(height // 4, height // 2 - 40)  # clear of the handle and the labels
    left = pixels[rows, : width // 2 - 12].astype(int)
    right = pixels[rows, width // 2 + 12 :].astype(int)
    before, after = (60 - 16) * 255 / 219, (170 - 16) * 255 / 219
    assert np.median(left) == pytest.approx(before, abs=3)
    assert np.median(right) > after - 40
    assert right.std() > left[np.abs(left - before).max(axis=2) < 20].std() + 5


def test_the_line_follows_the_mouse(page):
    stage = page.locator("#stage").bounding_box()
    assert share_before(page) == pytest.approx(0.5, abs=0.01)
    middle = stage["y"] + stage["height"] / 2
    page.mouse.move(stage["x"] + stage["width"] / 2, middle)
    page.mouse.down()
    for share in (0.4, 0.3, 0.2):
        page.mouse.move(stage["x"] + stage["width"] * share, middle)
        assert share_before(page) == pytest.approx(share, abs=0.01)
    page.mouse.up()
    page.mouse.move(stage["x"] + stage["width"] * 0.9, middle)
    assert share_before(page) == pytest.approx(0.2, abs=0.01)


def test_the_line_follows_the_keyboard_and_tells_where_it_is(page):
    slider = page.get_by_role("slider", name="Share of the picture shown before sharpening")
    slider.focus()
    for key, share in [
        ("ArrowRight", 0.52),
        ("ArrowLeft", 0.50),
        ("PageUp", 0.60),
        ("PageDown", 0.50),
        ("End", 1.0),
        ("Home", 0.0),
        ("ArrowLeft", 0.0),
    ]:
        page.keyboard.press(key)
        assert share_before(page) == pytest.approx(share, abs=0.005), key
        expect(slider).to_have_attribute(
            "aria-valuetext", f"{round(100 * share)} percent before sharpening"
        )


def test_a_page_told_not_to_watch_asks_for_no_pictures(page, runtime):
    watch = page.get_by_role("button", name="Watch here")
    expect(watch).to_have_attribute("aria-pressed", "true")
    watch.click()
    expect(watch).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#notice")).to_contain_text("so the camera may go off")
    page.wait_for_timeout(1500)  # the question that was under way is answered
    looks = runtime.looks
    page.wait_for_timeout(1500)
    assert runtime.looks == looks
    drawn = sequence(page)
    watch.click()
    wait_for_sequence(page, drawn + 1)
    expect(page.locator("#notice")).to_be_empty()


HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_hidden_page_asks_for_no_pictures_and_says_so(page, runtime):
    page.evaluate(HIDE, True)
    expect(page.locator("#notice")).to_have_text(
        "This page was hidden: no pictures were asked for."
    )
    page.wait_for_timeout(1500)
    looks = runtime.looks
    page.wait_for_timeout(1500)
    assert runtime.looks == looks
    drawn = sequence(page)
    page.evaluate(HIDE, False)
    wait_for_sequence(page, drawn + 1)
    expect(page.locator("#notice")).to_be_empty()


@pytest.mark.parametrize("poll_ms", [1000])  # the drops of a second are shown for a second
def test_the_figures_are_shown_and_renewed(page, runtime):
    shown = {
        "fps_out": "29.9",
        "fps_in": "30.0",
        "latency_p50": "14",
        "latency_p95": "19",
        "stage_capture": "2.1",
        "stage_engine": "9.7",
        "stage_sink": "1.4",
        "frames_dropped": "3",
        "frames_in": "2,250",
        "cpu_percent": "84",
        "rss_mib": "212",
    }
    for name, text in shown.items():
        expect(page.locator(f"[data-figure={name}]")).to_have_text(text, timeout=WAIT_MS)
    expect(page.locator("[data-figure=drops]")).to_have_text("0", timeout=WAIT_MS)
    runtime.update(figures={"frames_dropped": 1234, "cpu_percent": 7.0})
    expect(page.locator("[data-figure=frames_dropped]")).to_have_text("1,234", timeout=WAIT_MS)
    expect(page.locator("[data-figure=cpu_percent]")).to_have_text("7", timeout=WAIT_MS)
    assert float(page.locator("[data-figure=drops]").inner_text().replace(",", "")) > 100


def test_each_chart_draws_a_line_and_tells_its_range(page, runtime):
    runtime.update(figures={"fps_out": 12.5})
    label = "Frame rate in the last minute: between 12.5 and 29.9 frames per second"
    expect(page.get_by_role("img", name=label)).to_be_visible(timeout=WAIT_MS)
    for name in ("fps", "delay", "drops", "cpu"):
        line = page.locator(f"#chart-{name} path.main")
        expect(line).to_have_attribute("d", re.compile(r"^M[\d. ]+L"), timeout=WAIT_MS)


SOURCE_WORDS = {
    SourceState.CONNECTING: "Camera is being opened",
    SourceState.LIVE: "Camera is live",
    SourceState.STALLED: "Camera sends no picture at the moment",
    SourceState.LOST: "Camera is away: trying again",
    SourceState.PAUSED: "Camera is off: paused",
    SourceState.IDLE: "Camera is off: nobody is looking",
    SourceState.ASLEEP: "Camera is off: the computer goes to sleep",
    SourceState.ENDED: "The video is over",
}
ENGINE_WORDS = {
    EngineState.LOADING: "Network is being loaded; pictures pass as they are",
    EngineState.READY: "Nano is sharpening",
    EngineState.FALLBACK: "Nano is sharpening, but not where it should",
    EngineState.FAILED: "Sharpening has failed: pictures pass as they are",
    EngineState.RELEASED: "Network is put away: nobody needs it",
}
SINK_WORDS = {
    SinkState.OPENING: "Output virtual is being opened",
    SinkState.WRITING: "Output virtual gets pictures",
    SinkState.REOPENING: "Output virtual is away: trying again",
}


def test_every_state_is_told_in_words(page, runtime):
    assert set(SOURCE_WORDS) == set(SourceState)
    assert set(ENGINE_WORDS) == set(EngineState)
    assert set(SINK_WORDS) == set(SinkState)
    parts = page.locator("#parts strong")
    runtime.update(source={"name": "/dev/video0"})
    for of_source, words in SOURCE_WORDS.items():
        runtime.update(source={"state": of_source})
        expect(parts.nth(0)).to_have_text(words, timeout=WAIT_MS)
    for of_engine, words in ENGINE_WORDS.items():
        runtime.update(engine={"state": of_engine})
        expect(parts.nth(1)).to_have_text(words, timeout=WAIT_MS)
    sink = runtime.state().sinks[0].model_dump()
    for of_sink, words in SINK_WORDS.items():
        runtime.update(sinks=[sink | {"state": of_sink}])
        expect(parts.nth(2)).to_have_text(words, timeout=WAIT_MS)


def test_the_reason_the_reconnects_and_the_viewers_are_told(page, runtime):
    sink = runtime.state().sinks[0].model_dump()
    runtime.update(
        source={
            "name": "rtsp://***@host/one",
            "state": SourceState.LOST,
            "words": "no route to host; <b>check the network</b>",
            "reconnects": 3,
            "stalls": 1,
        },
        sinks=[sink | {"wanted": False}],
    )
    rows = page.locator("#parts li")
    expect(rows.nth(0)).to_contain_text("Stream is away: trying again", timeout=WAIT_MS)
    expect(rows.nth(0)).to_contain_text("no route to host; <b>check the network</b>")
    expect(rows.nth(0)).to_contain_text("reconnected 3 times · stalled once")
    expect(rows.nth(2)).to_contain_text("nobody is looking")
    expect(page.locator("#status")).to_have_text("Reconnecting")
    expect(page.locator("#announcer")).to_have_text("Stream is away: trying again")
    expect(page).to_have_title("Reconnecting \N{EN DASH} vcsharp")


def test_the_key_of_the_page_is_not_shown_on_it(page, runtime, show):
    sink = runtime.state().sinks[0].model_dump()
    runtime.update(sinks=[sink | {"name": "preview", "description": show.url}])
    expect(page.locator("#parts li").nth(2)).to_contain_text("this page", timeout=WAIT_MS)
    token = urlsplit(show.url).query.removeprefix("token=")
    assert len(token) > 20
    assert token not in page.content()
    assert token not in page.url


def test_faults_come_with_their_cures_and_times(page, runtime):
    expect(page.locator("#no-faults")).to_be_visible()
    at_s = time.time() - 30
    lost = "camera '/dev/video0' is gone; plug it in again"
    runtime.update(faults=[{"at_s": at_s, "where": "source", "what": lost, "count": 4}])
    row = page.locator("#faults li")
    expect(row).to_have_count(1, timeout=WAIT_MS)
    expect(row).to_contain_text("camera '/dev/video0' is gone")
    expect(row.locator(".cure")).to_have_text("Plug it in again")
    expect(row).to_contain_text("Camera 4 times")
    expect(row.locator("time")).to_have_text(page.evaluate(CLOCK, at_s))
    expect(page.locator("#no-faults")).to_be_hidden()
    expect(page.locator("#announcer")).to_have_text(f"Fault: {lost}")


CLOCK = "at_s => new Date(at_s * 1000).toLocaleTimeString('en-GB')"


def test_what_is_read_out_does_not_chatter(page, runtime):
    """Twelve figures change each second; a screen reader must hear none of them."""
    page.evaluate(
        """() => {
            window.heard = [];
            const loud = "[aria-live], [role=status], [role=alert]";
            const seen = new MutationObserver((changes) => changes.forEach(({ target }) => {
                const place = (target.closest ? target : target.parentElement)?.closest(loud);
                if (place) window.heard.push(place.id);
            }));
            seen.observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    for number in range(6):
        runtime.update(
            figures={"frames_in": 3000 + number, "fps_out": 20.0 + number}, delay_ms=20.0 + number
        )
        page.wait_for_timeout(500)
    expect(page.locator("[data-figure=frames_in]")).to_have_text("3,005", timeout=WAIT_MS)
    assert page.evaluate("window.heard") == []


def test_the_delay_can_be_copied(page, runtime):
    expect(page.locator("#delay-words")).to_have_text(
        "Sound must be delayed by 14 ms to match the lips."
    )
    runtime.update(delay_ms=41.6)
    expect(page.locator("#delay-words")).to_contain_text("42 ms", timeout=WAIT_MS)
    page.get_by_role("button", name="Copy the delay in milliseconds").click()
    expect(page.locator("#delay-copied")).to_have_text("Copied: 42")
    assert page.evaluate("navigator.clipboard.readText()") == "42"


def test_a_delay_that_is_not_known_cannot_be_copied(page, runtime):
    runtime.update(delay_ms=0.0)
    expect(page.locator("#delay-words")).to_have_text(
        "The delay is not measured yet.", timeout=WAIT_MS
    )
    expect(page.locator("#delay-copy")).to_be_hidden()


def test_the_page_is_quiet_and_asks_nobody_else(browser, show):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    said: list[str] = []
    asked: set[str] = set()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.goto(show.url)
    wait_for_sequence(page, 20)
    page.get_by_label("Strength", exact=True).press("ArrowRight")
    page.get_by_role("switch", name="Camera").click()
    wait_until(page, lambda: show.runtime.state().paused, "the run is paused")
    assert said == []
    assert asked == {urlsplit(show.url).netloc}
    context.close()


def test_a_second_page_may_watch_too(browser, page, show):
    other = open_page(browser, show.url, width=800)
    wait_for_sequence(other, sequence(other) + 5)
    wait_for_sequence(page, sequence(page) + 5)
    other.context.close()
