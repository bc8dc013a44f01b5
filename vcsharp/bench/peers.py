"""What others' sharpeners cost on the same frames: FFmpeg's `cas` and `unsharp`, OpenCV's unsharp.

All of them restore luma only, as the students do. FFmpeg's filters are measured twice: inside this
process through PyAV, whose libavfilter is always at hand, and as the program `ffmpeg` where there
is one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import cv2
from av.error import FFmpegError

from vcsharp.bench.contender import CLOCKS, Clocks, NotHereError, Sample, Subject, timed
from vcsharp.bench.frames import pictures
from vcsharp.errors import BackendError
from vcsharp.frame import Frame

FILTERS = {
    "cas": "strength=0.5:planes=1",
    "unsharp": "luma_msize_x=5:luma_msize_y=5:luma_amount=1:chroma_amount=0",
}
UNSHARP_EDGE_PX, UNSHARP_AMOUNT = 5, 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """What a program's run took."""

    wall_s: float
    cpu_s: float


class LinkedFilter:
    """A filter of libavfilter inside this process; see `Contender`."""

    def __init__(self, name: str, size: tuple[int, int], clocks: Clocks = CLOCKS) -> None:
        self.subject = Subject("peers", f"ffmpeg {name} (in PyAV)", size, backend="libavfilter")
        self._filter, self._size, self._clocks = name, size, clocks
        self._graph: Any = None
        self._pictures: list[av.VideoFrame] = []

    def prepare(self) -> None:
        """Builds the filter's graph. Raises NotHereError where PyAV was built without it."""
        if self._filter not in av.filter.filters_available:
            raise NotHereError(f"PyAV has no filter '{self._filter}'")
        width, height = self._size
        shape = (height * 3 // 2, width)
        self._pictures = [
            av.VideoFrame.from_ndarray(frame.data.reshape(shape), "yuv420p")
            for frame in pictures(width, height)
        ]
        self._graph = self._built()
        self._step(0)

    def _built(self) -> Any:
        width, height = self._size
        graph = av.filter.Graph()
        entry = graph.add_buffer(
            width=width,
            height=height,
            format=av.VideoFormat("yuv420p"),
            time_base=Fraction(1, 30),
        )
        nodes = [entry, graph.add(self._filter, FILTERS[self._filter]), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        return graph

    def turn(self, seconds: float) -> Sample:
        """Frames one after the other."""
        return timed(self._step, seconds, self._clocks)

    def close(self) -> None:
        """Frees the graph."""
        self._graph, self._pictures = None, []

    def _step(self, number: int) -> None:
        try:
            self._graph.push(self._pictures[number % len(self._pictures)])
            self._graph.pull()
        except FFmpegError as error:
            raise BackendError(f"libavfilter failed in '{self._filter}': {error}") from error


class OpenCvUnsharp:
    """The unsharp mask that everybody writes with OpenCV; see `Contender`."""

    def __init__(self, size: tuple[int, int], clocks: Clocks = CLOCKS) -> None:
        self.subject = Subject("peers", "opencv unsharp", size, backend="opencv")
        self._clocks = clocks

    def prepare(self) -> None:
        """Works once."""
        self.turn(0.0)

    def turn(self, seconds: float) -> Sample:
        """Frames one after the other."""
        assert self.subject.size is not None
        frames = pictures(*self.subject.size)
        return timed(lambda number: _unsharp(frames[number % len(frames)]), seconds, self._clocks)

    def close(self) -> None:
        """Nothing to free."""


def _unsharp(frame: Frame) -> Any:
    blurred = cv2.GaussianBlur(frame.y, (UNSHARP_EDGE_PX, UNSHARP_EDGE_PX), 0)
    return cv2.addWeighted(frame.y, 1 + UNSHARP_AMOUNT, blurred, -UNSHARP_AMOUNT, 0)


RunProgram = Callable[[Sequence[str]], Run]
"""Runs a program to its end. Raises BackendError if it fails."""


class ProgramFilter:
    """The program `ffmpeg` with a filter, less the same run with the filter `null`.

    Only the CPU time of the two can be told from each other, not the wall-clock time: the program
    reads, filters and drops frames on several threads. See `Contender`.
    """

    def __init__(
        self,
        name: str,
        size: tuple[int, int],
        which: Callable[[str], str | None] = shutil.which,
        run: RunProgram | None = None,
    ) -> None:
        self.subject = Subject("peers", f"ffmpeg {name} (program)", size, backend="ffmpeg")
        self._filter, self._size, self._which = name, size, which
        self._run = run or run_program
        self._program = ""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._frame_s = 0.0

    def prepare(self) -> None:
        """Writes the frames to a file. Raises NotHereError where no `ffmpeg` is on the path."""
        self._program = self._which("ffmpeg") or ""
        if not self._program:
            raise NotHereError("no program 'ffmpeg' on the PATH")
        self._folder = tempfile.TemporaryDirectory(prefix="vcsharp-bench-")
        with self._file.open("wb") as file:
            for frame in pictures(*self._size):
                file.write(frame.data.tobytes())
        self._frame_s = self._timed(8)[0].wall_s / 8

    def turn(self, seconds: float) -> Sample:
        """As many frames as should fit; two runs share the time."""
        frames = max(8, round(seconds / 2 / max(self._frame_s, 1e-4)))
        filtered, idle = self._timed(frames)
        self._frame_s = filtered.wall_s / frames
        return Sample(frames, 0.0, max(0.0, filtered.cpu_s - idle.cpu_s))

    def close(self) -> None:
        """Removes the file."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def _file(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "frames.yuv"

    def _timed(self, frames: int) -> tuple[Run, Run]:
        """With the filter, and without."""
        chain = f"{self._filter}={FILTERS[self._filter]}"
        return self._run(self._argv(chain, frames)), self._run(self._argv("null", frames))

    def _argv(self, chain: str, frames: int) -> list[str]:
        width, height = self._size
        picture = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", f"{width}x{height}"]
        entry = ["-stream_loop", "-1", "-framerate", "30", "-i", str(self._file)]
        work = ["-frames:v", str(frames), "-vf", chain, "-f", "null", "-"]
        return [self._program, "-v", "error", "-nostdin", *picture, *entry, *work]


PROGRAM_TIMEOUT_S = 60.0


def run_program(argv: Sequence[str]) -> Run:
    """Runs a program to its end. Raises BackendError with its last line if it fails."""
    before_s = _children_cpu_s()
    started_s = CLOCKS.wall()
    try:
        # A session of its own: Ctrl-C is for this program, which lets a turn come to its end.
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=PROGRAM_TIMEOUT_S,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"'{argv[0]}' failed: {error}") from error
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise BackendError(f"'{argv[0]}' failed: {why}")
    return Run(CLOCKS.wall() - started_s, _children_cpu_s() - before_s)


def _children_cpu_s() -> float:
    """User and system time of all children that have ended."""
    if sys.platform == "win32":
        times = os.times()
        return times.children_user + times.children_system
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # in microseconds; os.times has 10 ms
    return used.ru_utime + used.ru_stime
