"""Video files: H.264 in MP4, or lossless FFV1 in Matroska. Pictures only, no sound.

Both are written so that a killed run leaves a playable file: MP4 in fragments of about a second,
Matroska in clusters of one frame. MP4 keeps times to 1/90000 s or finer; Matroska, as FFmpeg writes
it, to a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.video.reformatter import ColorRange as AvRange

from vcsharp.errors import SinkError
from vcsharp.frame import Color, ColorMatrix, ColorRange, Frame, Result
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.target import TargetFile

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

_MP4_TICKS_PER_S = 90_000
_MOST_TICKS_PER_S = 10_000_000
_WRITE_BYTES = 1 << 20

_AV_BT709 = 1
"""AVCOL_SPC_BT709, and the same number for primaries and transfer."""
_AV_BT601 = 6
"""AVCOL_SPC_SMPTE170M."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one kind of file is made."""

    label: str
    """For people."""
    container: str
    codec: str
    codec_options: dict[str, str]
    container_options: dict[str, str]
    even_size: bool
    """True where the codec cannot store odd widths or heights."""
    intra_only: bool
    """True where every frame stands alone, False for a key frame every second."""
    ticks_per_s: int | None
    """Fixed by the container, or None where the stream may choose."""


_MP4 = Recipe(
    label="H.264",
    container="mp4",
    codec="libx264",
    # No B-frames: decoding order is display order, so a fragment needs no edit list for its start.
    codec_options={"crf": "18", "preset": "veryfast", "bf": "0"},
    container_options={
        "movflags": "frag_keyframe+delay_moov+default_base_moof",
        "flush_packets": "1",
    },
    even_size=True,
    intra_only=False,
    ticks_per_s=None,
)
_MKV = Recipe(
    label="lossless FFV1",
    container="matroska",
    codec="ffv1",
    codec_options={"level": "3", "slicecrc": "1"},
    container_options={"flush_packets": "1"},
    even_size=False,
    intra_only=True,
    ticks_per_s=1000,
)
RECIPES = {".mp4": _MP4, ".mov": replace(_MP4, container="mov"), ".mkv": _MKV}
"""By the file name's ending, in lower case."""


class FileSink:
    """Writes every frame into a video file, in its own time. Not thread-safe."""

    realtime = False
    paced = False
    dresses = True

    def __init__(self, path: Path, *, force: bool = False, forbidden: Path | None = None) -> None:
        """`force` allows replacing an existing file; `forbidden` is the file being read.

        Raises SinkError where the ending of the name stands for no format that can be written.
        """
        self.name = str(path)
        self._path, self._force, self._forbidden = path, force, forbidden
        self._recipe = _recipe(path)
        self._target: TargetFile | None = None
        self._muxer: _Muxer | None = None

    @property
    def wanted(self) -> bool | None:
        """See `Sink.wanted`: a file wants every picture."""
        return True

    def open(self, stream: StreamFormat) -> str:
        """Creates the file. Raises SinkError where it exists (without `force`) or must not be."""
        if self._recipe.even_size and (stream.width % 2 or stream.height % 2):
            raise SinkError(
                f"cannot write '{self._path}': {self._recipe.label} needs an even size, "
                f"got '{stream.width}x{stream.height}'; write .mkv or give an even --size"
            )
        self._target = TargetFile(self._path, force=self._force, forbidden=self._forbidden)
        try:
            self._muxer = _Muxer(self._target, self._recipe, stream)
        except (av.FFmpegError, ValueError) as error:
            self._target.close()
            raise SinkError(f"cannot write '{self._path}': {error}") from error
        return f"{self._path} ({self._recipe.label}, {stream.width}x{stream.height})"

    def write(self, result: Result) -> None:
        """Adds one frame. Raises SinkError; what was written before stays playable."""
        if self._muxer is None:
            raise SinkError(f"cannot write '{self._path}': it is not open, or failed before")
        self._guarded(partial(self._muxer.write, result.frame))

    def close(self) -> None:
        """Writes what the encoder still holds. Idempotent. Raises SinkError if that fails."""
        muxer, self._muxer = self._muxer, None
        try:
            if muxer is not None:
                self._guarded(muxer.close)
        finally:
            if self._target is not None:
                self._target.close()

    def _guarded(self, call: Callable[[], None]) -> None:
        """Turns a failure into the sentence that tells why, even where FFmpeg swallowed it."""
        try:
            call()
        except (av.FFmpegError, SinkError, ValueError) as error:
            raise self._failed(str(error)) from error
        if self._target is not None and self._target.failure is not None:
            raise self._failed("")

    def _failed(self, reason: str) -> SinkError:
        """The disk's own answer if there is one."""
        # FFmpeg crashes when a failed muxer is used again, if only to end it.
        self._muxer = None
        failure = self._target.failure if self._target is not None else None
        return SinkError(str(failure) if failure else f"cannot write '{self._path}': {reason}")


class _Muxer:
    """Encoder and container of one file."""

    def __init__(self, target: TargetFile, recipe: Recipe, stream: StreamFormat) -> None:
        self._clock = _Clock(recipe.ticks_per_s or _ticks_per_s(stream.fps), stream.fps)
        self._container: OutputContainer = av.open(
            target,
            "w",
            format=recipe.container,
            options=recipe.container_options,
            buffer_size=_WRITE_BYTES,
        )
        self._stream = cast(
            "VideoStream",
            self._container.add_stream(recipe.codec, rate=stream.fps, options=recipe.codec_options),
        )
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = stream.width, stream.height, "yuv420p"
        context.time_base = self._clock.tick_s
        context.gop_size = 1 if recipe.intra_only else max(1, round(stream.fps))
        _tag(context, stream.color)
        context.open()

    def write(self, frame: Frame) -> None:
        """Encodes one frame."""
        picture = _picture(frame)
        picture.pts = self._clock.ticks(frame)
        picture.time_base = self._clock.tick_s
        self._mux(self._stream.encode(picture))

    def close(self) -> None:
        """Empties the encoder and ends the file."""
        try:
            self._mux(self._stream.encode(None))
        finally:
            self._container.close()

    def _mux(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            packet.duration = packet.duration or self._clock.frame_ticks
            self._container.mux(packet)


class _Clock:
    """Times of frames in whole ticks, always rising.

    A frame without a time of its own gets the time of its capture since the first frame. A time
    that does not rise (a looped file, another source) goes on one frame after the last.
    """

    def __init__(self, ticks_per_s: int, fps: Fraction) -> None:
        self.tick_s = Fraction(1, ticks_per_s)
        self.frame_ticks = max(1, round(ticks_per_s / fps))
        self._frame_s = 1 / fps
        self._shift_s = Fraction(0)
        self._first_ns: int | None = None
        self._last_s: Fraction | None = None
        self._last_ticks = -1

    def ticks(self, frame: Frame) -> int:
        """The time of the next frame."""
        time_s = self._seconds(frame) + self._shift_s
        if self._last_s is not None and time_s <= self._last_s:
            late_s = self._last_s + self._frame_s - time_s
            self._shift_s += late_s
            time_s += late_s
        self._last_s = time_s
        # Two frames within one tick of a coarse clock: the second takes the next tick.
        self._last_ticks = max(round(time_s / self.tick_s), self._last_ticks + 1)
        return self._last_ticks

    def _seconds(self, frame: Frame) -> Fraction:
        if frame.timestamp is not None:
            return frame.timestamp
        if self._first_ns is None:
            self._first_ns = frame.captured_ns
        return Fraction(frame.captured_ns - self._first_ns, 10**9)


def _recipe(path: Path) -> Recipe:
    recipe = RECIPES.get(path.suffix.lower())
    if recipe is None:
        raise SinkError(
            f"cannot write '{path}': a video file ends in .mp4 or .mov (H.264) or .mkv (lossless)"
        )
    return recipe


def _ticks_per_s(fps: Fraction) -> int:
    """A clock in which 1/90000 s and the frame rate both come out even, unless absurdly fine."""
    ticks = math.lcm(_MP4_TICKS_PER_S, fps.numerator)
    return ticks if ticks <= _MOST_TICKS_PER_S else _MP4_TICKS_PER_S


def _tag(context: VideoCodecContext, color: Color) -> None:
    """Says in the file how the bytes are to be read."""
    context.color_range = AvRange.JPEG if color.range is ColorRange.FULL else AvRange.MPEG
    if color.matrix is ColorMatrix.BT709:
        context.colorspace = context.color_primaries = context.color_trc = _AV_BT709
    else:
        # Cameras that use BT.601 do not say their primaries and transfer; those stay untagged.
        context.colorspace = _AV_BT601


def _picture(frame: Frame) -> av.VideoFrame:
    """Copies the planes into a picture of FFmpeg's, whose rows are padded."""
    picture = av.VideoFrame(frame.width, frame.height, "yuv420p")
    for plane, samples in zip(picture.planes, frame.planes, strict=True):
        rows = np.frombuffer(cast("bytearray", plane), np.uint8).reshape(-1, plane.line_size)
        rows[: samples.shape[0], : samples.shape[1]] = samples
    return picture
