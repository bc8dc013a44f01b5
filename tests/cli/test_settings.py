"""One declaration serves flags, variables, the TOML file and defaults."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vcsharp import settings
from vcsharp.errors import SettingsError
from vcsharp.settings import ImageSettings, RunSettings


def fault(flags: dict[str, Any], cls: type[settings.Settings] = RunSettings) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.load(cls, flags)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "my.toml"
    path.write_text('fps = 10\nstrength = 0.1\nsize = "640x360"\n')
    monkeypatch.setenv("VCSHARP_CONFIG", str(path))
    monkeypatch.setenv("VCSHARP_FPS", "20")
    monkeypatch.setenv("VCSHARP_STRENGTH", "0.2")
    found = settings.load(RunSettings, {"fps": "30"})
    assert (found.fps, found.strength, found.size, found.tile) == (30, 0.2, "640x360", 0)


def test_the_config_flag_beats_the_config_variable_beats_the_home_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "config-home" / "vcsharp"
    home.mkdir(parents=True)
    (home / "config.toml").write_text("tile = 64\n")
    (tmp_path / "variable.toml").write_text("tile = 128\n")
    (tmp_path / "flag.toml").write_text("tile = 256\n")
    assert settings.load(RunSettings, {}).tile == 64
    monkeypatch.setenv("VCSHARP_CONFIG", str(tmp_path / "variable.toml"))
    assert settings.load(RunSettings, {}).tile == 128
    assert settings.load(RunSettings, {"config": str(tmp_path / "flag.toml")}).tile == 256


def test_a_direct_call_reads_nothing_but_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCSHARP_SOURCE", "0")
    assert RunSettings(source="demo").source == "demo"
    assert RunSettings().source == "auto"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunSettings().fps = 3  # type: ignore[misc]


def test_several_sinks_come_from_flags_variables_and_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert settings.load(RunSettings, {"sink": ["a,b.mkv", "null"]}).sink == ["a,b.mkv", "null"]
    (tmp_path / "s.toml").write_text('sink = ["virtual", "out.mkv"]\n')
    found = settings.load(RunSettings, {"config": str(tmp_path / "s.toml")})
    assert found.sink == ["virtual", "out.mkv"]
    monkeypatch.setenv("VCSHARP_SINK", "virtual, preview")
    assert settings.load(RunSettings, {}).sink == ["virtual", "preview"]


def test_a_misspelt_variable_names_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCSHARP_SORCE", "demo")
    assert fault({}) == (
        "no setting is called 'VCSHARP_SORCE' (a variable); did you mean 'VCSHARP_SOURCE'?"
    )


def test_a_misspelt_key_names_the_nearest_one_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("strenght = 1\n")
    assert fault({"config": str(path)}) == (
        f"no setting is called 'strenght' (in '{path}'); did you mean 'strength'?"
    )


def test_a_variable_or_key_of_another_command_is_left_to_that_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VCSHARP_SOURCE", "demo")
    (tmp_path / "s.toml").write_text('sink = "null"\nstrength = 0.5\n')
    flags = {"inputs": ["a.png"], "output": "out", "config": str(tmp_path / "s.toml")}
    assert settings.load(ImageSettings, flags).strength == 0.5


def test_positional_inputs_cannot_come_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCSHARP_INPUTS", "a.png")
    assert "VCSHARP_INPUTS" in fault({"output": "out"}, ImageSettings)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCSHARP_FPS", "")
    assert settings.load(RunSettings, {}).fps is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("size", "0x0", "should be at least 16x16"),
        ("size", "14x16", "should be at least 16x16"),
        ("size", "641x360", "should be even"),
        ("size", "640x361", "should be even"),
        ("size", "7682x4320", "at most 7680x4320"),
        ("size", "7680x4322", "at most 7680x4320"),
        ("size", "8192x8192", "at most 7680x4320"),
        ("size", "big", "should be WIDTHxHEIGHT"),
        ("size", "-2x16", "should be WIDTHxHEIGHT"),
        ("size", "9" * 5000 + "x16", "should be WIDTHxHEIGHT"),
        ("strength", "nan", "finite"),
        ("strength", "inf", "finite"),
        ("strength", "-0.1", "greater than or equal to 0"),
        ("strength", "2.1", "less than or equal to 2"),
        ("strength", "much", "valid number"),
        ("fps", "0", "greater than or equal to 1"),
        ("fps", "241", "less than or equal to 240"),
        ("fps", "nan", "finite"),
        ("frames", "0", "greater than 0"),
        ("frames", "1.5", "valid integer"),
        ("seconds", "0", "greater than 0"),
        ("seconds", "nan", "finite"),
        ("preview_port", "65536", "less than or equal to 65535"),
        ("preview_port", "-1", "greater than or equal to 0"),
        ("device", "gpu", "should be auto, cpu, cuda or cuda:N"),
        ("device", "cuda:x", "should be auto, cpu, cuda or cuda:N"),
        ("backend", "openvino", "'auto', 'ort', 'torch' or 'tensorrt'"),
        ("precision", "int4", "'auto', 'int8', 'fp32', 'fp16' or 'bf16'"),
        ("overlay", "on", "'off', 'preview' or 'all'"),
        ("compare", "both", "'off', 'split' or 'side'"),
        ("rtsp_transport", "http", "'tcp' or 'udp'"),
        ("pixel_format", "RGB3", "'YU12' or 'YUYV'"),
        ("open_browser", "maybe", "'auto', 'yes' or 'no'"),
        ("threads", "-1", "greater than or equal to 0"),
        ("tile", "100", "multiple of 8"),
        ("tile", "32", "from 64 to 4096"),
        ("tile", "8192", "from 64 to 4096"),
        ("cpu_limit", "101%", "less than or equal to 100"),
        ("cpu_limit", "half", "valid number"),
        ("change_threshold", "-1", "greater than or equal to 0"),
        ("source", "", "at least 1 character"),
        ("stats", "~nobody-of-that-name/s.json", "home"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_echoes_it(
    name: str, value: str, reason: str
) -> None:
    text = fault({name: value})
    assert text.startswith(f"{name}: ")
    assert reason in text
    assert text.endswith(f"(got '{value}')")
    assert "\n" not in text


def test_a_bad_value_names_the_variable_or_file_it_came_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "{name}.toml"
    path.write_text("tile = 100\n")
    monkeypatch.setenv("VCSHARP_FPS", "500")
    lines = fault({"config": str(path), "frames": "0"}).splitlines()
    assert sorted(line.partition("(got ")[2] for line in lines) == [
        "'0')",
        f"'100' from '{path}')",
        "'500' from VCSHARP_FPS)",
    ]


def test_an_empty_list_of_sinks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("sink = []\n")
    assert fault({"config": str(tmp_path / "s.toml")}).startswith("sink: ")
    assert fault({"sink": [""]}).startswith("sink: ")


def test_a_missing_broken_or_unreadable_settings_file_is_one_line(tmp_path: Path) -> None:
    assert fault({"config": str(tmp_path / "none.toml")}) == (
        f"config: cannot read '{tmp_path / 'none.toml'}': No such file or directory"
    )
    assert "Is a directory" in fault({"config": str(tmp_path)})
    (tmp_path / "broken.toml").write_text("a = [\n")
    assert "is not valid TOML" in fault({"config": str(tmp_path / "broken.toml")})
    (tmp_path / "bytes.toml").write_bytes(b"a = '\xff'\n")
    assert "is not valid TOML" in fault({"config": str(tmp_path / "bytes.toml")})


def test_a_settings_file_cannot_name_another_one(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('config = "other.toml"\n')
    assert "'config'" in fault({"config": str(tmp_path / "s.toml")})


def test_missing_inputs_and_output_are_named() -> None:
    assert fault({}, ImageSettings).splitlines() == [
        "inputs: missing; give one or more",
        "output: missing; give --output",
    ]


@given(st.integers(8, 3840), st.integers(8, 2160))
def test_every_even_size_in_range_is_taken_and_parsed(half_width: int, half_height: int) -> None:
    width, height = 2 * half_width, 2 * half_height
    assert RunSettings(size=f"{width}x{height}").size_px == (width, height)


def test_auto_has_no_size_in_pixels() -> None:
    assert RunSettings(size="auto").size_px is None
    assert RunSettings(size=" 1920X1080 ").size_px == (1920, 1080)


@given(st.floats())
def test_a_strength_is_either_in_range_or_refused(value: float) -> None:
    if math.isfinite(value) and 0 <= value <= 2:
        assert RunSettings(strength=value).strength == value
    else:
        with pytest.raises(ValidationError):
            RunSettings(strength=value)


@pytest.mark.parametrize("cls", settings.EVERY)
def test_every_setting_has_a_help_text(cls: type[settings.Settings]) -> None:
    for name, field in cls.model_fields.items():
        assert field.description, name
