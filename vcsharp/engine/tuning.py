"""Which precision, tiles and threads are fastest on this machine: measured once, then remembered.

A tile is timed alone, on one thread and by that thread's own CPU time, so that other programs
disturb little. What a whole frame takes follows from the number of tiles. How the tiles are shared
out (to threads of our own, or each to all of ONNX Runtime's threads) is then timed by the clock, in
turns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from vcsharp.catalogue import Model
from vcsharp.engine import tiling
from vcsharp.engine.machine import usable_cores
from vcsharp.engine.setup import Setup, key, recall, remember

log = logging.getLogger(__name__)

BUDGET_S = 1.8
"""For everything; what is not measured by then stays as it is."""
TILES_SHARE = 0.6
"""Of the budget, for tiles; the rest is for threads."""
TURNS = 3
"""How often each candidate is timed; the least counts, the others were disturbed."""
TILES_PX = (512, 256, 384, 768, 1024)
PRECISIONS = ("int8", "fp32")
PICTURE = (1920, 1080)
"""What is measured with; other sizes take the same set-up."""
WORTH = 0.92
"""A candidate has to need at most this share of the time of what is used anyway."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the settings leave open, and the picture that counts."""

    precisions: tuple[str, ...]
    """The first is used where nothing is measured."""
    tiles_px: tuple[int, ...]
    threads: int
    """0 leaves it open."""
    width: int
    height: int
    halo_px: int
    multiple: int

    def plan(self, tile_px: int) -> tiling.Plan:
        """The tiles of the picture. Raises ValueError where halos leave no room."""
        return tiling.plan(self.width, self.height, tile_px, self.halo_px, self.multiple)


Runner = Callable[[np.ndarray, tiling.Plan, np.ndarray], None]
"""Runs a plan's tiles: plane, plan, output."""
MakeRunner = Callable[[Setup], Runner]


def best(wish: Wish, make: MakeRunner, clock: Clock = time.monotonic) -> tuple[Setup, float]:
    """(fastest set-up, ms of a frame as far as measured) within `BUDGET_S`.

    `make` gives a runner for a set-up; a runner on one thread works in the calling one. Raises what
    runners raise.
    """
    started_s = clock()
    first = Setup(wish.precisions[0], wish.tiles_px[0], wish.threads)
    one = {
        replace(first, precision=precision, tile_px=tile_px)
        for precision in wish.precisions
        for tile_px in wish.tiles_px
        if _has_room(wish, tile_px)
    }
    ordered = sorted(one, key=lambda setup: _order(wish, setup))
    frame_ms = _by_tiles(wish, ordered, make, lambda: clock() < started_s + TILES_SHARE * BUDGET_S)
    chosen = _fastest({s: ms for s, ms in frame_ms.items() if s.tile_px == first.tile_px}, first)
    alike = {s: ms for s, ms in frame_ms.items() if s.precision == chosen.precision}
    chosen = _fastest(alike, chosen)
    shared = _sharings(wish, chosen)
    if len(shared) > 1:
        by_clock = _by_frames(wish, shared, make, lambda: clock() < started_s + BUDGET_S)
        chosen, frame_ms = _fastest(by_clock, chosen), by_clock or frame_ms
    return chosen, round(frame_ms.get(chosen, 0.0), 2)


def tune(model: Model, precision: str, threads: int, tile_px: int, *, anew: bool = False) -> bool:
    """Measures and remembers, unless that was done; True if something else is used from now on.

    For the CPU and ONNX Runtime; the arguments are the settings, as for `choose`. Raises
    BackendError.
    """
    entry_key = key(model, precision, threads, tile_px)
    known = recall(entry_key)
    if known is not None and not anew:
        return False
    wish = Wish(
        precisions=PRECISIONS if precision == "auto" else (precision,),
        tiles_px=(tile_px,) if tile_px else TILES_PX,
        threads=threads,
        width=PICTURE[0],
        height=PICTURE[1],
        halo_px=model.card.halo_px,
        multiple=model.card.multiple_of,
    )
    with ExitStack() as stack:
        found, frame_ms = best(wish, partial(_runner, model, stack))
    remember(entry_key, found, frame_ms)
    log.debug("fastest for '%s' here: %s, %.1f ms a frame", model.card.name, found, frame_ms)
    return found != (known or Setup(wish.precisions[0], wish.tiles_px[0], threads))


def _runner(model: Model, stack: ExitStack, setup: Setup) -> Runner:
    from vcsharp.engine.ort import OrtBackend

    backend = OrtBackend(model, setup.precision, "cpu", setup.threads, inside=setup.inside)
    stack.callback(backend.close)
    return lambda plane, plan, out: backend.sharpen(plane, plan, 1.0, out)


def _order(wish: Wish, setup: Setup) -> tuple[int, int]:
    """Precisions first: what is left over at the deadline is the least interesting."""
    return wish.tiles_px.index(setup.tile_px), wish.precisions.index(setup.precision)


def _has_room(wish: Wish, tile_px: int) -> bool:
    try:
        wish.plan(tile_px)
    except ValueError:
        return tile_px == wish.tiles_px[0]
    return True


def _fastest(took_ms: dict[Setup, float], usual: Setup) -> Setup:
    """The fastest, if it is worth a change."""
    if usual not in took_ms:
        return usual
    found = min(took_ms, key=took_ms.__getitem__)
    return found if took_ms[found] <= WORTH * took_ms[usual] else usual


def _by_tiles(
    wish: Wish, setups: Sequence[Setup], make: MakeRunner, in_time: Callable[[], bool]
) -> dict[Setup, float]:
    """A frame's time in ms, from the CPU time of one tile; the first set-up is always measured."""
    cores = wish.threads or usable_cores()
    took_ms: dict[Setup, float] = {}
    for setup in setups:
        if took_ms and not in_time():
            break
        plan = wish.plan(setup.tile_px)
        run = make(replace(setup, threads=1))
        alone = replace(plan, tiles=plan.tiles[:1])
        plane, out = _planes(plan)
        run(plane, alone, out)  # memory is planned in the first call
        tile_s = min(_timed(run, plane, alone, out, time.thread_time) for _ in range(TURNS))
        rounds = -(-len(plan.tiles) // cores)  # in the last one some cores may have no tile
        took_ms[setup] = 1e3 * tile_s * rounds
    return took_ms


def _sharings(wish: Wish, setup: Setup) -> list[Setup]:
    """The ways to use several cores, the usual one first."""
    cores = wish.threads or usable_cores()
    if cores == 1:
        return [setup]
    found = [setup, replace(setup, inside=True)]
    if not wish.threads and cores >= 4:  # two threads of one core share its arithmetic
        found.append(replace(setup, threads=cores // 2))
    return found


def _by_frames(
    wish: Wish, setups: Sequence[Setup], make: MakeRunner, in_time: Callable[[], bool]
) -> dict[Setup, float]:
    """Wall-clock ms of a whole frame; set-ups take turns, so that a disturbance hits all."""
    took_ms: dict[Setup, float] = {}
    runs = [(setup, make(setup), wish.plan(setup.tile_px)) for setup in setups]
    for turn in range(TURNS + 1):
        for setup, run, plan in runs:
            if turn and not in_time():
                return took_ms if len(took_ms) == len(setups) else {}
            took_s = _timed(run, *_arguments(plan), time.perf_counter)
            if turn:
                took_ms[setup] = min(1e3 * took_s, took_ms.get(setup, 1e9))
    return took_ms


def _arguments(plan: tiling.Plan) -> tuple[np.ndarray, tiling.Plan, np.ndarray]:
    plane, out = _planes(plan)
    return plane, plan, out


def _planes(plan: tiling.Plan) -> Iterator[np.ndarray]:
    """A plane with something in it, and one to write to."""
    rows = np.arange(plan.height, dtype=np.uint8)[:, None]
    columns = np.arange(plan.width, dtype=np.uint8)[None]
    plane = rows ^ columns
    return iter((plane, np.empty_like(plane)))


def _timed(
    run: Runner, plane: np.ndarray, plan: tiling.Plan, out: np.ndarray, clock: Clock
) -> float:
    started_s = clock()
    run(plane, plan, out)
    return clock() - started_s
