"""The preview page in a real browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from vcsharp.frame import Color, Frame, Result, black
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.preview import PreviewSink

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome", "chrome"])),
    None,
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

WIDTH, HEIGHT = 640, 360
WAIT_MS = 30_000
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
STATS = {
    "fps_in": 29.97,
    "fps_out": 29.94,
    "latency_ms": {"p50": 14.2, "p95": 18.9, "p99": 30.0},
    "stage_ms": {"capture": 2.13, "engine": 9.7, "sink": 1.4},
    "frames_in": 12345,
    "frames_dropped": 3,
    "status": "live",
    "source": "demo",
    "model": "nano",
    "device": "cpu",
    "backend": "onnxruntime int8",
    "cpu_percent": 84.2,
    "rss_mib": 312.4,
    "version": "1.2.3",
}


def scene(number: int) -> Result:
    """After: bright, with fine stripes; before: dark and plain. A bar moves through both."""
    after, before = black(WIDTH, HEIGHT), black(WIDTH, HEIGHT)
    after.y[:] = np.where(np.arange(WIDTH) % 8 < 4, 150, 190)
    before.y[:] = 60
    start = 7 * number % (WIDTH - 40)
    for frame in (after, before):
        frame.y[:, start : start + 40] = 235
    return Result(after, before)


class Show:
    """A preview that is fed 20 frames a second by its own thread."""

    def __init__(self, stats: dict[str, Any]) -> None:
        self.sink = PreviewSink(stats=lambda: stats)
        self.url = self.sink.open(StreamFormat(WIDTH, HEIGHT, Fraction(20), Color()))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def _feed(self) -> None:
        number = 0
        while not self._stop.wait(0.05):
            self.sink.write(scene(number))
            number += 1

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        self.sink.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def stats() -> dict[str, Any]:
    return dict(STATS)


@pytest.fixture
def show(stats) -> Iterator[Show]:
    made = Show(stats)
    yield made
    made.end()


@pytest.fixture
def page(browser, show) -> Iterator[Page]:
    opened = open_page(browser, show.url)
    yield opened
    opened.context.close()


def open_page(browser: Browser, url: str, scheme: Any = "light", width: int = 1280) -> Page:
    context = browser.new_context(
        color_scheme=scheme, viewport=ViewportSize(width=width, height=900)
    )
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    opened.goto(url)
    expect(opened.locator("#stage[data-state=live]")).to_be_visible(timeout=WAIT_MS)
    return opened


def shot(page: Page, path: Path) -> np.ndarray:
    """The stage as seen: blue, green, red."""
    page.locator("#stage").screenshot(path=path)
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return pixels


def share_before(page: Page) -> float:
    """Where the line stands, 0 at the left edge to 1 at the right."""
    line, stage = page.locator(".divider").bounding_box(), page.locator("#stage").bounding_box()
    assert line is not None
    assert stage is not None
    return (line["x"] + line["width"] / 2 - stage["x"]) / stage["width"]


def sequence(page: Page) -> int:
    return int(page.locator("#stage").get_attribute("data-sequence") or 0)


def wait_for_sequence(page: Page, number: int) -> None:
    """Until the picture of that number or a later one is drawn; the page's policy forbids eval."""
    for _ in range(WAIT_MS // 100):
        if sequence(page) >= number:
            return
        page.wait_for_timeout(100)
    pytest.fail(f"the page never drew picture {number}, only {sequence(page)}")


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
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    slider = page.get_by_role("slider", name="Share of the picture shown before sharpening")
    expect(slider).to_be_focused()
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


def test_the_figures_are_shown_and_renewed(page, stats):
    shown = {
        "fps_out": "29.9",
        "fps_in": "30.0",
        "latency_p50": "14",
        "latency_p95": "19",
        "stage_capture": "2.1",
        "stage_engine": "9.7",
        "frames_dropped": "3",
        "frames_in": "12,345",
        "source": "demo",
        "model": "nano",
        "device": "cpu · onnxruntime int8",
        "size": "640 \N{MULTIPLICATION SIGN} 360",
        "cpu_percent": "84 % of a core",
        "rss_mib": "312 MiB",
        "version": "vcsharp 1.2.3",
    }
    for name, text in shown.items():
        expect(page.locator(f"[data-figure={name}]")).to_have_text(text, timeout=WAIT_MS)
    expect(page.locator("#status")).to_have_text("Live")
    stats.update(frames_dropped=1234, status="reconnecting: <b>no camera</b>")
    expect(page.locator("[data-figure=frames_dropped]")).to_have_text("1,234", timeout=WAIT_MS)
    expect(page.locator("#status")).to_have_text("Reconnecting: <b>no camera</b>")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_can_be_read(browser, show, scheme, tmp_path):
    page = open_page(browser, show.url, scheme)
    expect(page.locator("[data-figure=source]")).to_have_text("demo", timeout=WAIT_MS)
    page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
    ground, ink, soft = page.evaluate(
        """() => [
            getComputedStyle(document.querySelector("article")).backgroundColor,
            getComputedStyle(document.body).color,
            getComputedStyle(document.querySelector("h2")).color,
        ].map((color) => color.match(/[0-9.]+/g).slice(0, 3).map(Number))"""
    )
    assert (luminance(ground) > 0.5) is (scheme == "light")
    assert contrast(ground, ink) > 7
    assert contrast(ground, soft) > 4.5
    page.context.close()


def luminance(rgb: list[float]) -> float:
    """Relative luminance as WCAG defines it."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(rgb) / 255
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: list[float], other: list[float]) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_a_narrow_window_needs_no_sideways_scrolling(browser, show):
    page = open_page(browser, show.url, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.context.close()


def test_the_snapshot_is_the_picture_after(page):
    with page.expect_download(timeout=WAIT_MS) as download:
        page.get_by_role("link", name="Save picture").click()
    assert download.value.suggested_filename.endswith(".png")
    pixels = np.asarray(cv2.imread(str(download.value.path())))
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert np.median(pixels) > 140


def test_the_end_of_the_stream_is_told_and_the_picture_stays(page, show, tmp_path):
    show.end()
    expect(page.locator("#notice")).to_have_text(
        "The stream has ended. Start vcsharp again to go on.", timeout=WAIT_MS
    )
    expect(page.locator("#status")).to_have_text("Ended")
    expect(page.locator("#snapshot")).to_have_attribute("aria-disabled", "true")
    assert shot(page, tmp_path / "ended.png").std() > 20


def test_the_page_goes_on_when_vcsharp_is_there_again(browser, stats):
    first = Show(stats)
    page = open_page(browser, first.url)
    first.end()
    expect(page.locator("#status")).to_have_text("Ended", timeout=WAIT_MS)
    second = PreviewSink(urlsplit(first.url).port or 0, stats=lambda: stats)
    try:
        second.open(StreamFormat(320, 240, Fraction(20), Color()))
        small: Frame = black(320, 240)
        second.write(Result(small, small))
        expect(page.locator("#status")).to_have_text("Live", timeout=WAIT_MS)
        expect(page.locator("#after[width='320'][height='240']")).to_be_visible()
    finally:
        page.context.close()
        second.close()


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
    expect(page.locator("[data-figure=source]")).to_have_text("demo", timeout=WAIT_MS)
    assert said == []
    assert asked == {urlsplit(show.url).netloc}
    context.close()
