"""Makes the pictures of the documentation from the demo scene, with the program itself.

.venv/bin/python docs/pictures.py             before-after.png
.venv/bin/python docs/pictures.py --browser   page-*.png as well (needs Chromium)
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from vcsharp.engine.worker import choose
from vcsharp.frame import Bytes, Frame
from vcsharp.sources.demo import DemoSource

IMAGES = Path(__file__).parent / "images"
FRAME_NUMBER = 60
FONT = cv2.FONT_HERSHEY_SIMPLEX
CROPS = {"face": (470, 250, 560, 400), "slide": (1130, 220, 560, 400)}
"""(left, top, width, height) in the 1920x1080 scene."""
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 1.5,
        "has_touch": True,
        "is_mobile": True,
    },
}
CHART_S = 62
"""Until the charts are full."""
WATCH_S = 3


def rgb(frame: Frame) -> Bytes:
    """As OpenCV's BGR."""
    planes = frame.data.reshape(frame.height * 3 // 2, frame.width)
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


def demo_frame() -> Frame:
    source = DemoSource()
    source.open()
    frames = iter(source.read, None)
    frame = next(islice(frames, FRAME_NUMBER, None))
    source.close()
    return frame


def cropped(picture: Bytes, box: tuple[int, int, int, int], label: str) -> Bytes:
    left, top, width, height = box
    part = picture[top : top + height, left : left + width].copy()
    place = (12, height - 14)
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(
            part, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, color, thickness, cv2.LINE_AA
        )
    return part


def before_after() -> None:
    """Two places of one frame, left as it arrived, right as it is sent."""
    frame = demo_frame()
    with choose("nano", "cpu", "auto", "auto", 0, 512) as engine:
        pictures = {"before": rgb(frame), "after": rgb(engine.process(frame))}
    rows = [
        np.hstack([cropped(picture, box, label) for label, picture in pictures.items()])
        for box in CROPS.values()
    ]
    cv2.imwrite(str(IMAGES / "before-after.png"), np.vstack(rows))


@contextmanager
def demo_run() -> Iterator[str]:
    """A run of the demo scene for as long as the block lasts; gives the page's address."""
    options = ["--source", "demo", "--sink", "preview", "--open-browser", "no", "--no-control"]
    options += ["--size", "1280x720"]  # so that an older processor keeps up as well
    options += ["--governor", "off"]  # the browser takes the processor's time: sharpen all the same
    command = [sys.executable, "-m", "vcsharp", "run", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        yield next(m[0] for line in process.stderr if (m := re.search(r"http://\S+", line)))
        process.terminate()


def pages() -> None:
    """The control page of a run, as people see it after a minute."""
    with demo_run() as url, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        opened = {name: browser.new_page(**look) for name, look in LOOKS.items()}
        for page in opened.values():
            page.goto(url)
            page.locator("#looking").click()  # the browser must not take the run's cores
        page.wait_for_timeout(1000 * CHART_S)
        for name, page in opened.items():
            page.locator("#looking").click()
            page.wait_for_timeout(1000 * WATCH_S)
            page.screenshot(path=str(IMAGES / f"page-{name}.png"), full_page=name == "light")
            page.close()
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", action="store_true", help="also take the page's pictures")
    wish = parser.parse_args()
    before_after()
    if wish.browser:
        pages()


if __name__ == "__main__":
    main()
