"""`vcsharp service` as it is called, and its status."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from vcsharp.commands import service
from vcsharp.errors import SettingsError
from vcsharp.service.place import Answer
from vcsharp.service.status import status

SHOWN = """LoadState=loaded
ActiveState=active
SubState=running
Result=success
UnitFileState=enabled
NRestarts=2
MainPID=4711
ActiveEnterTimestamp=Tue 2026-11-24 09:00:00 UTC
StatusText=sending to virtual
"""


def call(*words: str) -> int:
    return service.main(list(words), Console(file=StringIO(), stderr=True))


def test_status_tells_what_systemd_the_journal_and_the_run_say(desk):
    desk.systemd.answers = {
        "show": Answer(out=SHOWN),
        "journalctl": Answer(out="vcsharp: warning: rtsp://anna:geheim@cam went away\n"),
    }
    found = status(desk.place(instance="a-name-that-no-run-has"))
    assert (found.active, found.restarts, found.pid, found.enabled) == (
        "active",
        2,
        4711,
        "enabled",
    )
    assert not found.answers
    assert "no vcsharp runs here" in found.run
    text = "\n".join(found.lines())
    assert "since Tue 2026-11-24 09:00:00 UTC" in text
    assert "sending to virtual" in text
    assert "went away" in text
    assert "geheim" not in text


def test_a_failed_service_tells_why(desk):
    shown = SHOWN.replace("=active", "=failed").replace("=success", "=watchdog")
    desk.systemd.answers = {"show": Answer(out=shown)}
    found = status(desk.place())
    assert (found.active, found.detail) == ("failed", "watchdog")


def test_status_without_systemd_is_no_error(desk):
    desk.systemd.answers = {"": Answer(127, err="no systemctl")}
    found = status(desk.place())
    assert (found.active, found.installed) == ("unknown", False)


def test_status_sees_a_unit_that_was_changed_by_hand(desk):
    desk.change().install()
    path = desk.place().unit_path
    assert not status(desk.place()).changed_by_hand
    path.write_text(path.read_text() + "Nice=5\n")
    assert status(desk.place()).changed_by_hand


@pytest.mark.parametrize(("state", "code"), [("active", 0), ("failed", 3), ("inactive", 3)])
def test_the_exit_status_tells_whether_it_runs(desk, monkeypatch, capsys, state, code):
    shown = SHOWN.replace("ActiveState=active", f"ActiveState={state}")
    desk.systemd.answers = {"show": Answer(out=shown)}
    monkeypatch.setattr(service, "Place", lambda **_: desk.place())
    assert call("status", "--json") == code
    assert json.loads(capsys.readouterr().out)["active"] == state


def test_install_prints_its_steps_on_stdout(desk, monkeypatch, capsys):
    monkeypatch.setattr(service, "Place", lambda **_: desk.place())
    assert call("install", "--dry-run", "--no-now") == 0
    out = capsys.readouterr().out
    assert "would write" in out
    assert "restart" not in out.replace("Restart", "").replace("NRestarts", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name one of"),
        (["instal"], "did you mean"),
        (["status", "--instance", "../x"], "letters"),
        (["status", "--jsn"], "no flag"),
    ],
)
def test_bad_usage_is_one_line(words, told):
    with pytest.raises(SettingsError, match=told):
        call(*words)
