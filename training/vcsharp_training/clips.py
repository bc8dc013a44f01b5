"""Frames of video files, as sharp pictures: one in so many, and none twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vcsharp_training.errors import DataError
from vcsharp_training.images import Picture

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".y4m"}
)
_THUMB_PX = (64, 36)
_SAME_LEVELS = 1.0
"""Frames whose thumbnails differ by less on average show the same."""


def frames(path: Path, stride: int, limit: int) -> Iterator[Picture]:
    """Every `stride`-th frame in BGR, uint8 H x W x 3, at most `limit`.

    Of a clip that is longer than that, frames farther apart are taken; of frames that look the
    same, the first. Raises DataError where the file cannot be read, also after the first frames.
    """
    last: NDArray[np.uint8] | None = None
    kept = 0
    for bgr in _every(path, stride, limit):
        thumb = cv2.resize(bgr, _THUMB_PX, interpolation=cv2.INTER_AREA).astype(np.uint8)
        if last is not None and cv2.absdiff(thumb, last).mean() < _SAME_LEVELS:
            continue
        last, kept = thumb, kept + 1
        yield bgr
        if kept == limit:
            return


def _every(path: Path, stride: int, limit: int) -> Iterator[Picture]:
    cure = "remove or replace it"
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"cannot use '{path}': it has no pictures in it; {cure}")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            step = max(stride, stream.frames // limit)
            for index, frame in enumerate(container.decode(stream)):
                if index % step == 0:
                    yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    except av.FFmpegError as error:
        raise DataError(f"cannot decode '{path}': {error.strerror}; {cure}") from error
