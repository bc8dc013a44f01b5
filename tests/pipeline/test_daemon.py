"""The program itself, in a process of its own: files, limits, signals, exit statuses."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from .clips import size_of, timestamps, write_clip
from .process import (
    command,
    environment,
    spawned,
    started,
    vcsharp,
    wait_for_its_own_signals,
)

STATISTICS = {
    "frames_in", "frames_out", "frames_dropped", "frames_repeated", "seconds", "fps", "latency_ms",
    "stage_ms", "cpu_percent", "rss_mib", "model", "device", "backend", "size", "tile", "version",
    "tiles", "kept_percent", "steps", "expert",
}  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=45)


@pytest.fixture(scope="module")
def plain_digest(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run with no options at all makes of the clip."""
    folder = tmp_path_factory.mktemp("plain")
    status, text = vcsharp(folder, "--source", clip, "--sink", "digest:plain.txt")
    assert status == 0, text
    return (folder / "plain.txt").read_text()


@pytest.fixture(scope="module")
def three_frames(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a short run without a comparison."""
    folder = tmp_path_factory.mktemp("three")
    vcsharp(folder, "--source", clip, "--sink", "n.mkv", "--frames", "3")
    return (folder / "n.mkv").read_bytes()


@pytest.mark.parametrize("output", ["out.mkv", "out.mp4"])
def test_a_recording_keeps_its_frames_times_and_size(tmp_path, clip, output):
    status, text = vcsharp(tmp_path, "--source", clip, "--sink", output, "--stats", "s.json")
    assert status == 0, text
    figures = json.loads((tmp_path / "s.json").read_text())
    assert set(figures) == STATISTICS
    assert (figures["frames_in"], figures["frames_out"], figures["frames_dropped"]) == (45, 45, 0)
    was, now = timestamps(clip), timestamps(tmp_path / output)
    assert len(was) == len(now)
    assert max(abs(a - b) for a, b in zip(was, now, strict=True)) <= 1e-3
    assert size_of(tmp_path / output) == size_of(clip)


def test_one_run_feeds_several_outputs(tmp_path, clip):
    sinks = ["--sink", "a.mkv", "--sink", "b.mp4", "--sink", "null", "--sink", "digest:d.txt"]
    status, text = vcsharp(tmp_path, "--source", clip, *sinks)
    assert status == 0, text
    assert len(timestamps(tmp_path / "a.mkv")) == len(timestamps(tmp_path / "b.mp4")) == 45
    assert len((tmp_path / "d.txt").read_text().splitlines()) == 45


def test_the_same_input_gives_the_same_bytes(tmp_path, clip, plain_digest):
    vcsharp(tmp_path, "--source", clip, "--sink", "digest:again.txt")
    assert (tmp_path / "again.txt").read_text() == plain_digest


def test_strength_zero_writes_the_input_bytes(tmp_path, clip, plain_digest):
    vcsharp(tmp_path, "--source", clip, "--sink", "digest:zero.txt", "--strength", "0")
    vcsharp(tmp_path, "--source", clip, "--sink", "digest:none.txt", "--model", "none")
    zero = (tmp_path / "zero.txt").read_text()
    assert zero == (tmp_path / "none.txt").read_text()
    assert zero != plain_digest


def test_another_size_is_letterboxed(tmp_path, clip):
    status, _ = vcsharp(tmp_path, "--source", clip, "--sink", "o.mkv", "--size", "128x128")
    assert status == 0
    assert size_of(tmp_path / "o.mkv") == (128, 128)


@pytest.mark.parametrize("compare", ["split", "side"])
def test_a_comparison_changes_the_file_only(tmp_path, clip, three_frames, compare):
    plain = ["--sink", "digest:p.txt", "--frames", "3"]
    vcsharp(tmp_path, "--source", clip, "--compare", compare, "--sink", "c.mkv", *plain)
    assert (tmp_path / "c.mkv").read_bytes() != three_frames


def test_figures_are_drawn_into_what_is_sent_only_when_asked(tmp_path, clip):
    def digests(overlay: str) -> str:
        sink = f"digest:{overlay}.txt"
        size = ["--size", "640x360", "--frames", 3]
        vcsharp(tmp_path, "--source", clip, "--sink", sink, "--overlay", overlay, *size)
        text: str = (tmp_path / f"{overlay}.txt").read_text()
        return text

    assert digests("preview") == digests("off") != digests("all")


def test_the_demo_scene_runs_without_loss(tmp_path):
    arguments = ["--source", "demo", "--sink", "o.mkv", "--size", "320x180", "--frames", 12]
    status, text = vcsharp(tmp_path, *arguments, "--stats", "s.json")
    assert status == 0, text
    figures = json.loads((tmp_path / "s.json").read_text())
    assert (figures["frames_out"], figures["frames_dropped"]) == (12, 0)
    assert len(timestamps(tmp_path / "o.mkv")) == 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_a_whole_file(tmp_path, clip, number):
    with started(tmp_path, "--source", clip, "--loop", "--sink", "o.mkv") as (process, _):
        time.sleep(0.5)
        process.send_signal(number)
        assert process.wait(10) == 0
    assert len(timestamps(tmp_path / "o.mkv")) > 0


@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.2, 0.4, 0.6, 0.8])
def test_an_interrupt_while_starting_ends_without_a_traceback(tmp_path, clip, delay_s):
    with spawned(tmp_path, "--source", clip, "--loop", "--sink", "null") as process:
        wait_for_its_own_signals(process)
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=20)
    assert process.returncode in (0, -signal.SIGINT)
    assert "Traceback" not in text
    assert "internal error" not in text


def test_a_second_signal_forces_the_end(tmp_path):
    # A server that accepts and never answers keeps the source in its open for seconds.
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"rtsp://127.0.0.1:{server.getsockname()[1]}/x"
        process = subprocess.Popen(
            command("--source", url, "--sink", "null"), cwd=tmp_path, env=environment(tmp_path)
        )
        connection, _ = server.accept()
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
        connection.close()


def test_a_killed_run_leaves_a_playable_file(tmp_path, clip):
    sinks = ["--sink", "o.mp4", "--sink", "o.mkv"]
    with started(tmp_path, "--source", clip, "--loop", *sinks) as (process, _):
        time.sleep(2)
        process.kill()
    assert len(timestamps(tmp_path / "o.mp4")) > 20
    assert len(timestamps(tmp_path / "o.mkv")) > 20


def test_the_preview_page_is_served_while_the_run_lasts(tmp_path, clip):
    preview = ["--sink", "preview", "--size", "320x180"]
    with started(tmp_path, "--source", clip, "--loop", *preview) as (process, line):
        url = re.search(r"http://\S+", line)[0]  # type: ignore[index]
        with httpx.Client(follow_redirects=True, timeout=5) as browser:
            page = browser.get(url)  # the address holds the token
            assert "vcsharp" in page.text
            state = browser.get(page.url.join("api/state")).json()
        assert state["source"]["state"] == "live"
        assert httpx.get(f"{url.partition('?')[0]}api/state").status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--source", "/dev/video63", "--sink", "null"], 3, "camera"),
        (["--source", "missing.mp4", "--sink", "null"], 3, "missing.mp4"),
        (["--source", "empty.mp4", "--sink", "null"], 3, "empty.mp4"),
        (["--source", "text.mp4", "--sink", "null"], 3, "text.mp4"),
        (["--source", "{clip}", "--sink", "exists.mkv"], 3, "--force"),
        (["--source", "{clip}", "--sink", "no/such/folder/o.mkv"], 3, "folder"),
        (["--source", "{clip}", "--sink", "o.xyz"], 2, "o.xyz"),
        (["--source", "{clip}", "--sink", "/dev/video62"], 3, "modprobe v4l2loopback"),
        (["--source", "{clip}", "--sink", "null", "--sink", "null"], 2, "twice"),
        (["--source", "{clip}", "--sink", "null", "--model", "huge"], 2, "nano"),
        (["--source", "{clip}", "--sink", "null", "--strength", "nan"], 2, "strength"),
        (["--source", "{clip}", "--sink", "null", "--size", "0x0"], 2, "size"),
        (["--source", "{clip}", "--sink", "null", "--size", "641x361"], 2, "even"),
        (["--source", "{clip}", "--sink", "null", "--size", "15360x8640"], 2, "7680x4320"),
        (["--source", "{clip}", "--sink", "null", "--stats", "no/s.json"], 2, "stats"),
        (["--source", "rtsp://u:secret@127.0.0.1:1/x", "--sink", "null"], 3, "127.0.0.1"),
    ],
)
def test_bad_input_is_one_line_with_its_exit_status(tmp_path, clip, arguments, status, words):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    (tmp_path / "exists.mkv").write_bytes(b"precious")
    got, text = vcsharp(tmp_path, *(str(clip) if a == "{clip}" else a for a in arguments))
    lines = [line for line in text.splitlines() if line.startswith("vcsharp: ")]
    assert got == status, text
    assert len(lines) == 1, text
    assert words in lines[0]
    assert "secret" not in text
    assert (tmp_path / "exists.mkv").read_bytes() == b"precious"


def test_a_taken_port_is_named(tmp_path, clip):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        status, text = vcsharp(
            tmp_path, "--source", clip, "--sink", "preview", "--preview-port", port
        )
    assert status == 3
    assert str(port) in text
