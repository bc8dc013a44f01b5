"""The command line of a settings class: argparse, filled from `vcsharp.settings`.

pydantic-settings' own command line parts list items at commas, which file names may hold, so only
its other sources are used. Values stay text here; the declaration checks them, so that flags,
variables and files give the same messages.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from vcsharp import settings
from vcsharp.errors import SettingsError
from vcsharp.settings import Settings

S = TypeVar("S", bound=Settings)
_METAVARS: dict[Any, str] = {int: "N", float: "X", Path: "FILE"}


class Parser(argparse.ArgumentParser):
    """argparse whose faults are SettingsErrors of one line."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, argument_default=argparse.SUPPRESS, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Raises SettingsError where argparse would print its usage and exit."""
        raise SettingsError(f"{message} (see {self.prog} --help)")

    def parse(self, argv: Sequence[str]) -> dict[str, Any]:
        """The flags that were given, by field name. Raises SettingsError, with the nearest flag."""
        found, unknown = self.parse_known_intermixed_args(argv)
        for word in unknown:
            self._refuse(word)
        return vars(found)

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            self.error(f"no place for the argument '{word}'")
        flag = word.partition("=")[0]
        self.error(
            f"no flag is called '{flag}'{settings.nearest(flag, self._option_string_actions)}"
        )


def parse(
    cls: type[S], command: str, argv: Sequence[str], description: str, epilog: str, usage: str
) -> S:
    """The settings of one command from its arguments and the other sources; or SettingsError."""
    return settings.load(cls, given(cls, command, argv, description, epilog, usage))


def given(
    cls: type[S], command: str, argv: Sequence[str], description: str, epilog: str, usage: str
) -> dict[str, Any]:
    """The flags that were given, by field name; or SettingsError."""
    parser = Parser(prog=f"vcsharp {command}", description=description, epilog=epilog, usage=usage)
    for title, names in grouped(cls):
        group = parser.add_argument_group(title)
        for name in names:
            _add(group, cls, name)
    return parser.parse(argv)


def grouped(cls: type[Settings]) -> Iterator[tuple[str, list[str]]]:
    """Titles and fields of the help's groups, in the order that the declaration gives."""
    members: dict[str, list[str]] = {}
    current: list[str] = []
    for name in cls.model_fields:
        if name in cls.groups:
            current = members.setdefault(name, [])
        current.append(name)
    for first, title in cls.groups.items():
        yield title, members[first]


def _add(group: argparse._ArgumentGroup, cls: type[Settings], name: str) -> None:
    field = cls.model_fields[name]
    kind = _plain_type(field.annotation)
    options: dict[str, Any] = {"help": _help(field)}
    if kind is bool:
        options["action"] = argparse.BooleanOptionalAction
    else:
        options["metavar"] = _metavar(field, kind)
    if settings.is_positional(cls, name):
        group.add_argument(name, nargs="*", **options)
        return
    if get_origin(kind) is list:
        options["action"] = "append"
    group.add_argument(f"--{name.replace('_', '-')}", dest=name, **options)


def _plain_type(annotation: Any) -> Any:
    """The type without None and without marks: `Annotated[Path, ...] | None` gives Path."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation


def _metavar(field: FieldInfo, kind: Any) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "metavar" in extra:
        return str(extra["metavar"])
    if get_origin(kind) is Literal:
        return "{" + ",".join(get_args(kind)) + "}"
    return _METAVARS.get(kind, "TEXT")


def _help(field: FieldInfo) -> str:
    text = " ".join((field.description or "").split()).replace("`", "").replace("%", "%%")
    if field.is_required() or field.default is None:
        return text
    return f"{text} (default: {_shown(field.default)})"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(value) if isinstance(value, list) else str(value).replace("%", "%%")
