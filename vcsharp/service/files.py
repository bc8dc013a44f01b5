"""The files of a service, as they are to be, and whether somebody has changed them since.

Every file that is put in place starts with a line that holds the checksum of the rest. A file
whose checksum holds is ours, of this version or an older one; any other is the user's.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from pathlib import Path

from vcsharp.errors import VcsharpError
from vcsharp.service.place import Place

UNITS = Path(__file__).parent / "units"
_MARK = "# Put here by vcsharp service install, "
_SAFE = re.compile(r"[A-Za-z0-9/._+@:=-]+")

FOR_ROOT = {
    "vcsharp.modprobe.conf": "etc/modprobe.d/vcsharp.conf",
    "vcsharp.modules-load.conf": "etc/modules-load.d/vcsharp.conf",
    "70-vcsharp.rules": "etc/udev/rules.d/70-vcsharp.rules",
}
"""What makes the virtual camera at boot, whoever uses it."""
_SYSUSERS = {"vcsharp.sysusers.conf": "etc/sysusers.d/vcsharp.conf"}


def wanted_files(place: Place) -> dict[Path, str]:
    """What `install` puts in place, by path, the unit first."""
    files = {place.unit_path: signed(unit_text(place))}
    if place.system:
        for name, target in (FOR_ROOT | _SYSUSERS).items():
            files[place.root / target] = signed((UNITS / name).read_text("utf-8"))
    return files


def unit_text(place: Place) -> str:
    """The unit, with the vcsharp that is running."""
    text = (UNITS / ("vcsharp@.service" if place.system else "vcsharp.service")).read_text("utf-8")
    command = " ".join(quoted(word, first=n == 0) for n, word in enumerate(place.executable))
    words = "" if place.system or place.instance == "default" else _instance_flags(place)
    return re.sub(
        r"^ExecStart=\S+ run(.*)$",
        lambda line: f"ExecStart={command} run{line[1]}{words}",
        text,
        flags=re.MULTILINE,
    )


def _instance_flags(place: Place) -> str:
    path = quoted(str(place.settings_path), first=False)
    return f" --config {path} --instance {place.instance}"


def quoted(word: str, *, first: bool) -> str:
    """A word of a command as systemd reads it; variables are not looked for in the first."""
    if any(not char.isprintable() for char in word):
        raise VcsharpError(f"service: systemd cannot start {word!r}; move it to a plainer path")
    text = word.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    text = text if first else text.replace("$", "$$")
    return text if _SAFE.fullmatch(word) else f'"{text}"'


def signed(text: str) -> str:
    """`text` below the line that makes it ours."""
    return f"{_MARK}sha256 {_checksum(text)}; a changed file is not overwritten.\n{text}"


def is_ours(text: str) -> bool:
    """Whether nobody has changed it since `install`."""
    first, _, rest = text.partition("\n")
    return first.startswith(f"{_MARK}sha256 {_checksum(rest)};")


def read(path: Path) -> str | None:
    """The file's text; None where there is none."""
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VcsharpError(f"service: cannot read '{path}': {error.strerror}") from error


def difference(old: str, new: str) -> list[str]:
    """What a user changed, in lines."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "yours", "vcsharp's", n=0)
    return [line for line in lines if not line.startswith("@@")]


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
