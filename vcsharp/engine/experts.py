"""Which of a model's weights a picture is worked on with, and the backends that hold them.

A stream's first picture decides at once, so that no call begins with the wrong weights. After that
only every so many pictures are looked at, and several looks in a row have to agree: weights that
change from frame to frame would be seen as flicker. All of it is counted in pictures, never in
time, so that a recording gives the same bytes on every machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vcsharp.catalogue import Model
from vcsharp.engine.backend import Backend
from vcsharp.engine.gate import GENERAL, Gate
from vcsharp.engine.sanity import refuse_insane
from vcsharp.engine.streaming import StreamingBackend, streaming
from vcsharp.engine.tiling import Plan
from vcsharp.errors import BackendError, ModelError, SettingsError, VcsharpError
from vcsharp.frame import Bytes

log = logging.getLogger(__name__)

AUTO, OFF = "auto", "off"
"""Wishes: the gate chooses, or the student does all. Any other wish is an expert's name."""
LOOK_EVERY = 30
"""Pictures from one look to the next. A look takes a good part of a frame's time; what a picture
suffers comes from the camera and the line, and stays for longer than a second."""
AGREEING = 3
"""Looks in a row that have to name the same other expert: a hand or a passing object that fills the
picture is gone by then, another camera is not."""
MOST_ALIVE = 2
"""Backends in memory: the one in use and the one before, whose frames may still be under way."""

Look = Callable[[Bytes], str]
"""A luma plane (uint8, (height, width)) to an expert's name; `GENERAL` is the student itself."""


class Watch:
    """Which expert a stream is for. For one thread."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._chosen: str | None = None
        self._rival, self._agreed = GENERAL, 0
        self._seen = 0

    def see(self, luma: Bytes) -> str:
        """The expert for the stream's next picture, a luma plane as for `Look`."""
        if self._chosen is None:
            self._chosen = self._look(luma)
            return self._chosen
        self._seen += 1
        if self._seen % LOOK_EVERY == 0:
            self._reconsider(self._look(luma))
        return self._chosen

    def _reconsider(self, found: str) -> None:
        self._agreed = self._agreed + 1 if found == self._rival else 1
        self._rival = found
        if self._agreed >= AGREEING:
            self._chosen = found


@dataclass(slots=True)
class Held:
    """A backend with the weights of one expert, or of the student."""

    name: str
    """The expert's; `GENERAL` is the student itself."""
    backend: StreamingBackend
    under_way: int = 0
    """Submissions that were not collected yet."""

    def submit(self, planes: Sequence[Bytes], plan: Plan, strength: float) -> Any:
        """See `StreamingBackend.submit`."""
        ticket = self.backend.submit(planes, plan, strength)
        self.under_way += 1
        return ticket

    def collect(self, ticket: Any, outs: Sequence[Bytes]) -> None:
        """See `StreamingBackend.collect`."""
        self.under_way -= 1
        self.backend.collect(ticket, outs)


class Experts:
    """Backends that are made when they are needed, and closed when others are.

    At most `MOST_ALIVE` at once; one whose pictures are under way is closed later. For one thread.
    """

    def __init__(self, make: Callable[[str], Backend], first: str = GENERAL, of: str = "") -> None:
        """Makes the first backend at once. Raises what `make` raises.

        Args:
            make: an expert's name to a backend; `GENERAL` to the student's.
            first: which one all pictures are for, until `follow` is called.
            of: the model's name, for messages.
        """
        self._make, self._of = make, of
        backend = make(first)
        self.lanes: int = getattr(backend, "lanes", 1)
        """Tiles that are worked on at once."""
        self.current = Held(first, streaming(backend))
        """What the last picture was for."""
        self._alive = {first: self.current}
        self._refused: set[str] = set()
        self._look: Look | None = None
        self._watch: Watch | None = None

    def follow(self, look: Look) -> None:
        """Lets `look` say from now on which expert a picture is for."""
        self._look, self._watch = look, Watch(look)

    def for_frame(self, luma: Bytes, plan: Plan) -> Held:
        """What the next picture of the stream is worked on with.

        Args:
            luma: as for `Look`.
            plan: the tiles; a new backend is prepared for them.

        Raises:
            BackendError: not even the student can be loaded again.
        """
        if self._watch is None:
            return self.current
        return self.use(self._watch.see(luma), plan, 1)

    def parted(self, lumas: Sequence[Bytes]) -> dict[str, list[int]]:
        """Indices of single pictures by the expert that each of them is for; without memory."""
        groups: dict[str, list[int]] = {}
        for index, luma in enumerate(lumas):
            name = self._look(luma) if self._look else self.current.name
            groups.setdefault(name, []).append(index)
        return groups

    def use(self, name: str, plan: Plan, planes: int = 0) -> Held:
        """The backend of an expert; the student's where that one cannot be loaded.

        Args:
            name: the expert's, or `GENERAL`.
            plan: the tiles of the next picture.
            planes: that a new backend is prepared for; 0 where no more of the kind will come.

        Raises:
            BackendError: not even the student can be loaded again.
        """
        name = GENERAL if name in self._refused else name
        held = self._alive.pop(name, None) or self._added(name, plan, planes)
        self._alive.pop(held.name, None)
        self._alive[held.name] = self.current = held  # the newest is the last
        return held

    def close(self) -> None:
        """Closes all backends. Idempotent."""
        for held in self._alive.values():
            held.backend.close()

    def _added(self, name: str, plan: Plan, planes: int) -> Held:
        """A call must not end because of an expert: where there is none, the student goes on."""
        try:
            return self._made(name, plan, planes)
        except (VcsharpError, MemoryError) as error:
            why = str(error) or "out of memory"
            if name == GENERAL:
                raise BackendError(f"cannot load '{self._of}' again: {why}") from error
            self._refused.add(name)
            log.warning("%s; '%s' goes on without its expert '%s'", why, self._of, name)
            return self.use(GENERAL, plan, planes)

    def _made(self, name: str, plan: Plan, planes: int) -> Held:
        self._make_room()
        held = Held(name, streaming(self._make(name)))
        try:
            refuse_insane(held.backend, replace(plan, tiles=plan.tiles[:1]), f"{self._of}/{name}")
            if planes:
                held.backend.prepare(plan, planes)
        except (VcsharpError, MemoryError):
            held.backend.close()
            raise
        return held

    def _make_room(self) -> None:
        """For one more; the oldest go first."""
        idle = [name for name, held in self._alive.items() if not held.under_way]
        for name in idle[: max(0, len(self._alive) + 1 - MOST_ALIVE)]:
            self._alive.pop(name).backend.close()


def of_model(model: Model, make: Callable[[Model], Backend], wish: str) -> Experts:
    """The backends of a model, as wished; the one to begin with is made at once.

    Args:
        model: with or without experts.
        make: the model, or an expert of it, to a backend.
        wish: `AUTO`, `OFF`, or the name of an expert for all pictures.

    Raises:
        SettingsError: the model has no expert of that name; others what `make` raises.
    """
    first = GENERAL if wish in (AUTO, OFF) else wish
    try:
        model.expert(first)
    except ModelError as error:
        raise SettingsError(f"expert: {error}") from error
    experts = Experts(lambda name: make(model.expert(name)), first, model.card.name)
    look = _look(model) if wish == AUTO else None
    if look is not None:
        experts.follow(look)
    return experts


def _look(model: Model) -> Look | None:
    """The model's gate; None without one, and with a warning for a damaged one."""
    try:
        path = model.gate_path()
        return Gate.load(path).choose if path else None
    except (ModelError, OSError) as error:
        log.warning("%s; '%s' goes on without its experts", error, model.card.name)
        return None
