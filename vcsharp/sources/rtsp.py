"""Network streams, RTSP above all: newest picture, bounded waits, no credentials in messages."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Literal

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.error import (
    ArgumentError,
    FFmpegError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
)
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vcsharp.errors import SourceError, SourceLost
from vcsharp.frame import Frame
from vcsharp.sources.base import SourceFormat
from vcsharp.sources.urls import redact, scheme_of
from vcsharp.sources.video import color_of, nominal_rate, reason, to_frame

log = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 5.0
"""Cameras that change their exposure or restart their encoder stay silent for a second or two."""

Transport = Literal["tcp", "udp"]


class StreamSource:
    """A live stream: frames are lost rather than late.

    What arrived is handed out at once, so that who calls `read` in a loop keeps up.
    """

    lossless = False

    def __init__(
        self,
        url: str,
        *,
        transport: Transport = "tcp",
        open_timeout_s: float = OPEN_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self.name = redact(url)
        self._url = url
        self._transport = transport
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._container: InputContainer | None = None
        self._packets: Iterator[Packet[VideoStream]] = iter(())
        self._decoded: list[VideoFrame] = []
        self._sequence = 0

    def open(self) -> SourceFormat:
        """Connects, within the open time-out; raises SourceError."""
        started_s = time.monotonic()
        try:
            self._container = av.open(
                self._url,
                options=self._options(),
                timeout=(self._open_timeout_s, self._read_timeout_s),
                metadata_errors="replace",
            )
            stream = self._video_stream(self._container)
            self._packets = self._container.demux(stream)
            return self._format(stream)
        except (FFmpegError, ValueError) as error:
            self.close()
            # `from None`: FFmpeg's own message holds the address with its password.
            raise self._not_opened(error, time.monotonic() - started_s) from None
        except SourceError:
            self.close()
            raise

    def read(self) -> Frame | None:
        """The next picture. Raises SourceLost when none comes within the read time-out."""
        deadline_s = time.monotonic() + self._read_timeout_s
        while not self._decoded:
            self._decoded = self._decode(self._next_packet())
            if not self._decoded and time.monotonic() > deadline_s:
                raise SourceLost(
                    f"'{self.name}' sends data but no picture for {self._read_timeout_s:g} s; "
                    "check the camera's video codec",
                    title="stream without pictures",
                )
        frame = to_frame(
            self._decoded.pop(0), sequence=self._sequence, captured_ns=time.monotonic_ns()
        )
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Hangs up."""
        container, self._container = self._container, None
        self._packets, self._decoded = iter(()), []
        if container is not None:
            container.close()

    def _options(self) -> dict[str, str]:
        """Of FFmpeg; time-outs in microseconds.

        Not `fflags=nobuffer`: it throws away the key frame that was looked at while opening, and
        the picture then waits for the next one. Two frames are enough to guess the rate.
        """
        common = {"flags": "low_delay", "fpsprobesize": "2"}
        timeout_us = str(round(self._read_timeout_s * 1e6))
        if scheme_of(self._url) in ("rtsp", "rtsps"):
            return common | {
                "rtsp_transport": self._transport,
                "allowed_media_types": "video",
                "timeout": timeout_us,
            }
        return common | {"rw_timeout": timeout_us}

    def _video_stream(self, container: InputContainer) -> VideoStream:
        if not container.streams.video:
            raise SourceError(f"'{self.name}' holds no video; check the path behind the host name")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise SourceError(
                f"'{self.name}' sends a kind of video that FFmpeg cannot decode; "
                "set the camera to H.264"
            )
        # Threads that decode whole frames in parallel each hold one back.
        stream.thread_type, stream.thread_count = "SLICE", 1
        stream.codec_context.flags |= Flags.low_delay
        return stream

    def _format(self, stream: VideoStream) -> SourceFormat:
        context = stream.codec_context
        if not context.width or not context.height:
            raise SourceError(
                f"'{self.name}' sent no key frame within {self._open_timeout_s:g} s; "
                "give the camera a shorter key frame interval"
            )
        probe = VideoFrame(context.width, context.height, context.pix_fmt or "yuv420p")
        probe.colorspace, probe.color_range = context.colorspace, context.color_range
        return SourceFormat(
            context.width,
            context.height,
            nominal_rate(stream),
            color_of(probe),
            f"stream {self.name} {context.name}",
        )

    def _next_packet(self) -> Packet[VideoStream]:
        started_s = time.monotonic()
        try:
            packet = next(self._packets, None)
        except (FFmpegError, OSError) as error:
            waited_s = time.monotonic() - started_s
            raise self._lost(error, waited_s) from None
        if packet is None or packet.size == 0:
            raise SourceLost(
                f"'{self.name}' was ended by the other side; waiting for it to return",
                title="stream ended",
            )
        return packet

    def _decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except FFmpegError as error:  # a lost packet, or joined between two key frames
            log.debug("'%s': a packet could not be decoded: %s", self.name, reason(error))
            return []

    def _not_opened(self, error: FFmpegError | ValueError, waited_s: float) -> SourceError:
        words = _opening_words(error, waited_s, self._open_timeout_s)
        refused = isinstance(error, HTTPUnauthorizedError | HTTPForbiddenError)
        title = "stream refuses the password" if refused else "stream not reachable"
        return SourceError(f"cannot open '{self.name}': {words}", title=title)

    def _lost(self, error: FFmpegError | OSError, waited_s: float) -> SourceLost:
        if waited_s > 0.9 * self._read_timeout_s:
            return SourceLost(
                f"'{self.name}' is silent for {waited_s:.1f} s; check the camera and the network",
                title="stream silent",
            )
        return SourceLost(
            f"'{self.name}' was cut off: {reason(error)}; check the camera and the network",
            title="stream cut off",
        )


def _opening_words(error: FFmpegError | ValueError, waited_s: float, timeout_s: float) -> str:
    """Why and what to do. FFmpeg reports a time-out as invalid data, so the time waited decides."""
    if waited_s > 0.9 * timeout_s:
        return f"no answer within {timeout_s:g} s; check the address, and that the camera is on"
    for kind, words in _CURES.items():
        if isinstance(error, kind):
            return words
    if not isinstance(error, FFmpegError):
        return "the address cannot be used; check how it is written"
    return f"{reason(error)}; check the host name and the network"


_CURES: dict[type[Exception], str] = {
    ArgumentError: "the address cannot be used; write / and @ in a password as %2F and %40",
    ConnectionRefusedError: "connection refused; check the port, and that the camera is on",
    HTTPUnauthorizedError: "user name or password refused (401); write rtsp://USER:PASSWORD@...",
    HTTPForbiddenError: "access refused (403); check the user's rights in the camera",
    HTTPNotFoundError: "no such stream there (404); check the path behind the host name",
    InvalidDataError: "what answers there does not send a video stream; check address and port",
}
