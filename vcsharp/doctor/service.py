"""vcsharp as a service: its settings file, its units, the run that goes on, its ports."""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Iterator

from vcsharp.control.model import State
from vcsharp.doctor.finding import Finding, failed, ok, skipped, warning
from vcsharp.doctor.machine import Answer
from vcsharp.doctor.processes import Program, listener, names
from vcsharp.doctor.world import World
from vcsharp.settings import ENV_PREFIX
from vcsharp.sources.urls import redact
from vcsharp.states import EngineState, SinkState, SourceState

UNIT = "vcsharp.service"
MANY_RESTARTS = 3

_FACTS = "LoadState,ActiveState,SubState,Result,NRestarts,UnitFileState"
_OTHERS_READ = 0o044
_VARIABLE = re.compile(rf"\b{ENV_PREFIX}\w+", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/\s'\"]*:[^/\s'\"]*@")


def check_settings(world: World) -> list[Finding]:
    """Are the settings valid, and the file this user's alone?"""
    path = world.config_path
    findings = [_faulty(world, redact(line)) for line in world.settings_fault.splitlines()]
    if not path.exists():
        text = f"no settings file, so the defaults hold ('{path}' would be read)"
        return findings or [ok(text)]
    findings += _readable_password(world)
    return findings or [ok(f"'{path}' is valid, and others cannot change it")]


def _faulty(world: World, line: str) -> Finding:
    """What is wrong, and where to change it: as the line says, in a variable, or in the file."""
    what, told, cure = line.rpartition(" with: ")
    if told:
        return failed(what, cure)
    variable = _VARIABLE.search(line)
    if variable and str(world.config_path) not in line:
        return failed(line, f"unset {variable[0]}")
    return failed(line, f'"${{EDITOR:-nano}}" {world.config_path}')


def _readable_password(world: World) -> list[Finding]:
    path = world.config_path
    if not stat.S_IMODE(path.stat().st_mode) & _OTHERS_READ:
        return []
    if not _PASSWORD.search(path.read_text("utf-8", "replace")):
        return []
    return [warning(f"'{path}' holds a password that others may read", f"chmod 600 {path}")]


def check_units(world: World) -> list[Finding]:
    """Do the services of systemd run, and do they start by themselves?"""
    if not world.path("/run/systemd/system").exists():
        return [skipped("systemd does not run here")]
    return [_user_unit(world), *_system_units(world)]


def _user_unit(world: World) -> Finding:
    answer = world.run(["systemctl", "--user", "show", UNIT, "-p", _FACTS])
    if answer is None or answer.code:
        why = answer.why if answer else "systemctl is not installed"
        return skipped(f"no user services in this login: {why}")
    facts = dict(line.split("=", 1) for line in answer.out.splitlines() if "=" in line)
    if facts.get("LoadState") != "loaded":
        return ok("no user service; 'vcsharp service install' makes one that starts at login")
    return _judged(world, facts)


def _judged(world: World, facts: dict[str, str]) -> Finding:
    state, result = facts.get("ActiveState", ""), facts.get("Result", "")
    restarts = int(facts.get("NRestarts") or 0)
    journal = f"journalctl --user -u {UNIT} -n 50 --no-pager"
    if state == "failed":
        return failed(f"the user service failed ({result}); its last words", journal)
    if restarts > MANY_RESTARTS:
        what = f"the user service was started again {restarts} times ({result}); its last words"
        return warning(what, journal)
    if facts.get("UnitFileState") == "disabled":
        what = f"the user service is {state} and will not start at login"
        return warning(what, f"systemctl --user enable {UNIT}")
    lingers = world.path(f"/var/lib/systemd/linger/{world.user}").exists()
    until = "from boot on (lingering)" if lingers else "while you are logged in"
    return ok(f"the user service is {state}, starts by itself, {until}")


def _system_units(world: World) -> list[Finding]:
    """One finding for each `vcsharp@NAME.service`; nothing where there is none."""
    asked = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "vcsharp@*.service"]
    answer = world.run(asked) or Answer(1)
    rows = [line.split() for line in answer.out.splitlines()]
    return [_system_unit(row[0], row[2]) for row in rows if len(row) > 3]


def _system_unit(name: str, state: str) -> Finding:
    if state == "failed":
        return failed(f"{name} failed; its last words", f"journalctl -u {name} -n 50 --no-pager")
    return ok(f"{name} is {state}")


def check_runs(world: World) -> list[Finding]:
    """Does a run go on, and what does it say of itself?"""
    found = world.runs()
    if not found:
        return [ok("no run goes on now")]
    findings: list[Finding] = []
    for run in found:
        if run.state is None:
            what = f"the run '{run.instance}' does not answer: {run.problem}"
            findings.append(warning(what, f"vcsharp ctl --instance {run.instance} status"))
        else:
            findings += _told(run.instance, run.state)
    return findings


def _told(instance: str, state: State) -> Iterator[Finding]:
    look = f"vcsharp ctl --instance {instance} status"
    complaints = list(_complaints(state))
    for words in complaints:
        yield warning(f"run '{instance}': {redact(words)}", look)
    if not complaints:
        yield ok(
            f"run '{instance}' (pid {state.pid}): source {state.source.state}, "
            f"engine {state.engine.state}, {state.figures.fps_out:.0f} fps out"
        )


def _complaints(state: State) -> Iterator[str]:
    source, engine = state.source, state.engine
    if source.state in (SourceState.LOST, SourceState.STALLED):
        yield f"its source is {source.state}: {source.words}"
    if engine.state in (EngineState.FAILED, EngineState.FALLBACK):
        yield f"its engine is in state {engine.state}: {engine.words}"
    for sink in state.sinks:
        if sink.state is SinkState.REOPENING:
            yield f"its output {sink.name} is being opened again: {sink.words}"


def check_ports(world: World) -> list[Finding]:
    """Can the pages' fixed ports be had?"""
    ports = dict(_ports(world))
    if not ports:
        return [ok("no fixed port is asked for; free ones are taken")]
    return [_port(world, name, port) for name, port in ports.items()]


def _ports(world: World) -> Iterator[tuple[str, int]]:
    """The ports that the settings name, by how they are named there."""
    settings = world.settings
    if settings.preview_port:
        yield "preview_port", settings.preview_port
    if settings.metrics_port:
        yield "metrics_port", settings.metrics_port
    for sink in settings.sink:
        kind, _, port = sink.partition(":")
        if kind == "preview" and port.isdecimal() and int(port):
            yield f"sink {sink}", int(port)


def _port(world: World, name: str, port: int) -> Finding:
    code = world.bind(port)
    if not code:
        return ok(f"{name}: 127.0.0.1:{port} is free")
    flag = f"--{name.replace('_', '-')} 0"
    cure = f"vcsharp run {flag}" if not name.startswith("sink") else "vcsharp run --sink preview"
    if code == errno.EACCES:
        return failed(f"{name}: only root may take port {port}; take one above 1023", cure)
    holders = listener(world.path("/proc"), port, world.openers())
    if any(program.is_vcsharp for program in holders):
        return ok(f"{name}: 127.0.0.1:{port} is served by {names(holders)}")
    return failed(f"{name}: 127.0.0.1:{port} is taken by {_owner(holders)}; take a free one", cure)


def _owner(holders: list[Program]) -> str:
    return names(holders) or "another program"
