from __future__ import annotations

import mmap
import os
import sys
from fractions import Fraction

import numpy as np
import pytest

from vcsharp.frame import Color, ColorRange
from vcsharp.sinks import standin
from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.v4l2_device import Device
from vcsharp.sinks.v4l2loopback import LoopbackSink, yuyv

from .fake_kernel import FakeKernel, Node

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")

DEVICE = "/dev/video10"
FULL_HD = StreamFormat(1920, 1080, Fraction(30), Color())


def opened(node: Node, folder, stream, **options) -> LoopbackSink:
    sink = LoopbackSink(DEVICE, device=FakeKernel({DEVICE: node}), sysfs=folder, **options)
    sink.open(stream)
    return sink


@pytest.mark.parametrize("pixel_format", ["YU12", "YUYV"])
@pytest.mark.parametrize(("page_bytes", "modern"), [(1, True), (4096, True), (4096, False)])
def test_a_picture_is_set_aside_in_the_device_s_format(
    tmp_path, stream, pixel_format, page_bytes, modern
):
    node = Node(page_bytes=page_bytes, modern=modern)
    sink = opened(node, tmp_path, stream, pixel_format=pixel_format)
    sink.close()
    frame = standin.picture(stream)
    packed = yuyv(frame) if pixel_format == "YUYV" else frame.data
    assert node.standin == packed.tobytes()
    assert node.controls == {abi.LoopbackControl.TIMEOUT_MS: standin.TIMEOUT_MS}


def test_a_driver_without_it_is_used_all_the_same(tmp_path, stream, make_results):
    node = Node(controls=None)
    sink = opened(node, tmp_path, stream)
    sink.write(make_results(1)[0])
    sink.close()
    assert node.standin == b""


@pytest.mark.parametrize("modern", [True, False])
def test_a_second_run_sets_its_picture_aside_as_well(tmp_path, stream, modern):
    node = Node(modern=modern)
    opened(node, tmp_path, stream).close()
    node.standin = b""
    opened(node, tmp_path, stream).close()
    assert node.standin != b""
    assert not node.took_buffers


@pytest.mark.parametrize("modern", [True, False])
def test_a_program_that_comes_between_is_not_written_over(tmp_path, stream, modern):
    node = Node(snatched=True, modern=modern)
    opened(node, tmp_path, stream).close()
    assert node.standin == b""
    assert not node.took_buffers
    assert node.controls is not None
    assert node.controls[abi.LoopbackControl.TIMEOUT_MS] == 0


@pytest.mark.parametrize("size", [(1920, 1080), (640, 360), (64, 48), (360, 640)])
def test_the_words_are_white_upon_dark_and_have_room_around(size: tuple[int, int]):
    frame = standin.picture(StreamFormat(size[0], size[1], Fraction(30), Color()))
    lit = np.argwhere(frame.y > 128)
    assert len(lit) > 0
    (top, left), (bottom, right) = lit.min(0), lit.max(0)
    assert top > 0.3 * frame.height
    assert bottom < 0.7 * frame.height
    assert left >= 0.05 * frame.width
    assert right <= 0.95 * frame.width
    assert np.median(frame.y) < 64
    assert (frame.u == 128).all()
    assert (frame.v == 128).all()


def test_the_picture_has_the_stream_s_range():
    full = Color(ColorRange.FULL)
    assert standin.picture(FULL_HD).y.max() == 235
    assert standin.picture(StreamFormat(1920, 1080, Fraction(30), full)).y.max() == 255


def test_mapped_memory_is_written_where_it_lies(tmp_path):
    page = mmap.ALLOCATIONGRANULARITY
    path = tmp_path / "memory"
    path.write_bytes(b"." * 3 * page)
    descriptor = os.open(path, os.O_RDWR)
    try:
        Device().write_mapped(descriptor, page, page, b"picture")
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"." * page + b"picture" + b"." * (2 * page - 7)
