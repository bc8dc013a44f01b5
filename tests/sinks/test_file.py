from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vcsharp.errors import SinkError
from vcsharp.frame import Color, ColorMatrix, ColorRange, Result
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.file import FileSink

COLORS = [
    Color(ColorRange.LIMITED, ColorMatrix.BT601),
    Color(ColorRange.FULL, ColorMatrix.BT601),
    Color(ColorRange.LIMITED, ColorMatrix.BT709),
    Color(ColorRange.FULL, ColorMatrix.BT709),
]


def write(path: Path, stream: StreamFormat, results: list[Result]) -> None:
    sink = FileSink(path)
    sink.open(stream)
    write_all(sink, results)
    sink.close()


def write_all(sink: FileSink, results: list[Result]) -> None:
    for result in results:
        sink.write(result)


def read(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def readable_frames(path: Path) -> int:
    """Counts frames up to the first damaged one, as a player shows them."""
    count = 0
    with av.open(str(path)) as container, suppress(av.InvalidDataError):
        for _ in container.decode(video=0):
            count += 1
    return count


def times(path: Path) -> list[Fraction]:
    return [
        Fraction(frame.pts) * frame.time_base
        for frame in read(path)
        if frame.pts is not None and frame.time_base is not None
    ]


def samples(frame: av.VideoFrame) -> bytes:
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(rows[: plane.height, : plane.width].tobytes())
    return b"".join(planes)


@pytest.mark.parametrize("size", [(64, 48), (33, 17), (16, 16), (18, 31)])
@pytest.mark.parametrize("color", COLORS)
def test_a_matroska_file_gives_back_every_byte(tmp_path, make_results, size, color):
    width, height = size
    results = make_results(7, width, height, color)
    write(tmp_path / "a.mkv", StreamFormat(width, height, Fraction(25), color), results)
    assert [samples(f) for f in read(tmp_path / "a.mkv")] == [
        r.frame.data.tobytes() for r in results
    ]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("color", COLORS)
def test_a_file_says_how_its_bytes_are_to_be_read(tmp_path, make_results, suffix, color):
    path = tmp_path / f"a{suffix}"
    write(path, StreamFormat(64, 48, Fraction(25), color), make_results(2, color=color))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert context.color_range == (2 if color.range is ColorRange.FULL else 1)
        assert context.colorspace == (1 if color.matrix is ColorMatrix.BT709 else 6)


def test_an_mp4_looks_like_what_was_written(tmp_path, make_results, stream):
    results = make_results(5)
    smooth = [
        Result(r.frame.replaced(data=r.frame.data // 8 + 100 + n), r.source)
        for n, r in enumerate(results)
    ]
    write(tmp_path / "a.mp4", stream, smooth)
    for frame, result in zip(read(tmp_path / "a.mp4"), smooth, strict=True):
        error = np.frombuffer(samples(frame), np.uint8).astype(float) - result.frame.data
        assert np.abs(error).mean() < 3


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize(
    "fps", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(12), Fraction(60)]
)
def test_h264_keeps_count_times_and_duration(tmp_path, make_results, fps, suffix):
    results = make_results(41)
    timed = [Result(r.frame.replaced(timestamp=n / fps), r.source) for n, r in enumerate(results)]
    path = tmp_path / f"a{suffix}"
    write(path, StreamFormat(64, 48, fps, Color()), timed)
    assert times(path) == [n / fps for n in range(41)]
    with av.open(str(path)) as container:
        assert container.duration == pytest.approx(41 / fps * 1_000_000, abs=2000)


def test_uneven_times_and_a_late_start_are_kept(tmp_path, make_results, stream):
    wanted = [Fraction(n, 15360) for n in (7680, 8000, 8900, 20000, 20001, 90000)]
    timed = [
        Result(r.frame.replaced(timestamp=t), r.source)
        for r, t in zip(make_results(6), wanted, strict=True)
    ]
    for name, tolerance_s in (("a.mp4", 1 / 90000), ("a.mkv", 0.0011)):
        write(tmp_path / name, stream, timed)
        assert [float(t) for t in times(tmp_path / name)] == pytest.approx(
            [float(t) for t in wanted], abs=tolerance_s
        )


def test_live_frames_get_the_time_of_their_capture(tmp_path, make_results, stream):
    stamps_ns = [5_000_000_000, 5_040_000_000, 5_100_000_000, 6_000_000_000]
    live = [
        Result(r.frame.replaced(timestamp=None, captured_ns=ns), r.source)
        for r, ns in zip(make_results(4), stamps_ns, strict=True)
    ]
    write(tmp_path / "a.mp4", stream, live)
    assert times(tmp_path / "a.mp4") == [0, Fraction(1, 25), Fraction(1, 10), 1]


def test_times_that_start_again_go_on_one_frame_later(tmp_path, make_results, stream):
    results = make_results(3)
    write(tmp_path / "a.mp4", stream, [*results, *results])
    assert times(tmp_path / "a.mp4") == [Fraction(n, 25) for n in range(6)]


def test_two_frames_at_one_time_are_both_kept(tmp_path, make_results, stream):
    first, second = make_results(2)
    twin = Result(second.frame.replaced(timestamp=first.frame.timestamp), second.source)
    write(tmp_path / "a.mkv", stream, [first, twin])
    assert len(read(tmp_path / "a.mkv")) == 2


WRITER = """
    import sys, time
    from fractions import Fraction
    from pathlib import Path
    import numpy as np
    from vcsharp.frame import Color, Result, black
    from vcsharp.sinks.base import StreamFormat
    from vcsharp.sinks.file import FileSink

    sink = FileSink(Path(sys.argv[1]), force=True)
    sink.open(StreamFormat(320, 240, Fraction(25), Color()))
    rng = np.random.default_rng(0)
    for number in range(int(sys.argv[2])):
        frame = black(320, 240).replaced(timestamp=Fraction(number, 25))
        frame.y[:] = rng.integers(0, 256, (240, 320), dtype=np.uint8)
        sink.write(Result(frame, frame))
    print("written", flush=True)
    time.sleep(60)
"""


def start_writer(path: Path, frames: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(frames)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("suffix", "may_lack"), [(".mkv", 2), (".mp4", 75), (".mov", 75)])
def test_a_killed_run_leaves_a_playable_file(tmp_path, suffix, may_lack):
    path = tmp_path / f"a{suffix}"
    with start_writer(path, 150) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    found = times(path)
    assert 150 - may_lack <= len(found) <= 150
    assert found == [Fraction(n, 25) for n in range(len(found))]


LIMITED = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
"""


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_disk_that_takes_no_more_ends_the_run_and_keeps_the_rest(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    code = textwrap.dedent(LIMITED) + textwrap.dedent(WRITER)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), "400"], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        f"vcsharp.errors.SinkError: cannot write '{path}': the file reached the largest size "
        "allowed here; choose another file system"
    )
    assert readable_frames(path) >= 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_full_disk_is_told_once_and_closing_is_quiet(tmp_path, make_results, stream, suffix):
    path = tmp_path / f"a{suffix}"
    path.symlink_to("/dev/full")
    sink = FileSink(path, force=True)
    sink.open(stream)
    with pytest.raises(SinkError, match="the disk is full; free some space"):
        write_all(sink, make_results(200))
    with pytest.raises(SinkError, match="not open, or failed before"):
        sink.write(make_results(1)[0])
    sink.close()
    sink.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_full_at_the_very_end_is_not_hidden(tmp_path, make_results, stream):
    path = tmp_path / "a.mp4"
    path.symlink_to("/dev/full")
    sink = FileSink(path, force=True)
    sink.open(stream)
    sink.write(make_results(1)[0])  # the encoder holds it back
    with pytest.raises(SinkError, match="the disk is full"):
        sink.close()
    sink.close()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_an_existing_file_is_refused_and_stays(tmp_path, stream, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"precious")
    with pytest.raises(SinkError, match="exists already; add --force"):
        FileSink(path).open(stream)
    assert path.read_bytes() == b"precious"


def test_force_replaces_a_longer_file_whole(tmp_path, make_results, stream):
    path = tmp_path / "a.mkv"
    path.write_bytes(b"x" * 1_000_000)
    sink = FileSink(path, force=True)
    sink.open(stream)
    sink.write(make_results(1)[0])
    sink.close()
    assert len(read(path)) == 1
    assert path.stat().st_size < 1_000_000


def test_force_without_a_single_frame_loses_nothing(tmp_path, stream):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"precious")
    sink = FileSink(path, force=True)
    sink.open(stream)
    sink.close()
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_run_without_frames_leaves_no_file(tmp_path, stream, suffix):
    sink = FileSink(tmp_path / f"a{suffix}")
    sink.open(stream)
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_an_odd_size_is_refused_for_h264_and_leaves_nothing(tmp_path):
    with pytest.raises(SinkError, match="even size, got '65x48'"):
        FileSink(tmp_path / "a.mp4").open(StreamFormat(65, 48, Fraction(25), Color()))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path, stream):
    with pytest.raises(SinkError, match=r"there is no folder '.*nowhere'; create it first"):
        FileSink(tmp_path / "nowhere" / "a.mp4").open(stream)


def test_a_folder_is_no_file(tmp_path, stream):
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(SinkError, match="that is a folder"):
        FileSink(tmp_path / "a.mp4", force=True).open(stream)


def test_the_file_being_read_is_never_written(tmp_path, stream):
    source, link = tmp_path / "in.mp4", tmp_path / "out.mp4"
    source.write_bytes(b"precious")
    link.symlink_to(source)
    for path in (source, link):
        with pytest.raises(SinkError, match="is the file being read"):
            FileSink(path, force=True, forbidden=source).open(stream)
    assert source.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EACCES, "no permission"), (errno.EROFS, "read-only")]
)
def test_a_refusal_of_the_system_is_explained(tmp_path, stream, monkeypatch, code, words):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("vcsharp.sinks.target.os.open", refuse)
    with pytest.raises(SinkError, match=words):
        FileSink(tmp_path / "a.mp4").open(stream)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else_is_refused(stream):
    with pytest.raises(SinkError, match="no permission"):
        FileSink(Path("/a.mp4")).open(stream)


@pytest.mark.parametrize("name", ["a.avi", "a.webm", "a", "a.mp4.part"])
def test_other_endings_are_refused_with_those_that_work(name):
    with pytest.raises(SinkError, match=r"\.mp4 or \.mov \(H\.264\) or \.mkv"):
        FileSink(Path(name))
