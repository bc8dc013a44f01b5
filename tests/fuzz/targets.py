"""What is fuzzed: each parser that reads what others wrote, with seeds that it takes as they are.

A target is made once in a process; `run` does one case and lets only the errors out that it names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Protocol

from vcsharp.errors import ImageError, ModelError, SettingsError, SourceError, VcsharpError

from .mutate import mutated


class Target(Protocol):
    """One parser."""

    def run(self, random: Random) -> None:
        """One case, made of the random numbers. What it raises is a finding."""


class SettingsFile:
    """The bytes of a settings file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "config.toml"
        self._seeds = [
            b'source = "rtsp://u:p@cam/live"\nsink = ["virtual", "preview"]\nfps = 25\n',
            b'strength = 1.5\nmodel = "nano"\nsize = "1280x720"\ncompare = "split"\ntile = 512\n',
            b'on_demand = "off"\nidle_after = 2.5\nmetrics_port = 0\nstats = "~/s.json"\n# end\n',
            b"loop = true\nframes = 10\nseconds = 1e3\n[table]\nx = {y = 1979-05-27T07:32:00Z}\n",
        ]

    def run(self, random: Random) -> None:
        from vcsharp.settings import RunSettings, load

        self._path.write_bytes(mutated(self._seeds, random))
        with suppressed(SettingsError):
            load(RunSettings, {"config": str(self._path)})


class CommandLine:
    """Flags and variables."""

    def __init__(self, folder: Path) -> None:
        del folder
        self._words = [
            b"--source\0rtsp://u:p@cam/live\0--sink\0virtual\0--sink\0out.mkv\0--force",
            b"--size=1280x720\0--fps\x0025\0--strength\x001.5\0--overlay\0all\0--no-loop",
            b"--config\0/nowhere\0--stats\0~/s.json\0--device\0cuda:1\0--tile\x00512\0--",
        ]
        self._values = [b"0", b"demo", b"1280x720", b"virtual,preview", b"1.5", b"true", b"auto"]

    def run(self, random: Random) -> None:
        from vcsharp import flags
        from vcsharp.settings import ImageSettings, RunSettings

        words = mutated(self._words, random)[:2000].split(b"\0")
        argv = [word.decode("utf-8", "surrogateescape") for word in words]
        cls: Any = random.choice((RunSettings, ImageSettings))
        with _variables(self._variables(random)), suppressed(SettingsError, SystemExit):
            flags.parse(cls, "run", [word for word in argv if word not in _HELPS], "", "", "use")

    def _variables(self, random: Random) -> dict[str, str]:
        names = ("SOURCE", "SINK", "SIZE", "FPS", "LOOP", "STRENGTH", "CONFIG", "INSTANCE", "SORCE")
        values = (mutated(self._values, random)[:2000].replace(b"\0", b"") for _ in range(3))
        return {
            f"VCSHARP_{random.choice(names)}": value.decode("utf-8", "surrogateescape")
            for value in values
        }


class ModelCard:
    """The bytes of a card, and a model's name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        seed = (_nano() / "card.json").read_bytes()
        self._seeds = [seed, json.dumps(json.loads(seed)).encode()]

    def run(self, random: Random) -> None:
        from vcsharp import catalogue

        (self._folder / "card.json").write_bytes(mutated(self._seeds, random))
        with suppressed(ModelError):
            model = catalogue.load(self._folder)
            for kind in model.card.files:
                model.path(kind)
        with suppressed(ModelError):
            catalogue.find(mutated([b"nano", b"./nano", b"/m/nano"], random).decode("latin-1"))


class ModelWeights:
    """The bytes of weights whose checksum and size are as the card says."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(shutil.copytree(_nano(), folder / "model"))
        self._card = json.loads((self._folder / "card.json").read_text())
        self._seeds = {
            kind: (self._folder / entry["name"]).read_bytes()
            for kind, entry in self._card["files"].items()
        }

    def run(self, random: Random) -> None:
        import numpy as np

        from vcsharp.engine.worker import choose

        kind, backend = random.choice((("int8", "ort"), ("fp32", "ort"), ("torch", "torch")))
        self._write(kind, mutated([self._seeds[kind]], random))
        precision = "fp32" if kind == "torch" else kind
        with suppressed(VcsharpError):
            engine = choose(str(self._folder), "cpu", backend, precision, 1, 64)
            try:
                engine.sharpen_luma(np.full((64, 64), 100, np.uint8), 1.0)
            finally:
                engine.close()

    def _write(self, kind: str, data: bytes) -> None:
        entry = self._card["files"][kind]
        (self._folder / entry["name"]).write_bytes(data)
        entry |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": max(1, len(data))}
        (self._folder / "card.json").write_text(json.dumps(self._card))


class StillPicture:
    """The bytes of a picture for `vcsharp image`."""

    def __init__(self, folder: Path) -> None:
        import cv2
        import numpy as np

        from tests.cli.pictures import cmyk_jpeg, exif, file_of, icc, scene, with_metadata

        self._path = folder / "picture"
        self._seeds = [
            file_of(kind, scene(24, 32)) for kind in ("png", "jpg", "webp", "tiff", "bmp")
        ]
        self._seeds += [file_of("png", scene(9, 11, 4, np.uint16)), file_of("png", scene(8, 8, 1))]
        self._seeds += [file_of("webp", scene(24, 32), cv2.IMWRITE_WEBP_QUALITY, 101)]
        self._seeds += [file_of("tiff", scene(9, 11, 3, np.uint16)), cmyk_jpeg(9, 200, 3, 77)]
        self._seeds += [with_metadata("jpg", scene(24, 32), cv2.IMAGE_METADATA_EXIF, exif(6))]
        self._seeds += [with_metadata("png", scene(24, 32), cv2.IMAGE_METADATA_ICCP, icc())]

    def run(self, random: Random) -> None:
        from vcsharp import stills

        self._path.write_bytes(mutated(self._seeds, random))
        with suppressed(ImageError):
            still = stills.read(self._path)
            if still.pixels.size < 1_000_000:
                stills.encode(still, random.choice(("png", "jpg", "webp")))


class CameraBuffer:
    """What a camera's driver hands out, in every format, of sizes that may be wrong."""

    def __init__(self, folder: Path) -> None:
        del folder
        from tests.cli.pictures import cmyk_jpeg, file_of, scene
        from vcsharp.sources.raw import MjpegDecoder

        self._jpegs = [file_of("jpg", scene(48, 64)), file_of("jpg", scene(47, 61, 1))]
        self._jpegs += [cmyk_jpeg(1, 2, 3, 4)]
        self._mjpeg = MjpegDecoder()  # one for all: a camera's decoder lives through damage

    def run(self, random: Random) -> None:
        import numpy as np

        from vcsharp.sources.raw import RawPicture, convert_bgr, unpacker

        width, height = (random.choice((0, 1, 2, 7, 8, 64, 9000)) for _ in range(2))
        if random.random() < 0.6:
            data = np.frombuffer(mutated(self._jpegs, random), np.uint8)
            self._mjpeg(RawPicture(data, width, height, 0, 0))
            return
        name = random.choice(("YUYV", "YU12", "NV12", "BGR"))
        sizes = (0, 1, width * height * 2, width * height * 3 // 2, random.randrange(9999))
        flat = np.zeros(random.choice([size for size in sizes if size < 10**7]), np.uint8)
        unpack = unpacker(name) or convert_bgr
        unpack(RawPicture(flat, width, height, 0, 0))


class VideoFile:
    """The bytes of a recording."""

    def __init__(self, folder: Path) -> None:
        from tests.sources.clips import picture, planes_of, write_video

        self._path = folder / "clip"
        how: list[tuple[str, dict[str, Any]]] = [
            ("a.mp4", {"codec": "libx264"}),
            ("a.mkv", {"codec": "ffv1"}),
            ("b.mkv", {"codec": "libx264"}),
            ("a.avi", {"codec": "mjpeg", "color_range": 2}),
            ("a.mov", {"codec": "libx264", "rotation": 90}),
        ]
        pictures = [picture(planes_of(n, 48, 32)) for n in range(4)]
        self._seeds = [
            write_video(folder / name, pictures, **kwargs).read_bytes() for name, kwargs in how
        ]

    def run(self, random: Random) -> None:
        from vcsharp.sources.file import FileSource

        self._path.write_bytes(mutated(self._seeds, random))
        source = FileSource(str(self._path), loop=random.random() < 0.2)
        try:
            with suppressed(SourceError):
                source.open()
                for _ in range(8):
                    if source.read() is None:
                        break
        finally:
            source.close()


class Stream:
    """What an RTSP camera answers and sends."""

    def __init__(self, folder: Path) -> None:
        del folder
        from .rtsp_camera import DamagedCamera

        self._camera = DamagedCamera()

    def run(self, random: Random) -> None:
        from vcsharp.sources.rtsp import StreamSource

        url = self._camera.prepare(random)
        source = StreamSource(url, open_timeout_s=1.0, read_timeout_s=1.0)
        try:
            with suppressed(SourceError):
                source.open()
                for _ in range(20):
                    source.read()
        finally:
            source.close()


class Planted:
    """Faults that the harness has to find: in case 3, and memory and a handle in every case."""

    def __init__(self, fault: str) -> None:
        self._fault, self._case = fault, 0
        self._kept: list[object] = []

    def run(self, random: Random) -> None:
        del random
        self._case += 1
        if self._fault == "leak":
            self._kept += [bytearray(os.urandom(2**20)) * 2, os.open(os.devnull, os.O_RDONLY)]
        elif self._case == 4:
            {"crash": os.abort, "hang": lambda: time.sleep(3600), "error": self._raise}[
                self._fault
            ]()

    def _raise(self) -> None:
        raise ValueError("planted")


TARGETS: dict[str, Callable[[Path], Target]] = {
    "settings file": SettingsFile,
    "flags and variables": CommandLine,
    "model card": ModelCard,
    "model weights": ModelWeights,
    "still picture": StillPicture,
    "camera buffer": CameraBuffer,
    "video file": VideoFile,
    "rtsp stream": Stream,
    "planted crash": lambda _: Planted("crash"),
    "planted hang": lambda _: Planted("hang"),
    "planted error": lambda _: Planted("error"),
    "planted leak": lambda _: Planted("leak"),
}

_HELPS = ("-h", "--help")


@contextmanager
def suppressed(*kinds: type[BaseException]) -> Iterator[None]:
    """Lets the errors pass that the parser may raise, if their text is fit for people."""
    try:
        yield
    except kinds as error:
        if not str(error).strip() and not isinstance(error, SystemExit):
            raise AssertionError("an error without words") from error


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    with suppress(ValueError, UnicodeError):  # what no environment can hold
        os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
        os.environ.update(kept)


def _nano() -> Path:
    from vcsharp import catalogue

    return catalogue.packaged_folder() / "nano"
