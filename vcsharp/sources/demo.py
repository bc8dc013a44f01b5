"""A generated scene as a bad call shows it, for everybody without a camera at hand.

A speaker in front of a window with trees and a slide is drawn at 1920x1080, reduced to 640x360,
sent through x264 at a rate that is far too low, as video calls do, and scaled up again.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from vcsharp.errors import SourceError
from vcsharp.frame import Bytes, Color, Frame, chroma_size, frame_bytes, from_planes
from vcsharp.sources import demo_face, demo_scene
from vcsharp.sources.base import SourceFormat
from vcsharp.sources.video import to_frame

WIDTH, HEIGHT = 1920, 1080
SMALL = (640, 360)
FPS = Fraction(30)
BITRATE = 400_000
"""Bits per second. A call that wants to look good at this size takes three times as much."""

_HEAD_AT = (450, 60)
_TORSO_AT = (180, demo_scene.HEIGHT - 530)
"""Top left corners in the room, in luma pixels, even."""
_Planes = tuple[Bytes, Bytes, Bytes]


@dataclass(frozen=True)
class _Sprite:
    """A picture with its transparency, both as planes of 4:2:0."""

    planes: _Planes
    weights: tuple[Any, Any]
    """Of luma and of chroma: float32, 0..1."""


class DemoSource:
    """The degraded scene, without end: the same pictures in every run."""

    name = "demo"
    lossless = True

    def __init__(self) -> None:
        self._sequence = 0
        self._encoder: Any = None
        self._decoder: Any = None

    def open(self) -> SourceFormat:
        """Draws the scene, which takes about two seconds, and starts again with the first frame."""
        self._sequence = 0
        self._encoder, self._decoder = _new_encoder(), av.CodecContext.create("h264", "r")
        self._decoder.thread_count = 1
        _scenery()
        return SourceFormat(WIDTH, HEIGHT, FPS, Color(), "demo scene")

    def read(self) -> Frame | None:
        """The next picture; it never ends."""
        if self._encoder is None:
            raise SourceError("the demo is not open")
        picture = self._through_the_network(_reduce(_sharp_planes(self._sequence)))
        small = to_frame(picture, sequence=self._sequence, captured_ns=time.monotonic_ns())
        frame = _enlarge(small).replaced(timestamp=self._sequence / FPS)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Ends the encoder and the decoder."""
        self._encoder = self._decoder = None

    def _through_the_network(self, picture: VideoFrame) -> VideoFrame:
        picture.pts = self._sequence
        decoded: list[VideoFrame] = []
        for packet in self._encoder.encode(picture):
            decoded += self._decoder.decode(packet)
        if len(decoded) != 1:
            raise SourceError(f"the demo's codec returned {len(decoded)} pictures for one")
        return decoded[0]


def sharp_frame(sequence: int) -> Frame:
    """The scene before the bad call: 1920x1080, limited range, BT.601. Any thread, any order."""
    return from_planes(
        *_sharp_planes(sequence),
        sequence=sequence,
        captured_ns=time.monotonic_ns(),
        timestamp=sequence / FPS,
    )


def _sharp_planes(sequence: int) -> _Planes:
    room, torso, heads = _scenery()
    t = sequence / FPS
    pan = (_swing(t, 11, 46, 48), _swing(t, 7.3, 34, 36))
    sway = (_swing(t, 5.1, 12), _swing(t, 3.7, 7))
    planes = _cropped(room, pan)
    _paste(planes, torso, _minus(_TORSO_AT, pan, (-sway[0] // 4 * 2, 0)))
    _paste(planes, heads[_pose(t)], _minus(_HEAD_AT, pan, sway))
    return planes


def _swing(t: Fraction, period_s: float, reach_px: int, centre_px: int = 0) -> int:
    """A slow oscillation in whole chroma pixels: an even number of luma pixels."""
    return 2 * round((centre_px + reach_px * math.sin(2 * math.pi * float(t) / period_s)) / 2)


def _minus(at: tuple[int, int], *others: tuple[int, int]) -> tuple[int, int]:
    return at[0] - sum(o[0] for o in others), at[1] - sum(o[1] for o in others)


def _pose(t: Fraction) -> int:
    """0..2: mouth closed, half and fully open; 3: a blink every few seconds."""
    if float(t) % 3.4 > 3.27:
        return 3
    talking = math.sin(2 * math.pi * 2.3 * float(t)) + math.sin(2 * math.pi * 0.61 * float(t))
    return 0 if talking < 0.2 else 1 if talking < 1.1 else 2


@cache
def _scenery() -> tuple[_Planes, _Sprite, list[_Sprite]]:
    """Room, torso and heads; drawn once in a process and never written to afterwards."""
    poses = [(0.0, False), (0.4, False), (0.9, False), (0.0, True)]
    heads = [_sprite(*demo_face.render_head(mouth, blink=blink)) for mouth, blink in poses]
    return _split(demo_scene.render_room()), _sprite(*demo_scene.render_torso()), heads


def _sprite(bgr: Bytes, alpha: Bytes) -> _Sprite:
    weight = alpha.astype(np.float32) / 255
    half_size = (alpha.shape[1] // 2, alpha.shape[0] // 2)
    half = cv2.resize(weight, half_size, interpolation=cv2.INTER_AREA)
    return _Sprite(_split(bgr), (weight, half))


def _split(bgr: Bytes) -> _Planes:
    """BGR with even sides as limited-range BT.601 planes."""
    height, width = bgr.shape[:2]
    data = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8).reshape(-1)
    return Frame(data, width, height).planes


def _cropped(planes: _Planes, pan: tuple[int, int]) -> _Planes:
    """A copy of the part that the camera sees."""
    x, y = pan
    luma = planes[0][y : y + HEIGHT, x : x + WIDTH].copy()
    x, y, (width, height) = x // 2, y // 2, chroma_size(WIDTH, HEIGHT)
    u, v = (plane[y : y + height, x : x + width].copy() for plane in planes[1:])
    return luma, u, v


def _paste(planes: _Planes, sprite: _Sprite, at: tuple[int, int]) -> None:
    """Blends a sprite in, cut at the edges."""
    for index, plane in enumerate(planes):
        step = 1 if index == 0 else 2
        weight = sprite.weights[min(index, 1)]
        x, y = at[0] // step, at[1] // step
        left, top = max(0, -x), max(0, -y)
        right = min(weight.shape[1], plane.shape[1] - x)
        bottom = min(weight.shape[0], plane.shape[0] - y)
        part = np.s_[top:bottom, left:right]
        under = plane[y + top : y + bottom, x + left : x + right]
        share = weight[part]
        under[:] = cv2.blendLinear(sprite.planes[index][part], under, share, 1 - share)


def _reduce(planes: _Planes) -> VideoFrame:
    """To the size of the call, averaging."""
    sizes = (SMALL, chroma_size(*SMALL), chroma_size(*SMALL))
    small = [
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
        for plane, size in zip(planes, sizes, strict=True)
    ]
    data = np.concatenate([plane.reshape(-1) for plane in small])
    return VideoFrame.from_ndarray(data.reshape(SMALL[1] * 3 // 2, SMALL[0]), format="yuv420p")


def _enlarge(small: Frame) -> Frame:
    frame = small.replaced(
        data=np.empty(frame_bytes(WIDTH, HEIGHT), np.uint8),
        width=WIDTH,
        height=HEIGHT,
        color=Color(),
    )
    for target, plane in zip(frame.planes, small.planes, strict=True):
        cv2.resize(plane, target.shape[::-1], dst=target, interpolation=cv2.INTER_LINEAR)
    return frame


def _new_encoder() -> Any:
    """What a conferencing program does on a bad line: no look-ahead, one picture in, one out."""
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = SMALL
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", FPS, 1 / FPS
    encoder.bit_rate = BITRATE
    encoder.thread_count = 1  # slices, and with them the picture, would depend on the machine
    encoder.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "maxrate": str(BITRATE),
        "bufsize": str(BITRATE // 2),
        "g": "300",
    }
    return encoder
