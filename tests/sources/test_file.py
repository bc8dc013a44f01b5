"""Video files: every frame in its own time, and one line for each kind of bad file."""

from __future__ import annotations

import logging
import os
import random
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcsharp.errors import SourceError
from vcsharp.frame import ColorMatrix, ColorRange, Frame
from vcsharp.sources.file import FileSource
from vcsharp.sources.timeline import Timeline

from .clips import picture, planes_of, random_clip, write_video


def read_all(source: FileSource, at_most: int = 1000) -> list[Frame]:
    frames: list[Frame] = []
    while len(frames) < at_most and (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def frames_of(path: Path) -> list[Frame]:
    source = FileSource(str(path))
    source.open()
    frames = read_all(source)
    source.close()
    return frames


def test_lossless_files_come_back_byte_for_byte_with_their_times(tmp_path: Path) -> None:
    source = FileSource(str(random_clip(tmp_path / "clip.mkv", 10)))
    facts = source.open()
    assert (facts.width, facts.height, facts.frames) == (64, 48, 10)
    assert facts.fps == 25
    assert facts.description == 'file "clip.mkv" ffv1'
    frames = read_all(source)
    source.close()
    assert [frame.sequence for frame in frames] == list(range(10))
    assert [frame.timestamp for frame in frames] == [Fraction(n, 25) for n in range(10)]
    for number, frame in enumerate(frames):
        for got, expected in zip(frame.planes, planes_of(number, 64, 48), strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("name", "codec", "layout"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("b.avi", "mjpeg", "yuvj420p"),
        ("c.mkv", "libx264", "yuv422p"),
        ("d.mkv", "libx264", "yuv420p10le"),
        ("e.mkv", "ffv1", "yuv444p"),
        ("f.ts", "mpeg2video", "yuv420p"),
    ],
)
def test_many_codecs_and_layouts_are_read(
    tmp_path: Path, name: str, codec: str, layout: str
) -> None:
    flat = [
        [np.full_like(p, 100 << (2 if "10" in layout else 0)) for p in planes_of(0, 66, 50, layout)]
    ] * 6
    path = write_video(tmp_path / name, [picture(planes, layout) for planes in flat], codec=codec)
    frames = frames_of(path)
    assert len(frames) == 6
    for frame in frames:
        assert (frame.width, frame.height) == (66, 50)
        assert frame.color.range is (ColorRange.FULL if "j" in layout else ColorRange.LIMITED)
        assert [round(float(plane.mean())) for plane in frame.planes] == [100, 100, 100]


@pytest.mark.parametrize("size", [(33, 17), (1, 1), (2, 3), (161, 90)])
def test_odd_sizes_are_read_exactly(tmp_path: Path, size: tuple[int, int]) -> None:
    frame = frames_of(random_clip(tmp_path / "odd.nut", 2, size, codec="rawvideo"))[1]
    for got, expected in zip(frame.planes, planes_of(1, *size), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_variable_frame_rates_keep_each_time(tmp_path: Path) -> None:
    pts = [0, 1, 5, 6, 20]
    path = random_clip(tmp_path / "vfr.mkv", 5, pts=pts)
    assert [frame.timestamp for frame in frames_of(path)] == [Fraction(n, 25) for n in pts]


def test_stated_colour_is_kept(tmp_path: Path) -> None:
    path = random_clip(tmp_path / "c.mkv", 2, color_range=2, colorspace=1)
    color = frames_of(path)[0].color
    assert (color.range, color.matrix) == (ColorRange.FULL, ColorMatrix.BT709)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_pictures_are_turned_upright(tmp_path: Path, degrees: int, turns: int) -> None:
    planes = [np.full_like(plane, 60) for plane in planes_of(0, 64, 48)]
    planes[0][:, 32:] = 200
    path = write_video(
        tmp_path / "turned.mp4", [picture(planes)] * 3, codec="libx264", rotation=degrees
    )
    source = FileSource(str(path))
    facts = source.open()
    frame = read_all(source)[0]
    source.close()
    expected = np.rot90(planes[0], turns)
    assert frame.y.shape == expected.shape == (facts.height, facts.width)
    assert np.abs(frame.y.astype(int) - expected)[4:-4, 4:-4].mean() < 4


def test_a_size_that_changes_in_mid_stream_is_followed(tmp_path: Path) -> None:
    parts = []
    for number, size in enumerate(((64, 48), (96, 80))):
        part = tmp_path / f"{number}.h264"
        pictures = [picture(planes_of(n, *size)) for n in range(3)]
        parts.append(write_video(part, pictures, codec="libx264").read_bytes())
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(parts))
    sizes = [(frame.width, frame.height) for frame in frames_of(path)]
    assert sizes == [(64, 48)] * 3 + [(96, 80)] * 3


def test_a_loop_goes_on_with_rising_times_and_the_same_pictures(tmp_path: Path) -> None:
    source = FileSource(str(random_clip(tmp_path / "clip.mkv", 4)), loop=True)
    assert source.open().frames is None
    frames = read_all(source, at_most=11)
    source.close()
    assert [frame.sequence for frame in frames] == list(range(11))
    assert [frame.timestamp for frame in frames] == [Fraction(n, 25) for n in range(11)]
    np.testing.assert_array_equal(frames[1].data, frames[9].data)


def test_a_source_can_be_opened_again(tmp_path: Path) -> None:
    source = FileSource(str(random_clip(tmp_path / "clip.mkv", 3)))
    for _ in range(2):
        source.open()
        assert [frame.sequence for frame in read_all(source)] == [0, 1, 2]
        source.close()


@pytest.mark.parametrize("name", ["cut.mkv", "cut.mp4"])
def test_a_truncated_video_gives_what_is_readable_and_one_warning(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"g": "5", "crf": "10"}
    path = random_clip(tmp_path / f"whole-{name}", 50, codec="libx264", options=options)
    if name.endswith("mp4"):  # the index in front, as for the web
        front = tmp_path / "front.mp4"
        with (
            av.open(str(path)) as given_,
            av.open(str(front), "w", container_options={"movflags": "faststart"}) as copy,
        ):
            stream = copy.add_stream_from_template(given_.streams.video[0])
            for packet in given_.demux(given_.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    copy.mux(packet)
        path = front
    cut = tmp_path / name
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    source = FileSource(str(cut))
    source.open()
    with caplog.at_level(logging.WARNING):
        frames = read_all(source)
        assert source.read() is None
    source.close()
    assert 20 < len(frames) < 40
    assert len(caplog.messages) == 1
    assert f"'{cut}'" in caplog.messages[0]
    assert f"{len(frames)} frames could be read" in caplog.messages[0]


def test_a_damaged_stretch_in_the_middle_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = random_clip(tmp_path / "a.mkv", 60, (64, 64))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 12000] = random.Random(1).randbytes(12000)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        frames = frames_of(path)
    assert 30 < len(frames) < 60
    assert frames[-1].timestamp == Fraction(59, 25)
    assert len(caplog.messages) == 1
    assert "is damaged from" in caplog.messages[0]


def test_an_intact_video_warns_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.mkv", "a.mp4"):
        frames_of(random_clip(tmp_path / name, 60, codec="libx264"))
    assert caplog.messages == []


def bad_files(folder: Path) -> dict[str, Path]:
    random_clip(folder / "whole.mp4", 20, codec="libx264")
    (folder / "headless.mp4").write_bytes((folder / "whole.mp4").read_bytes()[:3000])
    (folder / "text.mp4").write_text("not a video at all\n" * 50)
    (folder / "empty.mp4").touch()
    grey = np.full((32, 32), 99, np.uint8)
    for name in ("still.png", "still.jpg"):
        cv2.imwrite(str(folder / name), grey)
    with av.open(str(folder / "moving.gif"), "w") as gif:
        stream = gif.add_stream("gif", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "gray"
        for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")):
            gif.mux(packet)
        gif.mux(stream.encode(None))
    with av.open(str(folder / "sound.wav"), "w") as wav:
        audio = wav.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        wav.mux(audio.encode(sound))
    names = "headless.mp4 text.mp4 empty.mp4 still.png still.jpg moving.gif sound.wav missing.mp4"
    return {name: folder / name for name in [*names.split(), ""]}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("headless.mp4", "cut off"),
        ("text.mp4", "not a video"),
        ("empty.mp4", "0 bytes"),
        ("still.png", "vcsharp image"),
        ("still.jpg", "vcsharp image"),
        ("moving.gif", "vcsharp image"),
        ("sound.wav", "no video"),
        ("missing.mp4", "no such file"),
        ("", "is a folder"),
    ],
)
def test_each_bad_file_has_its_line(tmp_path: Path, name: str, words: str) -> None:
    path = bad_files(tmp_path)[name]
    source = FileSource(str(path))
    with pytest.raises(SourceError) as caught:
        source.open()
    message = str(caught.value)
    assert words in message
    assert f"'{path}'" in message
    assert "\n" not in message
    source.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    path = random_clip(tmp_path / "a.mkv", 2)
    path.chmod(0)
    with pytest.raises(SourceError, match="permission denied"):
        FileSource(str(path)).open()


@given(st.lists(st.none() | st.fractions(-5, 5), min_size=1), st.integers(1, 3))
def test_times_rise_strictly_whatever_the_file_says(
    times: list[Fraction | None], rounds: int
) -> None:
    timeline = Timeline(Fraction(1, 30))
    stamps = []
    for _ in range(rounds):
        stamps += [timeline.stamp(time) for time in times]
        timeline.rewind()
    assert all(later > earlier for earlier, later in pairwise(stamps))
