"""`vcsharp ctl` against a run that is faked behind doors that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vcsharp.commands import ctl
from vcsharp.control.model import State
from vcsharp.errors import BackendError, SettingsError

from .ctl_rig import done, refused
from .fake_runtime import picture

PASSWORD = "hunter2-planted"


# ---- telling


@pytest.mark.parametrize("arguments", [[], ["status"]])
def test_status_tells_where_everything_stands(told, runtime, arguments):
    runtime.update(
        paused=True,
        source={"state": "lost", "words": "unplugged; plug it in", "reconnects": 2},
        faults=[{"at_s": 0, "where": "source", "what": "camera unplugged", "count": 3}],
    )
    out = done(told, *arguments)
    assert out.startswith("vcsharp 1.2.3, 'default', up 1 min, paused\n")
    for words in (
        "lost",
        "unplugged; plug it in",
        "came back 2 times",
        "nano on cpu (onnxruntime int8), strength 1",
        '/dev/video10 "vcsharp", a program looks',
        "1920x1080",
        "29.9 fps",
        "14 ms",
        "3 dropped, 1 repeated",
        "camera unplugged (3 times)",
    ):
        assert words in out
    assert "\x1b" not in out


def test_status_for_programs_is_the_whole_state(told, runtime):
    assert State.model_validate_json(done(told, "status", "--json")) == runtime.state()


def test_get_lists_the_options(told):
    assert done(told, "get") == (
        "source=demo\nmodel=nano\nstrength=1.0\ncompare=off\noverlay=preview\n"
    )
    assert json.loads(done(told, "get", "--json"))["strength"] == 1.0


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("strength", "1.0"),
        ("figures.fps_out", "29.94"),
        ("figures.latency_ms.p95", "18.9"),
        ("sinks.0.name", "virtual"),
        ("paused", "false"),
        ("sinks.0.wanted", "true"),
        ("source.state", "live"),
        ("options.model", "nano"),
        ("faults", ""),
    ],
)
def test_get_tells_one_value(told, name, line):
    assert done(told, "get", name).strip() == line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("strenght", "there is no 'strenght'; did you mean 'strength'?"),
        ("figures.fps", "there is no 'fps' in 'figures'"),
        ("sinks.7", "there is no '7' in 'sinks'"),
        ("strength.x", "there is no 'x' in 'strength'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(told, name, words):
    code, line = refused(told, "get", name)
    assert code == 2
    assert words in line


def test_the_choices_are_listed_with_the_current_one_marked(told, runtime):
    runtime.update(options={"source": "0"})
    rows = done(told, "sources").splitlines()
    assert rows[0].split() == ["*", "0", "C920", "Webcam", "MJPG", "1920x1080,", "1280x720"]
    assert "(held by zoom)" in rows[2]
    assert done(told, "models").splitlines()[0].startswith("*  nano")
    assert json.loads(done(told, "models", "--json"))[1]["model"] == "none"
    assert json.loads(done(told, "sources", "--json"))[2]["usable"] is False


def test_the_delay_is_a_number_for_scripts(told, runtime):
    assert done(told, "delay") == "14.2\n"
    assert json.loads(done(told, "delay", "--json")) == {"delay_ms": 14.2}
    runtime.update(delay_ms=0.0)
    code, line = refused(told, "delay")
    assert code == 1
    assert "no delay is measured yet" in line


# ---- changing


def test_set_changes_options_together(told, runtime):
    out = done(told, "set", "strength=1.5", "compare=split")
    assert out == "strength 1.5, compare split\n"
    assert runtime.calls == ["change"]
    assert runtime.state().options.strength == 1.5


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["strength", "1.3"], "strength", 1.3),
        (["model", "none"], "model", "none"),
        (["source", "1"], "source", "1"),
        (["source", "rtsp://camera/live?x=1"], "source", "rtsp://camera/live?x=1"),
        (["compare", "side"], "compare", "side"),
        (["overlay", "off"], "overlay", "off"),
        (["set", "source=http://camera/a=b"], "source", "http://camera/a=b"),
    ],
)
def test_the_short_forms(told, runtime, arguments, name, value):
    assert done(told, *arguments) == f"{name} {value}\n"
    assert getattr(runtime.state().options, name) == value
    assert json.loads(done(told, *arguments, "--json"))["options"][name] == value


def test_files_of_this_folder_are_named_in_full(told, runtime, tmp_path):
    """The run may have been started elsewhere."""
    (tmp_path / "talk.mp4").touch()
    (tmp_path / "demo").touch()
    done(told, "source", "talk.mp4")
    assert runtime.state().options.source == str(tmp_path / "talk.mp4")
    done(told, "source", "demo")
    assert runtime.state().options.source == "demo"
    (tmp_path / "mine").mkdir()
    _, line = refused(told, "model", "./mine")
    assert f"'{tmp_path}/mine'" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["strength", "5"], "strength: Input should be less than or equal to 2 (got '5')"),
        (["strength", "nan"], "(got 'nan')"),
        (["strength", "-1"], "(got '-1')"),
        (["compare", "splt"], "'off', 'split' or 'side' (got 'splt')"),
        (["set", "strength"], "'strength' has no value; write NAME=VALUE"),
        (["set", "stregth=1"], "'stregth' cannot be changed while running; did you mean"),
        (["set", "fps=30"], "'fps' cannot be changed while running; choose source, model,"),
        (["set"], "usage: vcsharp ctl set NAME=VALUE ..."),
        (["strength"], "usage: vcsharp ctl strength VALUE"),
        (["pause", "now"], "usage: vcsharp ctl pause"),
        (["stauts"], "no command 'stauts'; did you mean 'status'?"),
        (["pause", "--watch"], "--watch is for 'vcsharp ctl status'"),
        (["status", "--which", "both"], "--which is for 'vcsharp ctl snapshot'"),
        (["status", "--forse"], "did you mean '--force'?"),
        (["--instance", "../x"], "'../x' is no name of a run"),
    ],
)
def test_nonsense_is_refused_before_anybody_is_asked(told, runtime, arguments, words):
    code, line = refused(told, *arguments)
    assert code == 2
    assert words in line
    assert "\n" not in line
    assert runtime.calls == []


@pytest.mark.parametrize(
    ("error", "code"), [(SettingsError("no such camera"), 2), (BackendError("GPU gone"), 1)]
)
def test_a_refusal_of_the_run_is_told_as_it_is(told, runtime, error, code):
    runtime.refusal = error
    assert refused(told, "strength", "1") == (code, str(error))


def test_no_password_is_printed(told):
    for arguments in (["source", f"nowhere rtsp://me:{PASSWORD}@c"], ["source", PASSWORD * 400]):
        code, out, err = told(*arguments)
        assert code == 2
        assert f"me:{PASSWORD}" not in out + err


def test_pause_resume_and_reload(told, runtime):
    assert done(told, "pause").startswith("paused")
    assert runtime.state().paused
    assert done(told, "resume") == "resumed\n"
    assert not runtime.state().paused
    assert done(told, "reload") == "changed: strength; takes effect after a restart: fps\n"
    assert json.loads(done(told, "reload", "--json"))["needs_restart"] == ["fps"]


# ---- snapshots


def test_a_snapshot_is_written_and_never_over_another(told, runtime, tmp_path):
    runtime.show(picture(0))
    assert done(told, "snapshot", "a.png") == "written: a.png\n"
    first = (tmp_path / "a.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    code, line = refused(told, "snapshot", "a.png", "--which", "before")
    assert (code, line) == (2, "snapshot: 'a.png' exists; --force overwrites it")
    assert (tmp_path / "a.png").read_bytes() == first
    done(told, "snapshot", "a.png", "--which", "both", "--force")
    assert (tmp_path / "a.png").read_bytes() != first


@pytest.mark.parametrize("name", ["a.jpg", "png", "none/a.png"])
def test_a_snapshot_that_cannot_be_written_is_told(told, runtime, name):
    runtime.show(picture(0))
    code, line = refused(told, "snapshot", name)
    assert code in (1, 2)
    assert f"'{name}'" in line


# ---- watching


# ---- nobody there


def test_help_and_manual_name_every_command(told):
    manual = (Path(__file__).parents[2] / "docs" / "control.md").read_text("utf-8")
    code, out, _ = told("--help")
    assert code == 0
    assert all(name in out for name in ctl._COMMANDS)
    assert all(f"vcsharp ctl {name}" in manual for name in ctl._COMMANDS)
