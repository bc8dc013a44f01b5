"""The virtual camera of Windows and macOS (and, by name, of Linux) through pyvirtualcam."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

from vcsharp.errors import SinkError, SinkIOError
from vcsharp.frame import Color, Result
from vcsharp.sinks.base import StreamFormat

_CURES = {
    "win32": "install OBS Studio (its installer registers the virtual camera)",
    "darwin": "install OBS Studio and press Start Virtual Camera in it once",
    "linux": "run: sudo modprobe v4l2loopback video_nr=10 card_label=vcsharp exclusive_caps=1",
}


class PortableSink:
    """Sends frames through pyvirtualcam as I420, which it passes on unchanged. Not thread-safe."""

    realtime = True
    paced = True
    dresses = False

    def __init__(self, device: str | None = None, *, name: str = "pyvirtualcam") -> None:
        """`device` is a path or label as pyvirtualcam knows it; None takes the first it finds."""
        self.name = name
        self._device = device
        self._camera: Any = None

    @property
    def wanted(self) -> bool | None:
        """See `Sink.wanted`: pyvirtualcam does not tell who looks."""
        return None

    def open(self, stream: StreamFormat) -> str:
        """Opens the camera. Raises SinkError where there is none, or it is in use."""
        if stream.width % 2 or stream.height % 2:
            raise SinkError(
                "a virtual camera needs an even width and height, "
                f"got '{stream.width}x{stream.height}'; give an even --size"
            )
        import pyvirtualcam

        try:
            self._camera = pyvirtualcam.Camera(
                stream.width,
                stream.height,
                float(stream.fps),
                fmt=pyvirtualcam.PixelFormat.I420,
                device=self._device,
            )
        except RuntimeError as error:
            raise SinkError(_refusal(self._device, str(error))) from error
        return f"{self._camera.device} ({stream.width}x{stream.height} I420)"

    def write(self, result: Result) -> None:
        """Hands one picture over. Raises SinkIOError where pyvirtualcam reports a failure.

        On Linux it reports none: a device that went away stays unnoticed there.
        """
        try:
            self._camera.send(result.frame.data)
        except (RuntimeError, ValueError) as error:
            raise SinkIOError(f"cannot write to the virtual camera: {_line(str(error))}") from error

    def close(self) -> None:
        """Releases the camera. Idempotent."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def probe() -> str:
    """The camera found by opening it for a moment. Raises SinkError where there is none."""
    sink = PortableSink()
    try:
        return sink.open(StreamFormat(640, 360, Fraction(30), Color()))
    finally:
        sink.close()


def _refusal(device: str | None, reason: str) -> str:
    what = f"the virtual camera '{device}'" if device else "a virtual camera"
    cure = _CURES.get(sys.platform, _CURES["linux"])
    return f"cannot open {what}: {_line(reason)}; {cure}"


def _line(text: str) -> str:
    return "; ".join(part.strip() for part in text.splitlines() if part.strip())
