"""The command line that is made from the declaration."""

from __future__ import annotations

import pytest

from vcsharp import flags, settings
from vcsharp.errors import SettingsError
from vcsharp.settings import ImageSettings, RunSettings, Settings


def parse(cls: type[Settings], *argv: str) -> dict[str, object]:
    return flags.parse(cls, "test", argv, "", "", "").model_dump()


def help_of(cls: type[Settings], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        flags.parse(cls, "test", ["--help"], "What it does.", "The end.", "vcsharp test")
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("cls", settings.EVERY)
def test_the_help_has_every_setting_with_its_default(
    cls: type[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    text = " ".join(help_of(cls, capsys).split())
    for name, field in cls.model_fields.items():
        flag = "INPUT" if settings.is_positional(cls, name) else f"--{name.replace('_', '-')}"
        assert flag in text
        said = text.partition(f" {flag} ")[2] or text.partition(f" {flag},")[2]
        if field.is_required():
            continue
        if field.default is None:
            assert "Default: " in said
        elif isinstance(field.default, list):
            assert f"(default: {', '.join(field.default)})" in said
        elif not isinstance(field.default, bool):
            assert f"(default: {field.default})" in said


@pytest.mark.parametrize("cls", settings.EVERY)
def test_the_help_fits_eighty_columns(
    cls: type[Settings], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, help_of(cls, capsys).splitlines())) <= 80


@pytest.mark.parametrize("cls", settings.EVERY)
def test_every_setting_stands_in_exactly_one_group(cls: type[Settings]) -> None:
    listed = [name for _, names in flags.grouped(cls) for name in names]
    assert sorted(listed) == sorted(cls.model_fields)


def test_flags_become_settings() -> None:
    found = parse(
        RunSettings, "--source", "demo", "--sink", "a", "--sink", "b", "--rtsp-transport=udp"
    )
    assert (found["source"], found["sink"], found["rtsp_transport"]) == ("demo", ["a", "b"], "udp")


def test_switches_can_be_turned_off_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCSHARP_LOOP", "yes")
    assert parse(RunSettings)["loop"] is True
    assert parse(RunSettings, "--no-loop")["loop"] is False


def test_file_names_may_hold_commas_spaces_and_brackets() -> None:
    found = ImageSettings.model_validate(
        parse(ImageSettings, "a, b.png", "[1].png", "--output", "o,p")
    )
    assert [path.name for path in found.inputs] == ["a, b.png", "[1].png"]
    assert found.output.name == "o,p"


def test_inputs_may_stand_around_the_flags() -> None:
    found = parse(ImageSettings, "a.png", "--output", "out", "b.png", "--force")
    assert [str(path) for path in found["inputs"]] == ["a.png", "b.png"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--sorce", "demo"], "no flag is called '--sorce'; did you mean '--source'?"),
        (["--sorce=demo"], "no flag is called '--sorce'; did you mean '--source'?"),
        (["--rtsp_transport", "udp"], "did you mean '--rtsp-transport'?"),
        (["--sou", "demo"], "no flag is called '--sou'"),
        (["demo"], "no place for the argument 'demo'"),
        (["--source"], "argument --source: expected one argument"),
        (["--loop=maybe"], "argument --loop/--no-loop: ignored explicit argument 'maybe'"),
    ],
)
def test_a_wrong_flag_is_one_line(argv: list[str], text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(RunSettings, *argv)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
