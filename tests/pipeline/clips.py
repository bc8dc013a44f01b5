"""Short recordings, made on the fly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_clip(
    path: Path, frames: int = 30, size: tuple[int, int] = (96, 64), fps: int = 30
) -> Path:
    """A moving gradient in H.264."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = (
            width + width % 2,
            height + height % 2,
            "yuv420p",
        )
        for number in range(frames):
            ramp = (np.arange(width)[None] * 3 + np.arange(height)[:, None] * 2 + 5 * number) % 256
            rgb = np.repeat(ramp.astype(np.uint8)[..., None], 3, 2)
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def timestamps(path: Path) -> list[Fraction]:
    """Presentation times in seconds of every frame."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [Fraction(frame.pts or 0) * (frame.time_base or 1) for frame in frames]


def size_of(path: Path) -> tuple[int, int]:
    """(width, height) of the video stream."""
    with av.open(str(path)) as container:
        return container.streams.video[0].width, container.streams.video[0].height
