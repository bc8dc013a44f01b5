"""From what the user typed to a source; heavy modules are loaded only for the one chosen."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from vcsharp.errors import SettingsError, SourceError
from vcsharp.frame import Frame
from vcsharp.redact import redact_word
from vcsharp.sources.base import Source, SourceFormat
from vcsharp.sources.cameras import list_cameras
from vcsharp.sources.urls import STREAM_SCHEMES, redact, scheme_of

if TYPE_CHECKING:
    from vcsharp.sources.rtsp import Transport

log = logging.getLogger(__name__)

_CAMERA = re.compile(r"\d{1,3}|/dev/(video\d+|v4l/.+)")
_INDICES_TRIED = 3
"""Where the system gives no list of cameras."""


def make_source(
    spec: str, *, size: tuple[int, int], fps: Fraction, loop: bool, rtsp_transport: str
) -> Source:
    """The source for `0`, `/dev/videoN`, `rtsp://...`, `demo`, `auto` or a video file.

    `size` (width, height) and `fps` are wishes for cameras. `auto` opens cameras until one delivers
    a picture, so it may take seconds; everything else is only opened by its `open`.

    Raises:
        SettingsError: no source can be meant by `spec`.
    """
    if not spec.strip() or "\0" in spec:
        raise SettingsError(f"source '{spec}' is no source; use a camera (0), a file, demo or auto")
    if spec == "auto":
        return _choose(size, fps)
    if spec == "demo":
        return _demo()
    if scheme_of(spec) is not None:
        return _stream(spec, rtsp_transport)
    if _CAMERA.fullmatch(spec):
        return _camera(spec, size, fps)
    from vcsharp.sources.file import FileSource

    return FileSource(spec, loop=loop)


class Described:
    """A source whose description gets a remark: why it was chosen."""

    def __init__(self, source: Source, remark: str) -> None:
        self.name, self.lossless = source.name, source.lossless
        self._source, self._remark = source, remark

    def open(self) -> SourceFormat:
        """Opens the source."""
        facts = self._source.open()
        return replace(facts, description=f"{facts.description} ({self._remark})")

    def read(self) -> Frame | None:
        """The source's next frame."""
        return self._source.read()

    def close(self) -> None:
        """Closes the source."""
        self._source.close()


def _choose(size: tuple[int, int], fps: Fraction) -> Source:
    """The first camera that really delivers a picture, else the demo; it says which and why."""
    failures = []
    for candidate in _candidates():
        camera = _camera(candidate, size, fps)
        try:
            camera.open()
            camera.read()
        except SourceError as error:
            log.info("auto: %s", error)
            failures.append(str(error))
            continue
        finally:
            camera.close()
        return Described(_camera(candidate, size, fps), "first working camera")
    return Described(_demo(), failures[0] if failures else "no camera found")


def _candidates() -> list[str]:
    if sys.platform != "linux":
        return [str(index) for index in range(_INDICES_TRIED)]
    cameras = [camera for camera in list_cameras() if not camera.virtual]
    usable = [camera for camera in cameras if camera.captures or camera.problem]
    return [camera.stable_path or camera.path for camera in usable]


def _camera(spec: str, size: tuple[int, int], fps: Fraction) -> Source:
    from vcsharp.sources.v4l2 import CameraSource

    return CameraSource(spec, size=size, fps=fps)


def _demo() -> Source:
    from vcsharp.sources.demo import DemoSource

    return DemoSource()


def _stream(spec: str, transport: str) -> Source:
    scheme = scheme_of(spec)
    if scheme not in STREAM_SCHEMES:
        raise SettingsError(
            f"source '{redact(spec)}': no streams by '{scheme}'; use {', '.join(STREAM_SCHEMES)}"
        )
    if re.search(r"[\s'\"]", spec):  # they end an address in a text, and so its password in a log
        raise SettingsError(
            f"source '{redact_word(spec)}': an address holds no spaces or quotes; "
            "write them as %20, %27 and %22"
        )
    if transport not in ("tcp", "udp"):
        raise SettingsError(f"rtsp transport '{transport}' is unknown; use tcp or udp")
    from vcsharp.sources.rtsp import StreamSource

    return StreamSource(spec, transport=cast("Transport", transport))
