"""All checks, and how they are run: beside each other, each in bounded time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from vcsharp.doctor import camera, desktop, kernel, loopback, network, service, system
from vcsharp.doctor.finding import Finding, skipped, warning
from vcsharp.doctor.world import World

DEADLINE_S = 20.0
"""For all checks together. Longer than the slowest command may take."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question and where it belongs."""

    name: str
    group: str
    ask: Callable[[World], Sequence[Finding]]
    linux: bool = True
    """Has no meaning on other systems."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A check and what it found."""

    check: Check
    findings: Sequence[Finding]


CHECKS = (
    Check("cameras", "camera", camera.check_cameras),
    Check("modes", "camera", camera.check_modes),
    Check("holders", "camera", camera.check_holders),
    Check("access", "camera", camera.check_access),
    Check("module", "virtual camera", loopback.check_module),
    Check("secure-boot", "virtual camera", kernel.check_secure_boot),
    Check("dkms", "virtual camera", kernel.check_dkms),
    Check("headers", "virtual camera", kernel.check_headers),
    Check("devices", "virtual camera", loopback.check_devices),
    Check("exclusive-caps", "virtual camera", loopback.check_exclusive),
    Check("readers", "virtual camera", loopback.check_readers),
    Check("format", "virtual camera", loopback.check_format),
    Check("udev", "virtual camera", desktop.check_udev),
    Check("pipewire", "virtual camera", desktop.check_pipewire),
    Check("sandbox", "virtual camera", desktop.check_sandbox),
    Check("onnxruntime", "network engine", network.check_onnxruntime, linux=False),
    Check("gpu", "network engine", network.check_gpu),
    Check("models", "network engine", network.check_models, linux=False),
    Check("libraries", "network engine", network.check_libraries, linux=False),
    Check("settings", "service", service.check_settings, linux=False),
    Check("units", "service", service.check_units),
    Check("runs", "service", service.check_runs),
    Check("ports", "service", service.check_ports, linux=False),
    Check("clock", "system", system.check_clock),
)


def run_checks(
    world: World,
    checks: Iterable[Check] = CHECKS,
    *,
    deadline_s: float = DEADLINE_S,
    strict: bool = False,
) -> list[Outcome]:
    """What each check found, in their order; a check that breaks or hangs gives a warning.

    Args:
        world: the machine.
        checks: which.
        deadline_s: until when those that hang are waited for.
        strict: raise what broke a check instead, for the traceback.
    """
    chosen = list(checks)
    pool = ThreadPoolExecutor(max(1, len(chosen)), thread_name_prefix="vcsharp-doctor")
    try:
        started = [(check, pool.submit(_ask, check, world)) for check in chosen]
        ends_s = time.monotonic() + deadline_s
        outcomes = [Outcome(check, _result(check, future, ends_s)) for check, future in started]
        broken = (future.exception() for _, future in started if future.done())
        if strict and (error := next(filter(None, broken), None)):
            raise error
        return outcomes
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _ask(check: Check, world: World) -> Sequence[Finding]:
    if check.linux and not world.system.startswith("linux"):
        return [skipped("there is no such thing on this system")]
    return check.ask(world)


def _result(check: Check, future: Future[Sequence[Finding]], ends_s: float) -> Sequence[Finding]:
    """The findings, or why there are none; whatever broke, the other checks go on."""
    try:
        error = future.exception(timeout=max(0.0, ends_s - time.monotonic()))
    except TimeoutError:
        return [_broken(check, "a device or command does not answer")]
    return future.result() if error is None else [_broken(check, _reason(error))]


def _broken(check: Check, why: str) -> Finding:
    return warning(f"could not be checked: {why}", f"vcsharp doctor --only {check.name} --debug")


def _reason(error: BaseException) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"'{error.cmd[0]}' did not answer within {error.timeout:g} s"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.lower()}: '{error.filename}'"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
