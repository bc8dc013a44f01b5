"""The generated scene: moving, detailed, repeatable, and degraded by a real codec."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest

from vcsharp.errors import SourceError
from vcsharp.frame import Bytes, Frame
from vcsharp.sources.demo import DemoSource, sharp_frame


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    source = DemoSource()
    source.open()
    read = [source.read() for _ in range(24)]
    source.close()
    return [frame for frame in read if frame is not None]


def psnr_db(a: Bytes, b: Bytes) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def detail(luma: Bytes) -> float:
    """Mean absolute second difference: what blur takes away."""
    return float(np.abs(np.diff(luma.astype(int), 2)).mean())


def test_frames_are_full_hd_numbered_and_timed(frames: list[Frame]) -> None:
    assert len(frames) == 24
    assert {(frame.width, frame.height) for frame in frames} == {(1920, 1080)}
    assert [frame.sequence for frame in frames] == list(range(24))
    assert [frame.timestamp for frame in frames] == [Fraction(n, 30) for n in range(24)]


def test_the_same_frames_come_in_every_run(frames: list[Frame]) -> None:
    def digests(run: list[Frame]) -> list[str]:
        return [hashlib.sha256(frame.data.tobytes()).hexdigest() for frame in run]

    source = DemoSource()
    for _ in range(2):  # also after closing and opening the same source
        source.open()
        again = [frame for _ in range(8) if (frame := source.read()) is not None]
        source.close()
        assert digests(again) == digests(frames[:8])


def test_the_picture_shows_the_sharp_scene_but_worse(frames: list[Frame]) -> None:
    for number in (5, 23):
        bad, sharp = frames[number], sharp_frame(number)
        assert 20 < psnr_db(bad.y, sharp.y) < 32
        assert detail(bad.y) < 0.5 * detail(sharp.y)
        for a, b in ((bad.u, sharp.u), (bad.v, sharp.v)):
            assert abs(float(a.mean()) - float(b.mean())) < 1  # no colour shift


def test_the_scene_moves(frames: list[Frame]) -> None:
    sharp = [sharp_frame(number) for number in (0, 10, 40)]
    assert psnr_db(sharp[0].y, sharp[1].y) < 40
    assert psnr_db(sharp[0].y, sharp[2].y) < 40
    assert psnr_db(frames[0].y, frames[23].y) < 40


def test_a_sharp_frame_depends_on_its_number_only() -> None:
    sharp_frame(31)
    np.testing.assert_array_equal(sharp_frame(7).data, sharp_frame(7).data)


@pytest.mark.parametrize("sequence", [330, 1000, 54321, 10**7])
def test_the_scene_never_runs_out_of_the_room(sequence: int) -> None:
    frame = sharp_frame(sequence)
    assert (frame.width, frame.height) == (1920, 1080)


def test_a_closed_demo_cannot_be_read() -> None:
    source = DemoSource()
    with pytest.raises(SourceError, match="not open"):
        source.read()
    source.close()
