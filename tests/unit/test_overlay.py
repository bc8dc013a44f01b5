"""Drawings change what they should, and nothing else."""

from fractions import Fraction

import numpy as np
import pytest

from vcsharp.dress import Dressed, Look
from vcsharp.errors import SettingsError
from vcsharp.frame import Color, Frame, Result, black
from vcsharp.overlay import side_by_side, split, with_line
from vcsharp.sinks.base import StreamFormat


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


def blanked(frame: Frame) -> Frame:
    """Stands for the line of figures."""
    return frame.replaced(data=np.zeros_like(frame.data))


def test_nothing_asked_for_costs_nothing():
    result, look = pair(), Look("off", "off", blanked)
    assert look.for_output(result, compares=True) is result.frame
    page = look.for_page(result)
    assert (page.frame, page.source) == (result.frame, result.source)


def test_a_comparison_and_the_line_go_together():
    look = Look("split", "all", blanked)
    assert not look.for_output(pair(), compares=True).data.any()


def test_others_see_neither_comparison_nor_line_unless_asked():
    result = pair()
    assert Look("split", "preview", blanked).for_output(result, compares=False) is result.frame
    assert not Look("split", "all", blanked).for_output(result, compares=False).data.any()


def test_the_page_shows_the_line_on_the_sharpened_side_only():
    result = pair()
    page = Look("off", "preview", blanked).for_page(result)
    assert not page.frame.data.any()
    assert page.source is result.source


def test_a_comparison_is_on_both_sides_of_the_pages_slider():
    page = Look("split", "off", blanked).for_page(pair())
    assert page.frame is page.source
    assert page.frame.y[90, 10] == 60


class Memory:
    name, realtime, paced, dresses = "memory", True, False, True
    wanted: bool | None = None
    result: Result | None = None

    def open(self, stream: StreamFormat) -> str:
        return "memory is open"

    def write(self, result: Result) -> None:
        self.result = result

    def close(self) -> None:
        self.result = None


def test_a_look_can_be_changed_between_two_frames():
    memory, look = Memory(), Look("off", "off", blanked)
    sink = Dressed(memory, look)
    result = pair()
    sink.write(result)
    assert memory.result is result
    look.compare = "split"
    sink.write(result)
    assert memory.result is not None
    assert memory.result.frame.y[90, 10] == 60
    sink.close()
    assert memory.result is None


def test_a_dressed_sink_keeps_the_promises_of_the_one_inside():
    memory = Memory()
    sink = Dressed(memory, Look("off", "off", blanked))
    assert (sink.name, sink.realtime, sink.paced, sink.dresses) == ("memory", True, False, True)
    assert sink.wanted is None
    memory.wanted = True
    assert sink.wanted
    assert sink.description == ""
    assert sink.open(StreamFormat(2, 2, Fraction(30), Color())) == "memory is open"
    assert sink.description == "memory is open"


def test_an_unknown_comparison_is_refused():
    with pytest.raises(SettingsError, match="'diff'"):
        Look("diff", "off", blanked)
