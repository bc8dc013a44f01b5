"""Settings, units, runs, ports and the clock: each with its planted fault."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from vcsharp.control.model import State
from vcsharp.doctor import machine as real
from vcsharp.doctor import service, system
from vcsharp.doctor.finding import Finding, Status
from vcsharp.doctor.runs import Run
from vcsharp.doctor.world import this_world

from .conftest import Machine, worst

UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "NRestarts": "0",
    "UnitFileState": "enabled",
}


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def config(machine: Machine, text: str = "", mode: int = 0o600) -> Path:
    path = machine.file("config.toml", text)
    path.chmod(mode)
    machine.facts["uid"] = path.stat().st_uid
    return path


def test_no_settings_file_is_fine(machine: Machine) -> None:
    finding = only(service.check_settings(machine.world()))
    assert finding.status is Status.OK
    assert "no settings file" in finding.what


def test_a_private_settings_file_is_fine(machine: Machine) -> None:
    config(machine, 'source = "rtsp://me:secret@host/"')
    finding = only(service.check_settings(machine.world()))
    assert finding.status is Status.OK


@pytest.mark.parametrize("mode", [0o602, 0o666])
def test_a_settings_file_that_others_may_change_fails(machine: Machine, mode: int) -> None:
    path = config(machine, "", mode)
    machine.facts["settings_fault"] = this_world(path).settings_fault
    finding = only(service.check_settings(machine.world()))
    assert finding.status is Status.FAILED
    assert "can be changed by other users" in finding.what
    assert finding.cure == f"chmod go-w '{path}'"


def test_a_password_that_others_may_read_is_a_warning_without_the_password(
    machine: Machine,
) -> None:
    path = config(machine, 'source = "rtsp://me:planted@host/"', 0o644)
    finding = only(service.check_settings(machine.world()))
    assert finding.status is Status.WARNING
    assert finding.cure == f"chmod 600 {path}"
    assert "planted" not in finding.what


@pytest.mark.parametrize(
    ("fault", "cure"),
    [
        ("no setting is called 'VCSHARP_SORCE' (a variable)", "unset VCSHARP_SORCE"),
        ("fps: too many (got '999' from VCSHARP_FPS)", "unset VCSHARP_FPS"),
        ("fps: too many (got '999' from '{path}')", '"${{EDITOR:-nano}}" {path}'),
    ],
)
def test_faulty_settings_fail_with_the_place_to_change(
    machine: Machine, fault: str, cure: str
) -> None:
    path = machine.root / "config.toml"
    machine.facts["settings_fault"] = fault.format(path=path)
    finding = only(service.check_settings(machine.world()))
    assert finding.status is Status.FAILED
    assert finding.what == fault.format(path=path)
    assert finding.cure == cure.format(path=path)


def test_each_fault_gets_its_line_and_shows_no_password(machine: Machine) -> None:
    machine.facts["settings_fault"] = "one\nsource: bad (got 'rtsp://me:planted@host')"
    first, second = service.check_settings(machine.world())
    assert first.what == "one"
    assert "planted" not in second.what


def plant_unit(machine: Machine, **facts: str) -> None:
    machine.file("/run/systemd/system/x")
    text = "".join(f"{key}={value}\n" for key, value in (UNIT | facts).items())
    machine.says("systemctl --user show vcsharp.service", f"{text}\n")


def test_units_are_not_checked_without_systemd(machine: Machine) -> None:
    assert not only(service.check_units(machine.world())).checked


def test_a_login_without_user_services_is_not_checked(machine: Machine) -> None:
    machine.file("/run/systemd/system/x")
    assert not only(service.check_units(machine.world())).checked
    machine.says("systemctl --user", "", 1, "Failed to connect to bus: No medium found\n")
    finding = only(service.check_units(machine.world()))
    assert finding.what.endswith("Failed to connect to bus: No medium found")


def test_a_service_that_runs_says_from_when_to_when(machine: Machine) -> None:
    plant_unit(machine)
    finding = only(service.check_units(machine.world()))
    assert finding.what == "the user service is active, starts by itself, while you are logged in"
    machine.file("/var/lib/systemd/linger/me")
    assert "from boot on" in only(service.check_units(machine.world())).what


def test_a_service_that_is_not_installed_is_fine(machine: Machine) -> None:
    plant_unit(machine, LoadState="not-found", ActiveState="inactive", UnitFileState="")
    finding = only(service.check_units(machine.world()))
    assert finding.status is Status.OK
    assert "vcsharp service install" in finding.what


@pytest.mark.parametrize(
    ("facts", "status", "words", "cure"),
    [
        (
            {"ActiveState": "failed", "Result": "watchdog"},
            Status.FAILED,
            "failed (watchdog)",
            "journalctl --user -u vcsharp.service",
        ),
        (
            {"NRestarts": "12", "Result": "exit-code"},
            Status.WARNING,
            "started again 12 times (exit-code)",
            "journalctl --user -u vcsharp.service",
        ),
        (
            {"UnitFileState": "disabled", "ActiveState": "inactive"},
            Status.WARNING,
            "will not start at login",
            "systemctl --user enable vcsharp.service",
        ),
    ],
)
def test_a_service_in_trouble_is_told(
    machine: Machine, facts: dict[str, str], status: Status, words: str, cure: str
) -> None:
    plant_unit(machine, **facts)
    finding = only(service.check_units(machine.world()))
    assert finding.status is status
    assert words in finding.what
    assert finding.cure.startswith(cure)


def test_system_units_are_told_one_by_one(machine: Machine) -> None:
    plant_unit(machine)
    machine.says(
        "systemctl list-units",
        "vcsharp@a.service loaded active running vcsharp\n"
        "vcsharp@b.service loaded failed failed vcsharp\n\n",
    )
    _, first, second = service.check_units(machine.world())
    assert first.what == "vcsharp@a.service is active"
    assert second.status is Status.FAILED
    assert second.cure == "journalctl -u vcsharp@b.service -n 50 --no-pager"


def state(**changes: Any) -> State:
    facts: dict[str, Any] = {
        "version": "1",
        "pid": 7,
        "uptime_s": 1,
        "paused": False,
        "wanted": True,
        "on_demand": False,
        "size": "1920x1080",
        "fps": 30,
        "delay_ms": 10,
        "options": {
            "source": "0",
            "model": "nano",
            "strength": 1,
            "compare": "off",
            "overlay": "off",
        },
        "source": {"name": "0", "description": "", "state": "live", "words": "", "since_s": 1},
        "engine": {
            "state": "ready",
            "words": "",
            "model": "nano",
            "device": "cpu",
            "backend": "ort",
        },
        "sinks": [
            {
                "name": "virtual",
                "description": "",
                "state": "writing",
                "words": "",
                "wanted": None,
            }
        ],
        "figures": {
            "frames_in": 1,
            "frames_out": 1,
            "frames_dropped": 0,
            "frames_repeated": 0,
            "fps_in": 30,
            "fps_out": 29.7,
            "latency_ms": {},
            "stage_ms": {},
            "cpu_percent": 1,
            "rss_mib": 1,
        },
        "faults": [],
    }
    for path, value in changes.items():
        part, _, key = path.partition("__")
        (facts[part][0] if part == "sinks" else facts[part])[key] = value
    return State.model_validate(facts)


def test_no_run_is_fine(machine: Machine) -> None:
    assert only(service.check_runs(machine.world())).status is Status.OK


def test_a_healthy_run_is_summed_up(machine: Machine) -> None:
    machine.facts["runs"] = lambda: [Run("default", state())]
    finding = only(service.check_runs(machine.world()))
    assert finding.what == "run 'default' (pid 7): source live, engine ready, 30 fps out"


@pytest.mark.parametrize(
    "changes",
    [
        {"source__state": "lost", "source__words": "rtsp://me:planted@host: refused"},
        {"source__state": "stalled", "source__words": "no picture: refused"},
        {"engine__state": "failed", "engine__words": "refused"},
        {"engine__state": "fallback", "engine__words": "refused"},
        {"sinks__state": "reopening", "sinks__words": "refused"},
    ],
)
def test_what_a_run_suffers_from_is_passed_on(machine: Machine, changes: dict[str, str]) -> None:
    machine.facts["runs"] = lambda: [Run("two", state(**changes))]
    finding = only(service.check_runs(machine.world()))
    assert finding.status is Status.WARNING
    assert "refused" in finding.what
    assert "planted" not in finding.what
    assert finding.cure == "vcsharp ctl --instance two status"


def test_a_run_that_does_not_answer_is_told(machine: Machine) -> None:
    machine.facts["runs"] = lambda: [Run("default", problem="timed out")]
    finding = only(service.check_runs(machine.world()))
    assert finding.status is Status.WARNING
    assert "does not answer: timed out" in finding.what


def test_ports_that_nobody_fixed_are_not_looked_at(machine: Machine) -> None:
    world = machine.world(sink=["preview", "preview:0", "virtual"])
    assert "no fixed port" in only(service.check_ports(world)).what


def test_free_ports_are_ok(machine: Machine) -> None:
    machine.facts["bind"] = lambda _: 0
    world = machine.world(preview_port=8001, metrics_port=8002, sink=["preview:8003"])
    assert [finding.what for finding in service.check_ports(world)] == [
        "preview_port: 127.0.0.1:8001 is free",
        "metrics_port: 127.0.0.1:8002 is free",
        "sink preview:8003: 127.0.0.1:8003 is free",
    ]


SOCKETS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1
   1: 0100007F:1F41 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1
"""


@pytest.mark.parametrize("settings", [{"preview_port": 8001}, {"sink": ["preview:8001"]}])
def test_a_port_that_is_taken_fails_and_names_who_has_it(
    machine: Machine, settings: dict[str, Any]
) -> None:
    machine.facts["bind"] = lambda _: errno.EADDRINUSE
    finding = only(service.check_ports(machine.world(**settings)))
    assert finding.status is Status.FAILED
    assert "is taken by another program" in finding.what
    assert finding.cure.startswith("vcsharp run --")
    machine.file("/proc/net/tcp", SOCKETS)
    machine.program(11, "other", "socket:[4243]")
    machine.program(12, "httpd", "socket:[4242]")
    finding = only(service.check_ports(machine.world(**settings)))
    assert "is taken by httpd (pid 12)" in finding.what


def test_a_port_served_by_vcsharp_is_ok(machine: Machine) -> None:
    machine.facts["bind"] = lambda _: errno.EADDRINUSE
    machine.file("/proc/net/tcp6", SOCKETS)
    machine.program(12, "vcsharp", "socket:[4242]")
    assert only(service.check_ports(machine.world(metrics_port=8001))).status is Status.OK


def test_a_port_of_root_s_fails(machine: Machine) -> None:
    machine.facts["bind"] = lambda _: errno.EACCES
    finding = only(service.check_ports(machine.world(metrics_port=80)))
    assert finding.status is Status.FAILED
    assert finding.cure == "vcsharp run --metrics-port 0"


def test_bind_tells_a_taken_port_from_a_free_one() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert real.bind(other.getsockname()[1]) == errno.EADDRINUSE
    assert real.bind(0) == 0


@pytest.mark.parametrize(
    ("said", "kernel", "status"),
    [
        ("yes\n", False, Status.OK),
        ("no\n", True, Status.WARNING),
        (None, True, Status.OK),
        (None, False, Status.WARNING),
    ],
)
def test_the_clock_is_asked_of_systemd_then_of_the_kernel(
    machine: Machine, said: str | None, kernel: bool, status: Status
) -> None:
    machine.facts["synchronised"] = lambda: kernel
    if said is not None:
        machine.says("timedatectl show", said)
    assert only(system.check_clock(machine.world())).status is status


def test_the_clock_s_cure_fits_the_system(machine: Machine) -> None:
    assert not only(system.check_clock(machine.world())).checked
    machine.facts["synchronised"] = lambda: False
    assert worst(system.check_clock(machine.world())).cure == "sudo apt install chrony"
    machine.file("/run/systemd/system/x")
    assert worst(system.check_clock(machine.world())).cure == "sudo timedatectl set-ntp true"


def test_the_kernel_s_own_word_on_the_clock_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert real.synchronised() in (True, False, None)

    def no_such_call(_: None) -> object:
        return object()

    monkeypatch.setattr("ctypes.CDLL", no_such_call)
    assert real.synchronised() is None
