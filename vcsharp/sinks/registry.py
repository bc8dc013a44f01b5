"""Which sink a word on the command line stands for; its module is imported once it is chosen."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vcsharp.errors import SettingsError, SinkError
from vcsharp.sinks.base import Sink
from vcsharp.sinks.kept import Kept

_NAMES = ("auto", "virtual", "pyvirtualcam", "preview", "digest", "null")
_CHOICES = (
    "virtual, /dev/videoN, pyvirtualcam[:DEVICE], preview[:PORT], digest[:FILE], null, "
    "or a file ending in .mp4, .mov or .mkv"
)
_ENDINGS = (".mp4", ".mov", ".mkv")
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was asked for: the word before the colon, the rest, and the settings beside them."""

    spec: str
    kind: str
    rest: str
    force: bool
    preview_port: int
    pixel_format: str
    source_path: Path | None
    serve: Callable[[int], str]
    watched: Callable[[], bool]
    kept: Kept | None


def _not_served(_: int) -> str:
    raise SinkError("the preview page is not served here")


def make_sink(
    spec: str,
    *,
    force: bool,
    preview_port: int,
    pixel_format: str,
    source_path: Path | None,
    serve: Callable[[int], str] = _not_served,
    watched: Callable[[], bool] = lambda: False,
    kept: Kept | None = None,
) -> Sink:
    """The sink that `spec` names, not yet open; `auto` is for the caller to resolve.

    Args:
        spec: `virtual`, `/dev/videoN`, `pyvirtualcam[:DEVICE]`, `preview[:PORT]`, `digest[:FILE]`,
            `null`, or a file name ending in .mp4, .mov or .mkv.
        force: replace files that exist.
        preview_port: of the page on 127.0.0.1, where `spec` names none; 0 takes a free one.
        pixel_format: what the virtual camera's readers get, `YU12` or `YUYV`.
        source_path: the file being read, which no sink may write.
        serve: begins to serve the preview page on a port and returns its address.
        watched: whether that page has asked for a picture lately.
        kept: the virtual cameras that stay open from one run to the next.

    Raises SettingsError where `spec` names no sink that this system has.
    """
    kind, _, rest = spec.partition(":")
    wish = _Wish(
        spec, kind, rest, force, preview_port, pixel_format, source_path, serve, watched, kept
    )
    if spec.lower().endswith(_ENDINGS) and kind != "digest":
        return _file(wish)
    if spec.startswith("/dev/"):
        return _device(wish)
    maker = _MAKERS.get(kind)
    if maker is None or spec.endswith(":") or (rest and kind in _PLAIN):
        raise SettingsError(_unknown(spec))
    return maker(wish)


def virtual_available() -> str | None:
    """The virtual camera that `virtual` would use, for people; None where there is none."""
    if sys.platform == "linux":
        from vcsharp.sinks.v4l2loopback import find_loopback

        found = find_loopback()
        return f'{found[0].path} "{found[0].label}"' if found else None
    return _portable_device()


def _portable_device() -> str | None:
    """Only opening it for a moment tells whether pyvirtualcam has a camera."""
    from vcsharp.sinks.portable import probe

    try:
        return probe()
    except SinkError:
        return None


def _null(_: _Wish) -> Sink:
    from vcsharp.sinks.null import NullSink

    return NullSink()


def _digest(wish: _Wish) -> Sink:
    from vcsharp.sinks.digest import DigestSink

    path = Path(wish.rest) if wish.rest else None
    return DigestSink(path, name=wish.spec, force=wish.force, forbidden=wish.source_path)


def _file(wish: _Wish) -> Sink:
    from vcsharp.sinks.file import FileSink

    return FileSink(Path(wish.spec), force=wish.force, forbidden=wish.source_path)


def _preview(wish: _Wish) -> Sink:
    from vcsharp.sinks.preview import PreviewSink

    port = _port(wish) if wish.rest else wish.preview_port
    return PreviewSink(port, name=wish.spec, serve=wish.serve, watched=wish.watched)


def _portable(wish: _Wish) -> Sink:
    from vcsharp.sinks.portable import PortableSink

    return PortableSink(wish.rest or None, name=wish.spec)


def _virtual(wish: _Wish) -> Sink:
    return _loopback(wish, None) if sys.platform == "linux" else _portable(wish)


def _device(wish: _Wish) -> Sink:
    if sys.platform != "linux":
        raise SettingsError(
            f"sink: '{wish.spec}' names a Linux device; the virtual camera of this system is "
            "'virtual'"
        )
    return _loopback(wish, wish.spec)


def _loopback(wish: _Wish, path: str | None) -> Sink:
    from vcsharp.sinks.v4l2loopback import LoopbackSink

    return LoopbackSink(path, name=wish.spec, pixel_format=wish.pixel_format, kept=wish.kept)


_MAKERS: dict[str, Callable[[_Wish], Sink]] = {
    "null": _null,
    "digest": _digest,
    "preview": _preview,
    "pyvirtualcam": _portable,
    "virtual": _virtual,
}
_PLAIN = ("null", "virtual")
"""Those that take nothing after a colon."""


def _port(wish: _Wish) -> int:
    port = int(wish.rest) if wish.rest.isdecimal() else -1
    if not 0 <= port <= _HIGHEST_PORT:
        raise SettingsError(
            f"sink: '{wish.spec}' names no port; give preview:PORT with 0 (any free one) to "
            f"{_HIGHEST_PORT}"
        )
    return port


def _unknown(spec: str) -> str:
    kind = spec.partition(":")[0]
    suffix = Path(spec).suffix
    if suffix and kind not in _NAMES:
        return f"sink: '{spec}' cannot be written; a video file ends in .mp4, .mov or .mkv"
    near = difflib.get_close_matches(kind.lower(), _NAMES, n=1)
    hint = f"did you mean '{near[0]}'? " if near and near[0] != spec else ""
    return f"sink: '{spec}' is no output; {hint}choose {_CHOICES}"
