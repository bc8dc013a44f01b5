"""Small videos made on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Planes = list[NDArray[Any]]


def planes_of(number: int, width: int, height: int, layout: str = "yuv420p") -> Planes:
    """Random but smooth planes of a planar 8 or 10 bit layout; another picture for each number."""
    generator = np.random.default_rng(number)
    wide = "420" in layout or "422" in layout
    tall = "420" in layout
    chroma = ((height + tall) // (1 + tall), (width + wide) // (1 + wide))
    top, dtype = (940, np.dtype("<u2")) if "10" in layout else (235, np.dtype(np.uint8))
    low = top // 15
    shapes = ((height, width), chroma, chroma)
    return [generator.integers(low, top, shape).astype(dtype) for shape in shapes]


def picture(planes: Planes, layout: str = "yuv420p") -> av.VideoFrame:
    """A PyAV frame that holds the planes."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, layout)
    for target, plane in zip(frame.planes, planes, strict=True):
        rows = np.zeros((target.height, target.line_size), np.uint8)
        samples = plane.view(np.uint8).reshape(plane.shape[0], -1)
        rows[:, : samples.shape[1]] = samples
        target.update(rows.tobytes())
    return frame


def write_video(
    path: Path,
    pictures: Sequence[av.VideoFrame],
    *,
    codec: str = "ffv1",
    pts: Sequence[int] | None = None,
    fps: int = 25,
    options: dict[str, str] | None = None,
    rotation: int | None = None,
    color_range: int | None = None,
    colorspace: int | None = None,
) -> Path:
    """Encodes pictures (all of the first one's size and layout) with times `pts / fps`."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height = pictures[0].width, pictures[0].height
        stream.pix_fmt = pictures[0].format.name
        if color_range is not None:
            stream.codec_context.color_range = color_range
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for index, frame in enumerate(pictures):
            frame.pts = pts[index] if pts else index
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def random_clip(path: Path, count: int = 10, size: tuple[int, int] = (64, 48), **how: Any) -> Path:
    """`count` lossless 4:2:0 pictures: number n holds `planes_of(n, *size)`."""
    return write_video(path, [picture(planes_of(n, *size)) for n in range(count)], **how)
