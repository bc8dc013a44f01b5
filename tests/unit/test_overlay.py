"""Drawings change what they should, and nothing else."""

import numpy as np
import pytest

from vcsharp.dress import Dressed, dresser
from vcsharp.errors import SettingsError
from vcsharp.frame import Result, black
from vcsharp.overlay import side_by_side, split, with_line


def pair(width=320, height=180) -> Result:
    before, after = black(width, height), black(width, height)
    before.data[:] = 60
    after.data[:] = 180
    return Result(after, before)


def test_the_line_is_drawn_into_a_copy_at_the_top_right():
    frame = pair().frame
    result = with_line(frame, "30 fps")
    assert (frame.y == 180).all()
    assert (result.y[:12, -40:] != 180).any()
    assert (result.y[90:] == 180).all()
    assert (result.y[:, :120] == 180).all()


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (3840, 2160)])
def test_the_whole_line_is_inside_the_picture(size):
    frame = with_line(black(*size), "29 fps   76 ms   nano")
    assert frame.y.max() > 200
    assert frame.y[:, -4:].max() < 60


@pytest.mark.parametrize("size", [(16, 16), (17, 19), (320, 180), (1920, 1080)])
def test_the_line_fits_any_size(size):
    with_line(black(*size), "a long line of figures that cannot fit everywhere")


def test_split_shows_before_on_the_left_and_after_on_the_right():
    frame = split(pair())
    assert (frame.y[:, :150] == 60).all()
    assert (frame.y[:, 170:] == 180).all()
    assert (frame.y[:, 160] == 235).all()
    assert (frame.u[:, :75] == 60).all()
    assert (frame.u[:, 85:] == 180).all()


def test_side_by_side_shows_both_whole():
    frame = side_by_side(pair())
    assert frame.y[90, 80] == 60
    assert frame.y[90, 240] == 180
    assert frame.y[10, 160] == 16


def test_nothing_asked_for_costs_nothing():
    assert dresser("off", None) is None


def test_a_comparison_and_the_line_go_together():
    dress = dresser("split", lambda frame: frame.replaced(data=np.zeros_like(frame.data)))
    assert dress is not None
    assert not dress(pair()).data.any()


def test_a_dressed_sink_shows_the_same_on_both_sides_of_a_slider():
    class Memory:
        name, realtime, paced, dresses = "memory", True, False, True
        result: Result | None = None

        def write(self, result: Result) -> None:
            self.result = result

    memory = Memory()
    Dressed(memory, split).write(pair())  # type: ignore[arg-type]
    assert memory.result is not None
    assert memory.result.frame is memory.result.source
    assert memory.result.frame.y[90, 10] == 60


def test_an_unknown_comparison_is_refused():
    with pytest.raises(SettingsError, match="'diff'"):
        dresser("diff", None)
