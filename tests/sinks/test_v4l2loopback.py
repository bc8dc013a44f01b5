from __future__ import annotations

import ctypes
import errno
import logging
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcsharp import videodev
from vcsharp.errors import SinkError, SinkFormatError, SinkGone, SinkIOError
from vcsharp.frame import Color, ColorMatrix, ColorRange, Frame, Result, black, frame_bytes
from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks import v4l2loopback
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.v4l2loopback import LoopbackSink, find_loopback, yuyv

from .fake_kernel import FakeKernel, Node
from .loopback_rig import DEVICE, make, make_sink, sysfs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")


@pytest.mark.skipif(sys.maxsize < 2**32, reason="sizes of 64-bit machines")
def test_structures_and_requests_have_the_kernels_sizes():
    sizes = {videodev.Capability: 104, abi.PixFormat: 48, abi.Format: 208, abi.StreamParm: 204}
    assert {kind: ctypes.sizeof(kind) for kind in sizes} == sizes
    assert (videodev.QUERYCAP, abi.S_FMT) == (0x80685600, 0xC0D05605)
    assert (abi.S_PARM, abi.STREAMON) == (0xC0CC5616, 0x40045612)
    assert abi.Format.fmt.offset == 8


def test_a_frame_reaches_the_device_unchanged(tmp_path, make_results, stream):
    sink, kernel = make_sink(Node(), tmp_path)
    assert sink.open(stream) == '/dev/video10 "vcsharp" (64x48 YU12)'
    results = make_results(3)
    for result in results:
        sink.write(result)
    sink.close()
    assert kernel.written == [r.frame.data.tobytes() for r in results]
    assert kernel.open_now == {}


@pytest.mark.parametrize("matrix", list(ColorMatrix))
@pytest.mark.parametrize("color_range", list(ColorRange))
def test_readers_are_told_size_rate_and_colour(tmp_path, color_range, matrix):
    sink, kernel = make_sink(Node(), tmp_path)
    sink.open(StreamFormat(1280, 720, Fraction(30000, 1001), Color(color_range, matrix)))
    pix = kernel.format.fmt.pix
    assert kernel.format.type == abi.BUF_TYPE_VIDEO_OUTPUT
    assert (pix.width, pix.height, pix.pixelformat) == (1280, 720, 0x32315559)
    assert (pix.bytesperline, pix.sizeimage) == (1280, 1280 * 720 * 3 // 2)
    assert (pix.field, pix.priv) == (abi.FIELD_NONE, 0xFEEDCAFE)
    is_709, is_full = matrix is ColorMatrix.BT709, color_range is ColorRange.FULL
    assert (pix.colorspace, pix.ycbcr_enc) == ((3, 2) if is_709 else (8, 1))
    assert pix.quantization == (1 if is_full else 2)
    assert kernel.rate == (1001, 30000)
    assert abi.STREAMON not in kernel.requests


def test_yuyv_is_announced_and_written(tmp_path, make_results, stream):
    sink, kernel = make_sink(Node(), tmp_path, pixel_format="YUYV")
    sink.open(stream)
    result = make_results(1)[0]
    sink.write(result)
    pix = kernel.format.fmt.pix
    assert (pix.pixelformat, pix.bytesperline, pix.sizeimage) == (0x56595559, 128, 128 * 48)
    assert kernel.written == [slow_yuyv(result.frame)]


def slow_yuyv(frame: Frame) -> bytes:
    packed = bytearray()
    for row in range(frame.height):
        for column in range(0, frame.width, 2):
            chroma = (row // 2, column // 2)
            packed += bytes(
                [
                    frame.y[row, column],
                    frame.u[chroma],
                    frame.y[row, column + 1],
                    frame.v[chroma],
                ]
            )
    return bytes(packed)


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_yuyv_equals_the_slow_packing(half_width, half_height, seed):
    width, height = 2 * half_width, 2 * half_height
    data = np.random.default_rng(seed).integers(0, 256, frame_bytes(width, height), dtype=np.uint8)
    frame = Frame(data, width, height)
    packed = yuyv(frame)
    assert packed.shape == (height, width, 2)
    assert packed.tobytes() == slow_yuyv(frame)


def test_another_format_than_asked_is_refused_with_both_named(tmp_path, stream):
    sink, kernel = make_sink(Node(keeps=(640, 360, "YUYV")), tmp_path)
    with pytest.raises(SinkFormatError) as refusal:
        sink.open(stream)
    assert "'640x360 YUYV'" in str(refusal.value)
    assert "'64x48 YU12'" in str(refusal.value)
    assert "--size 640x360" in str(refusal.value)
    assert kernel.open_now == {}


def test_another_pixel_format_names_the_option_that_asks_for_it(tmp_path, stream):
    sink, _ = make_sink(Node(keeps=(64, 48, "YUYV")), tmp_path)
    with pytest.raises(SinkFormatError, match="run with --pixel-format YUYV"):
        sink.open(stream)


def test_a_release_that_calls_a_held_format_busy_is_asked_which_it_is(tmp_path, stream):
    sink, kernel = make_sink(Node(keeps=(640, 360, "YU12"), format_error=errno.EBUSY), tmp_path)
    with pytest.raises(SinkFormatError, match=r"stays at '640x360 YU12'.*run with --size 640x360"):
        sink.open(stream)
    assert kernel.open_now == {}


def test_a_format_that_another_program_changed_later_is_noticed(
    tmp_path, make_results, stream, monkeypatch
):
    monkeypatch.setattr(v4l2loopback, "LOOK_S", 0.0)
    node = Node()
    sink, _ = make_sink(node, tmp_path)
    sink.open(stream)
    (result,) = make_results(1)
    sink.write(result)
    node.changed = (640, 480, "BGR3")
    with pytest.raises(SinkFormatError, match=r"readers '640x480 BGR3' instead of '64x48 YU12'"):
        sink.write(result)


def test_a_driver_that_does_not_tell_its_format_is_written_all_the_same(
    tmp_path, make_results, stream, monkeypatch
):
    monkeypatch.setattr(v4l2loopback, "LOOK_S", 0.0)
    sink, kernel = make_sink(Node(), tmp_path)
    sink.open(stream)
    (result,) = make_results(1)

    def refuse(opener: object, argument: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(kernel, "_set_format", refuse)
    sink.write(result)
    assert len(kernel.written) == 1


def test_a_size_rounded_up_to_pages_is_accepted(tmp_path, make_results, stream):
    sink, kernel = make_sink(Node(page_bytes=4096), tmp_path)
    sink.open(stream)
    sink.write(make_results(1)[0])
    assert len(kernel.written[0]) == 64 * 48 * 3 // 2


def test_a_device_that_shows_only_capture_is_tried(tmp_path, stream):
    sink, _ = make_sink(Node(capabilities=videodev.CAP_VIDEO_CAPTURE), tmp_path)
    assert sink.open(stream).startswith(DEVICE)


def test_a_camera_is_not_written_to(tmp_path, stream):
    camera = Node(driver=b"uvcvideo", card=b"C920", capabilities=videodev.CAP_VIDEO_CAPTURE)
    sink, kernel = make_sink(camera, tmp_path)
    with pytest.raises(SinkError, match=r'"C920" \(driver uvcvideo\), not a virtual camera; make'):
        sink.open(stream)
    assert kernel.open_now == {}
    assert kernel.requests == [videodev.QUERYCAP]


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.EACCES, "sudo usermod -aG video"),
        (errno.EPERM, "sudo usermod -aG video"),
        (errno.EBUSY, "another program writes to it; close that program"),
        (
            errno.ENODEV,
            "sudo modprobe v4l2loopback video_nr=10 card_label=vcsharp exclusive_caps=1",
        ),
    ],
)
def test_a_device_that_does_not_open_says_what_to_do(tmp_path, stream, code, cure):
    kernel = FakeKernel({}, {DEVICE: code})
    with pytest.raises(SinkError, match=cure):
        make(DEVICE, device=kernel, sysfs=tmp_path).open(stream)


def test_a_missing_device_names_the_modprobe_line_with_its_number(tmp_path, stream):
    sink = make("/dev/video7", device=FakeKernel({}), sysfs=tmp_path)
    line = "sudo modprobe v4l2loopback video_nr=7 card_label=vcsharp exclusive_caps=1"
    with pytest.raises(SinkError, match=line):
        sink.open(stream)


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EINVAL])
def test_a_device_with_another_writer_is_busy(tmp_path, stream, code):
    sink, kernel = make_sink(Node(format_error=code, keeps=(64, 48, "YU12")), tmp_path)
    with pytest.raises(SinkError, match="another program writes to it"):
        sink.open(stream)
    assert kernel.open_now == {}


def test_a_driver_without_frame_rates_is_used_all_the_same(tmp_path, stream, caplog):
    sink, _ = make_sink(Node(rate_error=errno.ENOTTY), tmp_path)
    with caplog.at_level(logging.WARNING):
        sink.open(stream)
    assert "does not take a frame rate" in caplog.text


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (1000, SinkIOError, "took 1000 of 4608 bytes"),
        (-errno.ENODEV, SinkGone, "is gone"),
        (-errno.EINVAL, SinkFormatError, "changed its format"),
        (-errno.EIO, SinkIOError, "input/output error; reload v4l2loopback"),
        (-errno.EBUSY, SinkIOError, "another program writes to it"),
        (-errno.ENOMEM, SinkIOError, "memory"),
    ],
)
def test_a_refused_frame_raises_the_right_error(
    tmp_path, make_results, stream, answer, kind, words
):
    sink, kernel = make_sink(Node(takes=[4608, answer]), tmp_path)
    sink.open(stream)
    first, second = make_results(2)
    sink.write(first)
    with pytest.raises(kind, match=words) as refusal:
        sink.write(second)
    assert type(refusal.value) is kind
    sink.close()
    sink.close()
    assert kernel.open_now == {}


def test_odd_sizes_are_refused_before_the_device_is_touched(tmp_path):
    sink, kernel = make_sink(Node(), tmp_path)
    with pytest.raises(SinkError, match="even width and height, got '65x48'"):
        sink.open(StreamFormat(65, 48, Fraction(25), Color()))
    assert kernel.requests == []


def test_loopback_devices_are_found_free_ones_and_ours_first(tmp_path):
    kernel = FakeKernel(
        {
            "/dev/video0": Node(driver=b"uvcvideo", capabilities=videodev.CAP_VIDEO_CAPTURE),
            "/dev/video8": Node(capabilities=videodev.CAP_VIDEO_CAPTURE),
            "/dev/video9": Node(card=b"OBS"),
            "/dev/video11": Node(),
            "/dev/video10": Node(),
        },
        {"/dev/video3": errno.EACCES, "/dev/video4": errno.EACCES, "/dev/video5": errno.EBUSY},
    )
    folder = sysfs(
        tmp_path,
        video3=["max_openers"],
        **{f"video{n}": [] for n in (0, 4, 5, 8, 9, 10, 11)},
    )
    found = find_loopback(kernel, folder)
    assert [Path(device.path).name for device in found] == [
        "video10",
        "video11",
        "video9",
        "video8",
        "video3",
    ]
    assert [device.writable for device in found] == [True, True, True, False, False]
    assert kernel.open_now == {}


def test_virtual_takes_the_first_device_that_does_not_refuse(tmp_path, make_results, stream):
    kernel = FakeKernel({"/dev/video10": Node(format_error=errno.EBUSY), "/dev/video11": Node()})
    sink = make(device=kernel, sysfs=sysfs(tmp_path, video10=[], video11=[]))
    assert sink.name == "virtual"
    assert sink.open(stream).startswith("/dev/video11")
    sink.write(make_results(1)[0])


def test_virtual_without_a_device_names_the_modprobe_line(tmp_path, stream):
    sink = make(device=FakeKernel({}), sysfs=tmp_path)
    with pytest.raises(SinkError, match="sudo modprobe v4l2loopback video_nr=10"):
        sink.open(stream)


def test_virtual_with_a_forbidden_device_names_the_group(tmp_path, stream):
    kernel = FakeKernel({}, {DEVICE: errno.EACCES})
    sink = make(device=kernel, sysfs=sysfs(tmp_path, video10=["max_openers"]))
    with pytest.raises(SinkError, match="usermod -aG video"):
        sink.open(stream)


def test_a_file_that_is_no_device_is_refused(tmp_path, stream):
    path = tmp_path / "video10"
    path.write_bytes(b"precious")
    with pytest.raises(SinkError, match="not a video device"):
        make(str(path)).open(stream)
    assert path.read_bytes() == b"precious"


@pytest.mark.camera
@pytest.mark.skipif(not Path(DEVICE).exists(), reason="needs a v4l2loopback device")
@pytest.mark.parametrize("pixel_format", ["YU12", "YUYV"])
def test_a_real_device_hands_the_picture_to_a_reader(pixel_format):
    frame = black(640, 360)
    frame.y[:, :320], frame.y[:, 320:] = 60, 200
    sink = LoopbackSink(DEVICE, pixel_format=pixel_format)
    sink.open(StreamFormat(640, 360, Fraction(25), Color()))
    done = threading.Event()

    def feed() -> None:
        while not done.wait(0.04):
            sink.write(Result(frame, frame))

    writer = threading.Thread(target=feed)
    writer.start()
    try:
        time.sleep(0.2)
        capture = cv2.VideoCapture(DEVICE, cv2.CAP_V4L2)
        ok, seen = capture.read()
        capture.release()
    finally:
        done.set()
        writer.join()
        sink.close()
    assert ok
    expected = cv2.cvtColor(frame.data.reshape(540, 640), cv2.COLOR_YUV2BGR_I420)
    assert np.abs(seen.astype(int) - expected).max() <= 2


@pytest.mark.camera
@pytest.mark.skipif(not Path(DEVICE).exists(), reason="needs a v4l2loopback device")
def test_a_real_device_refuses_a_second_writer_and_is_free_again_afterwards(stream):
    first, second = LoopbackSink(DEVICE), LoopbackSink(DEVICE)
    other = StreamFormat(320, 240, Fraction(25), Color())
    frame = black(stream.width, stream.height)
    first.open(stream)
    first.write(Result(frame, frame))
    with pytest.raises(SinkError):
        second.open(other)
    first.close()
    assert second.open(other).startswith(DEVICE)
    second.close()
