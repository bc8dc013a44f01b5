"""A live run beside programs that take the whole processor.

pytest -m slow -s tests/pipeline/test_hog.py
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from vcsharp.engine.governor import Decision, Tier
from vcsharp.engine.live import LiveEngine
from vcsharp.engine.machine import usable_cores
from vcsharp.engine.pilot import LoadMeter, Pilot
from vcsharp.engine.worker import choose
from vcsharp.frame import Color, Frame, frame_bytes
from vcsharp.pipeline import Pipeline, Plan
from vcsharp.sinks.base import StreamFormat
from vcsharp.sources.base import SourceFormat
from vcsharp.telemetry import Telemetry

from .conftest import FakeSink

FPS = 25
HOGS_PER_CORE = 3
SIZES = ((1920, 1080), (1280, 720), (960, 540), (640, 360), (320, 180))


@dataclass
class Camera:
    """Noise at a steady rate, so that every tile of every frame has to be computed."""

    width: int
    height: int
    name: str = "camera"
    lossless: bool = False
    sent: int = 0
    started_s: float = 0.0

    def open(self) -> SourceFormat:
        rng = np.random.default_rng(0)
        size = frame_bytes(self.width, self.height)
        self.pictures = [rng.integers(0, 256, size).astype(np.uint8) for _ in range(3)]
        return SourceFormat(self.width, self.height, Fraction(FPS), Color(), "noise")

    def read(self) -> Frame | None:
        self.started_s = self.started_s or time.monotonic()
        time.sleep(max(0.0, self.started_s + self.sent / FPS - time.monotonic()))
        self.sent += 1
        data = self.pictures[self.sent % 3]
        now_ns = time.monotonic_ns()
        return Frame(data, self.width, self.height, sequence=self.sent, captured_ns=now_ns)

    def close(self) -> None:
        """Nothing to close."""


def fitting_size() -> tuple[int, int]:
    """The largest picture that nano does in half of a frame's time here."""
    with choose("nano", "cpu", "ort", "int8", 0, 256) as engine:
        for width, height in SIZES:
            plane = np.zeros((height, width), np.uint8)
            engine.sharpen_luma(plane, 1.0)
            started_s = time.perf_counter()
            for _ in range(5):
                engine.sharpen_luma(plane, 1.0)
            if (time.perf_counter() - started_s) / 5 < 0.5 / FPS:
                return width, height
    pytest.skip("this machine has no time to spare even now")


class Run:
    """A live run in the background."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.decisions: list[Decision] = []
        pilot = Pilot(
            lambda: ([Tier("nano", 1152)], "nano"),
            LoadMeter(usable_cores()),
            on_step=self.decisions.append,
        )
        self.engine = LiveEngine(
            lambda model, device: choose(model, device, "ort", "int8", 0, 256, 0),
            "auto",
            "cpu",
            pilot=pilot,
        )
        self.engine.pace(FPS)
        self.telemetry, self.stop = Telemetry(), threading.Event()
        stream = StreamFormat(*size, Fraction(FPS), Color())
        plan = Plan(lambda _: stream)
        sink = FakeSink(realtime=True)
        sink.results = _Forgetful()
        pipeline = Pipeline(Camera(*size), self.engine, [sink], plan, self.telemetry, self.stop)
        self.thread = threading.Thread(target=pipeline.run)
        self.thread.start()

    def watch(self, seconds: float, label: str) -> list[float]:
        """Frames per second, each second."""
        rates = []
        for _ in range(round(seconds)):
            time.sleep(1)
            rates.append(self.telemetry.rates()[1])
            dropped = self.telemetry.snapshot().frames_dropped
            print(f"{label}: {rates[-1]:5.1f} fps, share {self.engine.status.share:.2f}, "
                  f"{dropped} dropped")  # fmt: skip
        return rates

    def close(self) -> None:
        self.stop.set()
        self.thread.join(20)


class _Forgetful(list):
    def append(self, item) -> None:
        """An output does not keep what it wrote."""


def hogs(stack: ExitStack) -> None:
    for _ in range(HOGS_PER_CORE * usable_cores()):
        hog = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
        stack.callback(hog.kill)


@pytest.mark.slow
def test_the_rate_is_held_beside_a_hog_and_everything_comes_back():
    run = Run(fitting_size())
    try:
        run.watch(6, "alone")
        with ExitStack() as stack:
            hogs(stack)
            beside = run.watch(25, "beside hogs")
        run.watch(45, "alone again")
    finally:
        run.close()
    causes = [decision.cause for decision in run.decisions]
    assert "rate" in causes
    assert np.median(beside[10:]) >= 0.85 * FPS
    assert run.engine.status.share == 1.0
    assert len(causes) <= 16, "it swings"
    assert run.telemetry.snapshot().frames_dropped <= 2 * FPS
