"""The whole command: broken and hanging checks, what people and programs get to read."""

from __future__ import annotations

import errno
import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from vcsharp import cli
from vcsharp.commands import doctor
from vcsharp.doctor import runner
from vcsharp.doctor.finding import Finding, Status, failed, ok, skipped, warning
from vcsharp.doctor.report import as_data, show
from vcsharp.doctor.runner import Check, Outcome, run_checks
from vcsharp.doctor.world import World
from vcsharp.errors import ModelError

from .conftest import Machine


def raising(error: BaseException) -> Callable[[World], Sequence[Finding]]:
    def check(_: World) -> Sequence[Finding]:
        raise error

    return check


def check(name: str, ask: Callable[[World], Sequence[Finding]], **facts: bool) -> Check:
    return Check(name, "system", ask, **facts)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EACCES, "Permission denied", "/x"), "permission denied: '/x'"),
        (OSError("odd"), "OSError: odd"),
        (ValueError("two\nlines"), "ValueError: two lines"),
        (subprocess.TimeoutExpired(["snap", "x"], 5.0), "'snap' did not answer within 5 s"),
        (ModelError("planted"), "ModelError: planted"),
        (KeyError("planted"), "KeyError: 'planted'"),
    ],
)
def test_a_check_that_breaks_is_one_warning(machine: Machine, error: Exception, words: str) -> None:
    checks = [check("bad", raising(error)), check("good", lambda _: [ok("fine")])]
    bad, good = run_checks(machine.world(), checks)
    (finding,) = bad.findings
    assert finding.status is Status.WARNING
    assert finding.what == f"could not be checked: {words}"
    assert finding.cure == "vcsharp doctor --only bad --debug"
    assert good.findings == [ok("fine")]


def test_with_debug_what_broke_a_check_is_raised(machine: Machine) -> None:
    checks = [check("good", lambda _: [ok("fine")]), check("bad", raising(ValueError("planted")))]
    with pytest.raises(ValueError, match="planted"):
        run_checks(machine.world(), checks, strict=True)
    assert len(run_checks(machine.world(), checks[:1], strict=True)) == 1


def test_a_check_that_hangs_is_left_behind(machine: Machine) -> None:
    release = threading.Event()

    def hang(_: World) -> Sequence[Finding]:
        release.wait()
        return []

    try:
        (outcome,) = run_checks(machine.world(), [check("slow", hang)], deadline_s=0.05)
    finally:
        release.set()
    assert outcome.findings[0].what == "could not be checked: a device or command does not answer"


def test_linux_s_own_checks_are_passed_over_elsewhere(machine: Machine) -> None:
    machine.facts["system"] = "darwin"
    checks = [check("a", lambda _: [ok("x")]), check("b", lambda _: [ok("x")], linux=False)]
    first, second = run_checks(machine.world(), checks)
    assert not first.findings[0].checked
    assert second.findings[0].checked


def test_no_check_breaks_on_an_empty_machine(machine: Machine) -> None:
    found = [finding for o in run_checks(machine.world(), strict=True) for finding in o.findings]
    assert not [finding for finding in found if "could not be checked" in finding.what]
    assert len(found) >= len(runner.CHECKS)


def test_a_camera_and_its_virtual_camera_as_asked_for_are_all_well(machine: Machine) -> None:
    machine.camera()
    machine.loopback(state="output")
    names = ("cameras", "modes", "holders", "module", "devices", "exclusive-caps", "format")
    checks = [c for c in runner.CHECKS if c.name in names]
    world = machine.world(source="0", sink=["virtual"])
    found = [finding for o in run_checks(world, checks) for finding in o.findings]
    assert {finding.status for finding in found} == {Status.OK}


def test_names_of_checks_are_unique_and_their_groups_together() -> None:
    names = [c.name for c in runner.CHECKS]
    assert len(set(names)) == len(names)
    groups = [c.group for c in runner.CHECKS]
    assert len(list(dict.fromkeys(groups))) == sum(
        first != second for first, second in zip(groups, [None, *groups], strict=False)
    )


def nothing(_: World) -> Sequence[Finding]:
    return []


OUTCOMES = [
    Outcome(Check("one", "camera", nothing), [ok("rtsp://me:planted@host is fine")]),
    Outcome(Check("two", "system", nothing), [failed("bad\nthing", "cure --it")]),
    Outcome(Check("three", "system", nothing), [skipped("no reason")]),
    Outcome(Check("four", "system", nothing), [skipped("no reason"), warning("hm", "x")]),
]


def shown(**console: Any) -> str:
    out = StringIO()
    show(OUTCOMES, Console(file=out, **console))
    return out.getvalue()


def test_people_get_groups_symbols_words_and_cures() -> None:
    _, *lines = shown(width=200).splitlines()
    assert lines == [
        "camera",
        "  + ok      one             rtsp://***@host is fine",
        "system",
        r"  x failed  two             bad\nthing",
        "                            cure: cure --it",
        "  - ok      three           not checked: no reason (nor four)",
        "  ! warning four            hm",
        "                            cure: x",
        "3 ok, 1 warning, 1 failed",
    ]


def test_colours_are_for_terminals_and_may_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in shown(width=200)
    assert "\x1b[" in shown(width=80, force_terminal=True, color_system="standard")
    plain = shown(width=80, force_terminal=True, color_system=None)
    assert "\x1b[3" not in plain


def test_on_a_terminal_sentences_wrap_and_cures_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    words, cure = "a sentence of many words " * 8, "sudo a-command --with-many-words " * 6
    outcomes = [Outcome(Check("one", "camera", nothing), [warning(words, cure)])]
    out = StringIO()
    show(outcomes, Console(file=out, force_terminal=True, width=80, color_system=None))
    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines if "cure:" not in line) <= 80
    assert sum(cure.strip() in line for line in lines) == 1
    out = StringIO()
    show(outcomes, Console(file=out, force_terminal=True, width=40, color_system=None))
    assert words.strip() in out.getvalue()


def test_programs_get_every_finding() -> None:
    data = as_data(OUTCOMES)
    assert (data["ok"], data["warnings"], data["failed"]) == (3, 1, 1)
    assert [finding["check"] for finding in data["findings"]] == (
        ["one", "two", "three", "four", "four"]
    )
    assert data["findings"][1] == {
        "check": "two",
        "group": "system",
        "status": "failed",
        "what": r"bad\nthing",
        "cure": "cure --it",
        "checked": True,
    }
    assert "planted" not in json.dumps(data)


@pytest.fixture
def planted(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(doctor, "this_world", lambda config: machine.world())
    machine.says("python3 -c", json.dumps(["1.20.0", ["CPUExecutionProvider"]]))
    return machine


@pytest.mark.parametrize(
    ("status", "code"), [(Status.OK, 0), (Status.WARNING, 0), (Status.FAILED, 1)]
)
def test_only_a_failure_ends_with_1(
    planted: Machine, monkeypatch: pytest.MonkeyPatch, status: Status, code: int
) -> None:
    checks = (check("one", lambda _: [Finding(status, "x")]),)
    monkeypatch.setattr(doctor, "CHECKS", checks)
    assert cli.main(["doctor"]) == code


def test_one_check_alone_as_json(planted: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json", "--only", "cameras", "--only", "clock"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [finding["check"] for finding in data["findings"]] == ["cameras", "clock"]
    assert data["warnings"] == 1


def test_an_unknown_check_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--only", "camera"]) == 2
    assert "no check is called 'camera'; did you mean 'cameras'?" in capsys.readouterr().err


def test_a_planted_cause_makes_the_command_fail(
    planted: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.packages = {"onnxruntime": "1", "onnxruntime-gpu": "1"}
    assert cli.main(["doctor", "--only", "onnxruntime"]) == 1
    out = capsys.readouterr().out
    assert "x failed  onnxruntime" in out
    assert "cure: python3 -m pip uninstall -y" in out
    assert out.endswith("0 ok, 0 warnings, 1 failed\n")


def test_a_traceback_only_with_debug(
    planted: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (check("bad", raising(ValueError("planted"))),))
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.main(["doctor", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_the_help_names_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--help"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for one in runner.CHECKS:
        assert one.name in out


def test_on_this_very_machine_nothing_breaks_or_is_left_unsaid(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = cli.main(["doctor", "--json"])
    data = json.loads(capsys.readouterr().out)
    assert code == (1 if data["failed"] else 0)
    assert {finding["check"] for finding in data["findings"]} == {c.name for c in runner.CHECKS}
    for finding in data["findings"]:
        assert bool(finding["cure"]) == (finding["status"] != "ok"), finding
