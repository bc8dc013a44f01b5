"""Puts a service in place and takes it away, and says every step."""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vcsharp.errors import VcsharpError
from vcsharp.service.files import (
    FOR_ROOT,
    UNITS,
    difference,
    is_ours,
    read,
    wanted_files,
)
from vcsharp.service.place import Place, check

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Change:
    """One call of install or remove."""

    place: Place
    tell: Tell
    dry_run: bool = False
    now: bool = True
    force: bool = False

    def install(self) -> None:
        """Writes the files, has systemd read them, starts the service. Idempotent.

        Raises VcsharpError, before anything is changed where a file is the user's.
        """
        check(self.place)
        self._need_root()
        files = wanted_files(self.place)
        for path, text in files.items():
            self._refuse_changed(path, text)
        for path, text in files.items():
            self._write(path, text)
        self._commands(self._after_install())
        self._tell_settings()
        self._tell_root()

    def remove(self) -> None:
        """Stops the service and deletes what `install` wrote. Idempotent."""
        check(self.place)
        self._need_root()
        place = self.place
        if self._installed():
            now = ["--now"] if self.now else []
            self._commands([place.command("systemctl", "disable", *now, place.unit)])
        others = self._other_cameras()
        if others:
            self.tell(f"kept for {', '.join(others)}: {place.unit_path} and what goes with it")
            return
        for path in wanted_files(place):
            self._delete(path)
        self._commands([place.command("systemctl", "daemon-reload")])
        if place.system:
            self.tell("kept: the user vcsharp and its files; sudo userdel vcsharp removes it")
        if place.settings_path.exists():
            self.tell(f"kept: your settings in {place.settings_path}")

    def _installed(self) -> bool:
        return self.place.unit_path.exists()

    def _other_cameras(self) -> list[str]:
        if not self.place.system:
            return []
        links = (self.place.folder / "multi-user.target.wants").glob("vcsharp@*.service")
        return sorted(link.name for link in links if link.name != self.place.unit)

    def _need_root(self) -> None:
        if self.place.system and not self.place.is_root and not self.dry_run:
            raise VcsharpError(
                "service: only root may change system units; put sudo before the command, "
                "or look first with --dry-run"
            )

    def _refuse_changed(self, path: Path, text: str) -> None:
        old = read(path)
        if old is None or old == text or is_ours(old) or self.force:
            return
        for line in difference(old, text):
            self.tell(f"  {line}")
        raise VcsharpError(
            f"service: '{path}' was changed by hand (the lines above), so it stays; --force "
            f"overwrites it, systemctl edit keeps changes beside it"
        )

    def _write(self, path: Path, text: str) -> None:
        old = read(path)
        if old == text:
            self.tell(f"as it should be: {path}")
            return
        self.tell(f"{'would write' if self.dry_run else 'write'} {path}")
        if self.dry_run:
            shown = text.splitlines() if old is None else difference(old, text)
            for line in shown:
                self.tell(f"  {line}")
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            path.chmod(0o644)
        except OSError as error:
            raise VcsharpError(f"service: cannot write '{path}': {error.strerror}") from error

    def _delete(self, path: Path) -> None:
        old = read(path)
        if old is None:
            return
        if not is_ours(old) and not self.force:
            self.tell(f"kept, because it was changed by hand: {path} (--force deletes it)")
            return
        self.tell(f"{'would delete' if self.dry_run else 'delete'} {path}")
        if not self.dry_run:
            try:
                path.unlink()
            except OSError as error:
                raise VcsharpError(f"service: cannot delete '{path}': {error.strerror}") from error

    def _after_install(self) -> Iterator[list[str]]:
        place = self.place
        if place.system:
            yield ["systemd-sysusers"]
            yield ["udevadm", "control", "--reload"]
            yield ["modprobe", "v4l2loopback"]
        yield place.command("systemctl", "daemon-reload")
        yield place.command("systemctl", "enable", place.unit)
        if self.now and self._may_start():
            yield place.command("systemctl", "restart", place.unit)

    def _may_start(self) -> bool:
        return not self.place.system or self.place.settings_path.exists()

    def _commands(self, commands: Iterator[list[str]] | list[list[str]]) -> None:
        for command in commands:
            self.tell(f"{'would run' if self.dry_run else 'run'} {shlex.join(command)}")
            if not self.dry_run:
                self._run(command)

    def _run(self, command: list[str]) -> None:
        answer = self.place.run(command)
        if not answer.code:
            return
        why = (answer.err.strip() or answer.out.strip() or f"status {answer.code}").splitlines()[0]
        if command[0] == "modprobe":
            self.tell(f"  {why}; vcsharp doctor says what is missing")
            return
        raise VcsharpError(f"service: {shlex.join(command)}: {why}; {self._cure(command, why)}")

    def _cure(self, command: list[str], why: str) -> str:
        if "bus" in why.lower():
            return "log in as this user first (not with su or sudo), so that its services run"
        if command[0] == "systemctl" and ("restart" in command or "disable" in command):
            return f"see {shlex.join(self.place.command('journalctl', '-u', self.place.unit))}"
        return "it needs a system that systemd runs; without it, start vcsharp run yourself"

    def _tell_settings(self) -> None:
        path = self.place.settings_path
        if path.exists():
            return
        if not self.place.system:
            self.tell(f'settings: none yet; the defaults hold. source = "..." goes into {path}')
            return
        self.tell(f'settings: write {path} (source = "...", sink = ["virtual"]), then')
        self.tell(f"  sudo systemctl start {self.place.unit}")
        self.tell(f"with a password in it: sudo chgrp vcsharp {path}; sudo chmod 640 {path}")

    def _tell_root(self) -> None:
        if self.place.system:
            return
        for why, command in self._needs_of_root():
            self.tell(f"as root, {why}:")
            self.tell(f"  {command}")

    def _needs_of_root(self) -> Iterator[tuple[str, str]]:
        root = self.place.root
        why = {
            "etc/modprobe.d/vcsharp.conf": "so that the virtual camera gets its name and number",
            "etc/modules-load.d/vcsharp.conf": "so that it is there after every boot",
            "etc/udev/rules.d/70-vcsharp.rules": "so that whoever sits at the screen may use it",
        }
        for name, target in FOR_ROOT.items():
            if not (root / target).exists():
                origin = shlex.quote(str(UNITS / name))
                yield why[target], f"sudo install -D -m 644 {origin} {root / target}"
        if not (root / "sys/module/v4l2loopback").exists():
            yield "to have it now", "sudo udevadm control --reload; sudo modprobe v4l2loopback"
        if not self._in_video():
            user = shlex.quote(getpass.getuser())
            yield (
                "so that cameras may be opened without sitting at the screen; log in again then",
                f"sudo usermod -aG video,render {user}",
            )

    def _in_video(self) -> bool:
        answer = self.place.run(["id", "-nG"])
        return answer.code != 0 or bool({"video", "root"} & set(answer.out.split()))
