"""Makes the pictures of the documentation from the demo scene, with the program itself.

    .venv/bin/python docs/pictures.py             before-after.png, panel.svg
    .venv/bin/python docs/pictures.py --browser   preview.png as well (needs Chromium)
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from io import StringIO
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import sync_playwright
from rich.console import Console

from vcsharp.console import panel
from vcsharp.engine.worker import choose
from vcsharp.frame import Bytes, Frame
from vcsharp.sources.demo import DemoSource
from vcsharp.telemetry import RunFacts, Telemetry

IMAGES = Path(__file__).parent / "images"
FRAME_NUMBER = 60
CROPS = {"face": (470, 250, 560, 400), "slide": (1130, 220, 560, 400)}
"""(left, top, width, height) in the 1920x1080 scene."""


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


def crop(picture: Bytes, box: tuple[int, int, int, int], label: str) -> Bytes:
    left, top, width, height = box
    part = picture[top : top + height, left : left + width].copy()
    place = (12, height - 14)
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(part, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, color, thickness, cv2.LINE_AA)
    return part


def before_after() -> None:
    """Two places of one frame, left as it arrived, right as it is sent."""
    frame = demo_frame()
    with choose("nano", "cpu", "auto", "auto", 0, 512) as engine:
        pictures = {"before": rgb(frame), "after": rgb(engine.process(frame))}
    rows = [
        np.hstack([crop(picture, box, label) for label, picture in pictures.items()])
        for box in CROPS.values()
    ]
    cv2.imwrite(str(IMAGES / "before-after.png"), np.vstack(rows))


def run_for(seconds: float, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vcsharp.cli", "run", "--seconds", str(seconds), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def preview() -> None:
    """The page as a new user sees it."""
    with run_for(20, "--source", "demo", "--sink", "preview") as process, sync_playwright() as driver:
        assert process.stderr is not None
        url = next(m[0] for line in process.stderr if (m := re.search(r"http://\S+", line)))
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1010})
        page.goto(url)
        time.sleep(8)
        page.screenshot(path=str(IMAGES / "preview.png"))
        browser.close()
        process.terminate()


def terminal() -> None:
    """The panel, as drawn during a real run."""
    import threading
    from fractions import Fraction

    from vcsharp.frame import Color
    from vcsharp.pipeline import Pipeline, Plan
    from vcsharp.sinks.base import StreamFormat
    from vcsharp.sinks.null import NullSink

    facts = RunFacts("demo", ("null",), "nano", "cpu", "onnxruntime int8", "1920x1080", "12 x 500x376")
    telemetry = Telemetry(facts)
    stream = StreamFormat(1920, 1080, Fraction(30), Color())
    engine = choose("nano", "cpu", "auto", "auto", 0, 512)
    plan = Plan(lambda _: stream, seconds=6)
    drawn: list[object] = []
    threading.Timer(8, lambda: drawn.append(panel(telemetry, None, 96))).start()
    Pipeline(DemoSource(), engine, [NullSink("null")], plan, telemetry, threading.Event()).run()
    console = Console(record=True, width=98, file=StringIO())
    console.print(drawn[0] if drawn else panel(telemetry, None, 96))
    console.save_svg(str(IMAGES / "panel.svg"), title="vcsharp run --sink null")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", action="store_true", help="also take the page's picture")
    wish = parser.parse_args()
    before_after()
    terminal()
    if wish.browser:
        preview()


if __name__ == "__main__":
    main()
