"""The page before a real run of the program: each control changes what the run does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pipeline.process import ask, started, wait_for_state

from .browsing import WAIT_MS, open_page, sequence, wait_for_sequence

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

LONG_MS = 90_000
SIZE = (320, 180)
FIRST = {
    "source": "demo",
    "model": "nano",
    "strength": 1.0,
    "compare": "off",
    "overlay": "preview",
}
"""The options of a run that nobody changed."""


class Run:
    """A run of the demo scene with its page open."""

    def __init__(self, folder: Path, page: Page, process: subprocess.Popen[str]) -> None:
        self.folder, self.page, self._process = folder, page, process

    def stop(self) -> None:
        """Asks it to end, once: a second time would force it."""
        self._process.terminate()
        assert self._process.wait(60) == 0

    def until(self, **options: Any) -> None:
        """Until the run's own options are as wanted."""
        wait_for_state(
            self.folder,
            lambda state: all(state["options"][name] == value for name, value in options.items()),
        )


@contextmanager
def started_run(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program and the address of its page."""
    arguments = ("--source", "demo", "--sink", "preview", "--size", "320x180", "--fps", "10")
    with started(folder, *arguments, "--open-browser", "no") as (process, line):
        found = re.search(r"http://\S+", line)
        assert found is not None
        yield process, found[0]


@pytest.fixture(scope="module")
def one_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, subprocess.Popen[str], str]]:
    """A run that all tests steer, for it takes seconds to start one."""
    folder = tmp_path_factory.mktemp("run")
    with started_run(folder) as (process, url):
        yield folder, process, url
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def run(browser: Browser, one_run: tuple[Path, subprocess.Popen[str], str]) -> Iterator[Run]:
    """The run as it was at first, before a page of this test's own."""
    folder, process, url = one_run
    ask(folder, "POST", "/api/resume")
    first = ask(folder, "PATCH", "/api/options", FIRST)["options"]
    assert {name: first[name] for name in FIRST} == FIRST
    page = open_page(browser, url)
    yield Run(folder, page, process)
    page.context.close()


@pytest.fixture
def own_run(browser: Browser, tmp_path: Path) -> Iterator[Run]:
    """One that the test may end."""
    with started_run(tmp_path) as (process, url):
        page = open_page(browser, url)
        yield Run(tmp_path, page, process)
        page.context.close()


def test_the_end_of_the_run_is_told(own_run):
    """First, so that it need not share the machine with the run of the others."""
    own_run.stop()
    expect(own_run.page.locator("#status")).to_have_text("No answer", timeout=LONG_MS)
    expect(own_run.page.locator("#notice")).not_to_be_empty()


def test_every_control_steers_the_run(run):
    page, asked = run.page, set[str]()
    page.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
    wait_for_sequence(page, sequence(page) + 3)

    slider = page.get_by_role("slider", name="Strength")
    slider.press("End")
    run.until(strength=2.0)
    page.get_by_role("button", name="Reset strength to 1").click()
    run.until(strength=1.0)

    page.get_by_role("radio", name="none").check(force=True)
    run.until(model="none")
    expect(page.locator("#parts li").nth(1)).to_contain_text("No sharpening", timeout=LONG_MS)
    page.get_by_role("radio", name=re.compile("^nano")).check(force=True)
    run.until(model="nano")
    expect(page.locator("#parts li").nth(1)).to_contain_text("Nano is sharpening", timeout=LONG_MS)

    for label, value in {"Split": "split", "Side by side": "side", "Line here": "off"}.items():
        page.get_by_role("radio", name=label, exact=True).check(force=True)
        run.until(compare=value)
    for label, value in {"Everyone": "all", "Hidden": "off", "This page": "preview"}.items():
        page.get_by_role("radio", name=label, exact=True).check(force=True)
        run.until(overlay=value)

    switch = page.get_by_role("switch", name="Camera")
    switch.click()
    wait_for_state(run.folder, lambda state: state["source"]["state"] == "paused")
    expect(page.locator("#status")).to_have_text("Paused", timeout=LONG_MS)
    expect(page.locator("#parts li").nth(0)).to_contain_text("is off: paused", timeout=LONG_MS)
    switch.click()
    wait_for_state(run.folder, lambda state: state["source"]["state"] == "live")
    expect(page.locator("#status")).to_have_text("Live", timeout=LONG_MS)
    assert asked == {"127.0.0.1"}


def test_a_video_file_is_taken_and_the_demo_after_it(run):
    page, clip = run.page, run.folder / "clip.mkv"
    write_clip(clip)
    page.get_by_role("textbox", name="Network camera or video file").fill(str(clip))
    page.get_by_role("button", name="Use this address").click()
    run.until(source=str(clip))
    expect(page.locator("#status")).to_have_text("Ended", timeout=LONG_MS)
    expect(page.locator("#parts li").nth(0)).to_contain_text("The video is over")
    page.locator("#source-list").get_by_role("button", name="Demo scene").click()
    run.until(source="demo")
    expect(page.locator("#status")).to_have_text("Live", timeout=LONG_MS)


def test_what_the_run_refuses_is_told_at_the_control(run):
    page = run.page
    page.get_by_role("textbox", name="Network camera or video file").fill("gopher://host/one")
    page.get_by_role("button", name="Use this address").click()
    expect(page.locator("#source-error")).to_contain_text("no streams by 'gopher'", timeout=LONG_MS)
    run.until(source="demo")
    expect(page.locator("#source-list [aria-current]")).to_contain_text("Demo scene")


def test_the_settings_file_is_read_again(run):
    page, folder = run.page, run.folder / "config" / "vcsharp"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('strength = 0.5\nrtsp_transport = "udp"\n')
    page.get_by_role("button", name="Read settings again").click()
    run.until(strength=0.5)
    expect(page.locator("#reload-result")).to_have_text(
        "Changed: strength. After a restart: rtsp_transport.", timeout=LONG_MS
    )
    expect(page.get_by_role("slider", name="Strength")).to_have_value("0.5", timeout=WAIT_MS)


def test_a_picture_is_saved_in_the_size_that_is_sent(run):
    with run.page.expect_download(timeout=LONG_MS) as download:
        run.page.get_by_role("button", name="Save picture before and after").click()
    pixels = np.asarray(cv2.imread(str(download.value.path())))
    width, height = SIZE
    assert pixels.shape == (height, 2 * width, 3)
    left, right = pixels[:, :width].astype(int), pixels[:, width:].astype(int)
    assert left.std() > 20
    assert 0.1 < np.abs(left - right).mean() < 20  # one scene, sharpened


def test_a_run_that_stops_answering_and_comes_back_is_followed(run):
    """Held back by the system, as in a machine that sleeps."""
    page = run.page
    process_id = ask(run.folder, "GET", "/api/state")["pid"]
    os.kill(process_id, signal.SIGSTOP)
    try:
        expect(page.locator("#status")).to_have_text("No answer", timeout=LONG_MS)
    finally:
        os.kill(process_id, signal.SIGCONT)
    expect(page.locator("#status")).to_have_text("Live", timeout=LONG_MS)
    expect(page.locator("#notice")).to_be_empty(timeout=LONG_MS)
    wait_for_sequence(page, sequence(page) + 2)


def write_clip(path: Path) -> None:
    """One second of grey that brightens, lossless."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(10):
            pixels = np.full((SIZE[1], SIZE[0], 3), 60 + 10 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
