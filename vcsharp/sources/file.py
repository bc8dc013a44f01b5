"""Video files, in any format that FFmpeg reads: every frame, in order, with its own time."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vcsharp.errors import SourceError
from vcsharp.frame import Frame
from vcsharp.sources.base import SourceFormat
from vcsharp.sources.timeline import Timeline
from vcsharp.sources.video import nominal_rate, reason, to_frame

log = logging.getLogger(__name__)

_STILLS = frozenset({"image2", "gif", "apng", "webp_anim", "ico"})
_MATROSKA_DURATION = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_TAIL_TOLERANCE_S = Fraction(1, 2)
"""A file that ends earlier than its header says by more than this and two frames was cut off."""


class FileSource:
    """A video file. One that breaks off delivers what can be read, then says where it broke."""

    lossless = True

    def __init__(self, path: str, *, loop: bool = False) -> None:
        self.name = path
        self._path = Path(path).expanduser()
        self._loop = loop
        self._container: InputContainer | None = None
        self._pictures: Iterator[VideoFrame] = iter(())
        self._pending: Frame | None = None
        self._timeline = Timeline(Fraction(1))
        self._sequence = 0
        self._stated_end: Fraction | None = None
        self._broke_at: Fraction | None = None

    def open(self) -> SourceFormat:
        """Opens the file and decodes its first picture, so that whatever opens can also be read."""
        self._check_path()
        try:
            self._container = av.open(str(self._path), metadata_errors="replace")
            return self._start(self._video_stream())
        except FFmpegError as error:
            self.close()
            raise SourceError(
                f"cannot read '{self.name}': {reason(error)}; "
                "it is not a video, or it was cut off or damaged beyond reading"
            ) from error
        except SourceError:
            self.close()
            raise

    def read(self) -> Frame | None:
        """The next picture; None at the end. Raises SourceError if it cannot be rewound to loop."""
        frame, self._pending = self._pending, None
        if frame is None:
            frame = self._convert_next()
        if frame is None and self._loop and self._sequence:
            self._rewind()
            frame = self._convert_next()
        if frame is None:
            self._warn_if_cut_off()
            return None
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Closes the file."""
        container, self._container = self._container, None
        self._pictures, self._pending = iter(()), None
        if container is not None:
            container.close()

    def _check_path(self) -> None:
        """The faults that FFmpeg words badly."""
        if self._path.is_dir():
            raise SourceError(
                f"'{self.name}' is a folder, not a video; for stills use: vcsharp image {self.name}"
            )
        try:
            with self._path.open("rb") as stream:
                empty = not stream.read(1)
        except OSError as error:
            raise SourceError(
                f"cannot open '{self.name}': {reason(error)}; check the path and its permissions"
            ) from error
        if empty:
            raise SourceError(f"'{self.name}' is empty (0 bytes); choose another video")

    def _video_stream(self) -> VideoStream:
        container = self._opened()
        kind = container.format.name
        if kind in _STILLS or kind.endswith("_pipe"):
            raise SourceError(
                f"'{self.name}' is a picture, not a video; use: vcsharp image {self.name}"
            )
        for stream in container.streams.video:
            if not stream.disposition & Disposition.attached_pic:
                return self._decodable(stream)
        raise SourceError(
            f"'{self.name}' holds no video stream (format '{kind}'); choose another file"
        )

    def _decodable(self, stream: VideoStream) -> VideoStream:
        if stream.codec_context is None:
            raise SourceError(
                f"'{self.name}' holds video that FFmpeg cannot decode; choose another file"
            )
        return stream

    def _start(self, stream: VideoStream) -> SourceFormat:
        stream.thread_type = "AUTO"
        rate = nominal_rate(stream)
        self._timeline, self._sequence, self._broke_at = Timeline(1 / rate), 0, None
        duration_s = self._duration_s(stream)
        self._stated_end = None if duration_s is None else _start_s(stream) + duration_s
        self._pictures = self._decode(stream)
        self._pending = first = self._convert_next()
        if first is None:
            raise SourceError(
                f"cannot read '{self.name}': not one picture could be decoded; "
                "the file is empty or damaged"
            )
        frames = stream.frames or (round(duration_s * rate) if duration_s else None)
        return SourceFormat(
            first.width,
            first.height,
            rate,
            first.color,
            f'file "{self._path.name}" {stream.codec_context.name}',
            None if self._loop else frames,
        )

    def _duration_s(self, stream: VideoStream) -> Fraction | None:
        """Of the video; the container's own length counts only where nothing else lies in it."""
        if stream.duration and stream.time_base:
            return stream.duration * stream.time_base
        if stated := _MATROSKA_DURATION.fullmatch(stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = stated.groups()
            return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
        container = self._opened()
        if container.duration and len(container.streams) == 1:
            return Fraction(container.duration, av.time_base)
        return None

    def _decode(self, stream: VideoStream) -> Iterator[VideoFrame]:
        """All pictures that can be had; damaged packets are passed over, the first remembered."""
        packets = self._opened().demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError:
                self._note_break()
                return
            if packet is None:
                return
            try:
                yield from packet.decode()
            except FFmpegError:
                self._note_break()

    def _convert_next(self) -> Frame | None:
        picture = next(self._pictures, None)
        if picture is None:
            return None
        presentation = None
        if picture.pts is not None and picture.time_base is not None:
            presentation = picture.pts * picture.time_base
        return to_frame(
            picture,
            sequence=self._sequence,
            captured_ns=time.monotonic_ns(),
            timestamp=self._timeline.stamp(presentation),
        )

    def _rewind(self) -> None:
        container = self._opened()
        try:
            container.seek(container.start_time or 0)
        except FFmpegError as error:
            raise SourceError(
                f"cannot loop '{self.name}': {reason(error)}; play it without --loop"
            ) from error
        self._timeline.rewind()
        self._pictures = self._decode(self._video_stream())

    def _note_break(self) -> None:
        if self._broke_at is None:
            self._broke_at = self._timeline.last or Fraction(0)

    def _warn_if_cut_off(self) -> None:
        last, end = self._timeline.last, self._stated_end
        if self._container is None or last is None:
            return
        if self._broke_at is not None:
            words = f"is damaged from {float(self._broke_at):.2f} s on"
        elif end is not None and end - last > _TAIL_TOLERANCE_S + 2 * self._timeline.step:
            words = f"breaks off at {float(last):.2f} s of {float(end):.2f} s"
        else:
            return
        log.warning("'%s' %s; %d frames could be read", self.name, words, self._sequence)
        self._stated_end = self._broke_at = None  # said once

    def _opened(self) -> InputContainer:
        if self._container is None:
            raise SourceError(f"'{self.name}' is not open")
        return self._container


def _start_s(stream: VideoStream) -> Fraction:
    if stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    return stream.start_time * stream.time_base
