"""`vcsharp image`: stills and folders of stills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vcsharp import flags, stills
from vcsharp.console import one_line, say, setup_logging
from vcsharp.engine.worker import Engine, choose
from vcsharp.errors import ImageError, SettingsError
from vcsharp.imagefile import SUFFIXES, Kind
from vcsharp.interrupt import raising_on_interrupt
from vcsharp.settings import ImageSettings

DESCRIPTION = """\
Sharpens pictures of any size and writes them to DIR under the same names.

INPUT is a PNG, JPEG, WebP, BMP or TIFF picture, or a folder whose pictures are
taken. Size, bit depth (8 or 16), grey, transparency, colour profile and file
format stay as they are; JPEG is written with quality 95 and full colour
resolution. Photos are turned upright after their EXIF orientation; the rest of
the EXIF data (camera, place, date) is left out. CMYK becomes RGB.

A picture that cannot be read or written is named on one line, and the others go
on. Inputs are never overwritten, results only with --force; of two inputs with
the same name the second result is called NAME-2.
"""

EPILOG = """\
exit codes: 0 every picture was written; 1 some were not; 2 bad settings;
3 the network could not be loaded; 130 Ctrl-C (only whole files are left)
"""


def main(argv: Sequence[str], console: Console) -> int:
    """Parses the arguments and sharpens all pictures; returns the exit code."""
    usage = "vcsharp image INPUT... --output DIR [options]"
    settings = flags.parse(ImageSettings, "image", argv, DESCRIPTION, EPILOG, usage)
    setup_logging(console, settings.debug)
    return _Job(settings, console).run()


class _Job:
    """One call of the command: its inputs, what was written, what failed."""

    def __init__(self, settings: ImageSettings, console: Console) -> None:
        self._settings, self._console = settings, console
        self._taken: set[str] = set()
        self._written = 0
        self._failures = 0
        self._originals = {path.resolve(): path for path in self._inputs()}
        self._paths = list(self._originals.values())

    def run(self) -> int:
        if self._paths:
            with self._engine() as engine:
                self._make_output_folder()
                try:
                    with raising_on_interrupt():
                        self._sharpen_all(engine)
                finally:
                    self._sum_up()
        return 1 if self._failures else 0

    def _inputs(self) -> Iterator[Path]:
        """The pictures; a folder stands for those in it."""
        for given in self._settings.inputs:
            if not given.is_dir():
                yield given
                continue
            try:
                inside = sorted(p for p in given.iterdir() if p.suffix.lower() in SUFFIXES)
            except OSError as error:
                self._fail(given, f"cannot be read: {error.strerror}")
                continue
            if not inside:
                self._fail(given, "no pictures in this folder")
            yield from inside

    def _make_output_folder(self) -> None:
        folder = self._settings.output
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise SettingsError(f"output: '{folder}' is a file, not a folder") from error
        except OSError as error:
            raise ImageError(f"cannot create the folder '{folder}': {error.strerror}") from error

    def _engine(self) -> Engine:
        wanted = self._settings
        engine = choose(
            wanted.model,
            wanted.device,
            wanted.backend,
            wanted.precision,
            wanted.threads,
            wanted.tile,
            None,
            wanted.expert,
        )
        facts = engine.facts
        say(self._console, f"model: {facts.title} ({facts.precision} on {facts.device})")
        return engine

    def _sharpen_all(self, engine: Engine) -> None:
        with _progress(self._console, len(self._paths)) as progress:
            task = progress.add_task("", total=len(self._paths))
            for path in self._paths:
                progress.update(task, description=one_line(path.name))
                self._sharpen(engine, path)
                progress.advance(task)

    def _sharpen(self, engine: Engine, path: Path) -> None:
        try:
            still = stills.read(path)
            kind = still.kind if self._settings.format == "keep" else self._settings.format
            target = self._target(path, kind)
            sharp = stills.sharpen(still, engine, self._settings.strength)
            stills.write_whole(target, stills.encode(sharp, kind))
            self._written += 1
        except ImageError as error:
            self._fail(path, str(error))
        except MemoryError:
            self._fail(path, "not enough memory")

    def _target(self, path: Path, kind: Kind) -> Path:
        """Where the result goes. Raises ImageError rather than overwrite what must stay."""
        suffix = path.suffix if SUFFIXES.get(path.suffix.lower()) == kind else f".{kind}"
        names = (path.stem + (f"-{n}" if n > 1 else "") + suffix for n in count(1))
        name = next(name for name in names if name.casefold() not in self._taken)
        self._taken.add(name.casefold())
        target = self._settings.output / name
        if target.resolve() in self._originals:
            raise ImageError(f"'{target}' is an input; choose another --output folder")
        if target.exists() and not self._settings.force:
            raise ImageError(f"'{target}' exists; --force overwrites it")
        return target

    def _fail(self, path: Path, reason: str) -> None:
        self._failures += 1
        say(self._console, f"vcsharp: '{path}': {reason}")

    def _sum_up(self) -> None:
        failed = f", {self._failures} failed" if self._failures else ""
        folder = self._settings.output
        say(self._console, f"{self._written} of {len(self._paths)} written to {folder}{failed}")


def _progress(console: Console, total: int) -> Progress:
    """A bar with the time left, on a terminal and for more than one picture."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=total < 2 or not console.is_terminal,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
