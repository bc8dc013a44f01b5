"""Runs vcsharp on a real kernel: webcam in, virtual camera out, programs looking.

    make kernel-test                                       # everything
    make kernel-test ARGS="--only camera --release 0.15.4" # part of it

Builds what is missing (user-mode Linux, its modules, a Debian guest), boots the guest for every
scenario and v4l2loopback release, and prints a table. docs/kernel-tests.md tells more.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from py_compile import PycInvalidationMode

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
LAB = HERE / "lab"
RESULTS = CHECKOUT / "build" / "kernel-test"
RELEASES = ("0.12.7", "0.13.2", "0.15.0", "0.15.4")
NEWEST = RELEASES[-1:]
RECIPE = "recipe.sha256"
PACKAGES = {
    "debootstrap": "debootstrap",
    "gcc": "gcc",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "depmod": "kmod",
    "mkfs.ext4": "e2fsprogs",
    "xz": "xz-utils",
}
"""What building needs: the program, and the Debian package that has it."""
EMULATOR = {"qemu-system-x86_64": "qemu-system-x86"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A file in scenarios/ and where it runs."""

    name: str
    releases: tuple[str, ...] = NEWEST
    timeout_s: int = 300


SCENARIOS = (
    Scenario("cycles", timeout_s=600),
    Scenario("chromium", RELEASES, 400),
    Scenario("service"),
    Scenario("network"),
    Scenario("loopback", RELEASES, 300),
    Scenario("camera", RELEASES),
    Scenario("unplug"),
    Scenario("doctor", ("0.12.7", "0.15.4")),
    Scenario("portable", ("0.12.7", "0.15.4")),
)
"""The longest first: guests that run beside each other then end at about the same time."""


@dataclass(slots=True)
class Outcome:
    """What one scenario found on one release."""

    scenario: str
    release: str
    status: int
    seconds: float
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Everything held, and something was looked at."""
        return self.status == 0 and not self.failed and bool(self.passed or self.skipped)

    @property
    def cell(self) -> str:
        """As it stands in the table."""
        if not self.good:
            return f"FAIL {len(self.failed) or self.reason}"
        return f"pass {len(self.passed)}" if self.passed else "skipped"

    @property
    def reason(self) -> str:
        """Why there is no result where there is none."""
        ends = {124: "took too long", 125: "the guest died"}
        return ends.get(self.status, f"status {self.status}")


def main() -> int:
    wish = parse()
    try:
        refuse_other_machines()
        cache = cache_folder()
        install_packages(wish.engine)
        build(cache, wish.engine, again=wish.rebuild)
        outcomes = run(wish)
    except (KernelTestError, OSError) as error:
        print(f"kernel-test: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return report(outcomes)


class KernelTestError(Exception):
    """One line: what, why, and what to do."""


def parse() -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        prog="make kernel-test",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=names, help="this scenario; repeatable")
    parser.add_argument("--release", action="append", choices=RELEASES, help="only on this one")
    parser.add_argument("--engine", choices=("uml", "qemu"), default="uml", help="see lab/boot.sh")
    cpus = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=min(cpus, 4), help="guests at once")
    parser.add_argument("--rebuild", action="store_true", help="build kernel and guest again")
    return parser.parse_args()


# ---- what must be there -------------------------------------------------------------------------


def refuse_other_machines() -> None:
    """Raises KernelTestError where the guest cannot be built."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise KernelTestError("needs Linux on x86-64; this machine has another system")
    if shutil.which("apt-get") is None:
        raise KernelTestError("needs Debian 12 or newer (apt-get); run it in a Debian container")
    if os.geteuid() != 0:
        raise KernelTestError("needs root, to unpack the guest's Debian: sudo make kernel-test")


def cache_folder() -> Path:
    """Where kernel and guest are kept between runs and checkouts."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = os.environ.get("VCSHARP_KERNEL_CACHE")
    cache = Path(named) if named else home / "vcsharp" / "kernel-test"
    cache.mkdir(parents=True, exist_ok=True)
    os.environ["VCSHARP_KERNEL_CACHE"] = str(cache)
    return cache


def install_packages(engine: str) -> None:
    """Installs with apt what the engine needs and this machine lacks, and says so."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    needed = PACKAGES | (EMULATOR if engine == "qemu" else {})
    missing = [package for tool, package in needed.items() if not shutil.which(tool, path=path)]
    if not missing:
        return
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    say(f"installing what building needs: {' '.join(command)}")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=False, env=env)
    if subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=False).returncode:
        raise KernelTestError(f"packages are missing; run: apt-get install {' '.join(missing)}")


# ---- building, once -----------------------------------------------------------------------------


def build(cache: Path, engine: str, *, again: bool) -> None:
    """Builds kernel and guest where they are missing or their recipes have changed."""
    jobs = []
    if engine == "uml":
        recipe = digest([LAB / "kernel.sh", LAB / "apt.sh", LAB / "uml.config"])
        jobs.append(Job(cache / "kernel", recipe, LAB / "kernel.sh"))
    files = [LAB / "image.sh", *sorted((LAB / "rootfs").rglob("*")), CHECKOUT / "constraints.txt"]
    recipe, wheels = digest(files, *requirements()), cache / "wheels"
    # The emulator boots Debian's own kernel, which lies in the image with its modules.
    folder, extra = ("image", []) if engine == "uml" else ("image-stock", ["--stock-kernel"])
    jobs.append(Job(cache / folder, recipe, LAB / "image.sh", [str(wheels), *extra]))
    jobs = [job for job in jobs if again or stale(job.folder, job.recipe)]
    if not jobs:
        return
    if any(job.arguments for job in jobs):
        fetch_wheels(wheels)
    began = time.monotonic()
    started = [start(job) for job in jobs]
    statuses = [one.wait() for one in started]
    if any(statuses):
        raise KernelTestError(f"building failed; the logs are in {cache}")
    for job in jobs:
        (job.folder / RECIPE).write_text(job.recipe)
    say(f"built in {time.monotonic() - began:.0f} s, kept in {cache}")


@dataclass(frozen=True, slots=True)
class Job:
    """A script that fills a folder."""

    folder: Path
    recipe: str
    """Names what it is made from."""
    script: Path
    arguments: list[str] = field(default_factory=list)


def stale(folder: Path, recipe: str) -> bool:
    built = folder / RECIPE
    return not built.exists() or built.read_text() != recipe


def digest(files: Iterable[Path], *words: str) -> str:
    parts = [path.read_bytes() for path in files if path.is_file()]
    return hashlib.sha256(b"\0".join([*parts, *(word.encode() for word in words)])).hexdigest()


def requirements() -> list[str]:
    """What vcsharp depends on, on a machine without a GPU."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["cpu"]]


def start(job: Job) -> subprocess.Popen[bytes]:
    job.folder.mkdir(exist_ok=True)
    (job.folder / RECIPE).unlink(missing_ok=True)
    return subprocess.Popen([job.script, job.folder, *job.arguments])


def fetch_wheels(folder: Path) -> None:
    """What vcsharp depends on, for the guest's Python, within constraints.txt."""
    say("downloading Python packages")
    folder.mkdir(exist_ok=True)
    wanted = folder / "requirements.txt"
    wanted.write_text("\n".join(requirements()) + "\n")
    manylinux = ("2_28_x86_64", "2_27_x86_64", "2_17_x86_64", "2014_x86_64")
    platforms = [f"--platform=manylinux{'' if '2014' in one else '_'}{one}" for one in manylinux]
    command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
    command += ["--dest", str(folder), "--constraint", str(CHECKOUT / "constraints.txt")]
    command += ["--python-version=3.11", "--implementation=cp", "--only-binary=:all:", *platforms]
    if subprocess.run([*command, "-r", str(wanted)], check=False).returncode:
        raise KernelTestError("pip could not download the guest's packages; see above")


# ---- running ------------------------------------------------------------------------------------


def run(wish: argparse.Namespace) -> list[Outcome]:
    """Every scenario that was asked for, on every release that it is for."""
    shutil.rmtree(RESULTS, ignore_errors=True)
    source = snapshot(RESULTS / "source")
    wanted = [
        (scenario, release)
        for scenario in SCENARIOS
        for release in scenario.releases
        if not (wish.only and scenario.name not in wish.only)
        and not (wish.release and release not in wish.release)
    ]
    if not wanted:
        raise KernelTestError("nothing to run: that scenario is not for that release")
    pool = ThreadPoolExecutor(wish.jobs)
    try:
        started = [pool.submit(boot, *one, source, wish.engine) for one in wanted]
        return [one.result() for one in started]
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C no more guests are started


def snapshot(target: Path) -> Path:
    """A copy of what the guest runs: changes in the checkout do not reach it half-way."""
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("vcsharp", "models", "systemd", "tests/kernel"):
        shutil.copytree(CHECKOUT / name, target / name, symlinks=True, ignore=skip)
    # Guests see it read-only: each program would compile all of it at every start. They take this
    # where their Python is the one that runs here, as it is on Debian 12 itself.
    unchecked = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(target, ddir="/src", quiet=2, invalidation_mode=unchecked)
    return target


def boot(scenario: Scenario, release: str, source: Path, engine: str) -> Outcome:
    out = RESULTS / f"{scenario.name}-{release}"
    slow = 10 if engine == "qemu" else 1
    command: list[str | Path] = [LAB / "boot.sh", "--engine", engine, "--out", out]
    command += ["--share", f"{source}=/src", "--loopback", release]
    command += ["--timeout", str(scenario.timeout_s * slow)]
    command += ["python", "-m", f"tests.kernel.scenarios.{scenario.name}"]
    began = time.monotonic()
    status = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
    outcome = Outcome(scenario.name, release, status, time.monotonic() - began)
    sort_lines(outcome, out / "stdout")
    say(f"{scenario.name} on {release}: {outcome.cell}, {outcome.seconds:.0f} s")
    return outcome


def sort_lines(outcome: Outcome, path: Path) -> None:
    """Reads `ok`, `not ok` and `skip` lines."""
    kinds = {"ok ": outcome.passed, "not ok ": outcome.failed, "skip ": outcome.skipped}
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    for line in text.splitlines():
        for start_of_line, lines in kinds.items():
            if line.startswith(start_of_line):
                lines.append(line.removeprefix(start_of_line).strip())


def report(outcomes: list[Outcome]) -> int:
    """Prints the table and what failed; the exit status."""
    lines = [*table(outcomes), ""]
    for outcome in outcomes:
        where = f"{outcome.scenario} on {outcome.release}"
        lines += [f"not ok  {where}: {line}" for line in outcome.failed]
        lines += [f"skipped {where}: {line}" for line in outcome.skipped]
        if not outcome.good and not outcome.failed:
            lines.append(f"not ok  {where}: {outcome.reason}")
    lines.append(f"logs and pictures: {RESULTS}")
    print("\n".join(lines))
    (RESULTS / "table.txt").write_text("\n".join(lines) + "\n")
    found = json.dumps([asdict(outcome) for outcome in outcomes], indent=1)
    (RESULTS / "results.json").write_text(found + "\n")
    return 0 if all(outcome.good for outcome in outcomes) else 1


def table(outcomes: list[Outcome]) -> list[str]:
    cells = {(outcome.scenario, outcome.release): outcome.cell for outcome in outcomes}
    names = list(dict.fromkeys(outcome.scenario for outcome in outcomes))
    title = "v4l2loopback"
    width = max(map(len, [title, *names])) + 2
    rows = ["".join([title.ljust(width), *(one.ljust(14) for one in RELEASES)])]
    for name in names:
        found = (cells.get((name, one), "-").ljust(14) for one in RELEASES)
        rows.append("".join([name.ljust(width), *found]).rstrip())
    return rows


def say(line: str) -> None:
    print(time.strftime("[%H:%M:%S]"), line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
