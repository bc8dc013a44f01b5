"""Frames as pictures that a browser can show: JPEG and PNG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vcsharp.frame import Bytes, Color, ColorMatrix, ColorRange, Frame

JPEG_QUALITY = 90
"""High enough that JPEG's own softness does not hide what sharpening did."""

_LUMA_WEIGHTS = {ColorMatrix.BT601: (0.299, 0.114), ColorMatrix.BT709: (0.2126, 0.0722)}
"""Of red and blue; green has the rest."""


def jpeg(frame: Frame) -> bytes:
    """The frame as a JPEG file. OpenCV's encoder by way of RGB beats FFmpeg's straight from planes:

    4.9 against 7.4 ms for 1080p on one core.
    """
    return _encoded(".jpg", bgr(frame), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def png(frame: Frame) -> bytes:
    """The frame as a PNG file, every pixel kept."""
    return _encoded(".png", bgr(frame), [])


def bgr(frame: Frame) -> Bytes:
    """The frame as blue, green, red of full range, uint8, (height, width, 3)."""
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    if even and frame.color == Color(ColorRange.LIMITED, ColorMatrix.BT601):
        planes = frame.data.reshape(frame.height * 3 // 2, frame.width)
        return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)
    pixels = cv2.merge([frame.y, _doubled(frame.u, frame), _doubled(frame.v, frame)])
    return np.asarray(cv2.transform(pixels, _to_bgr(frame.color)), np.uint8)


def _doubled(chroma: Bytes, frame: Frame) -> Bytes:
    """A chroma plane in the size of luma."""
    height, width = chroma.shape
    doubled = cv2.resize(chroma, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(doubled[: frame.height, : frame.width], np.uint8)


def _to_bgr(color: Color) -> NDArray[np.float64]:
    """What turns (Y, Cb, Cr, 1) into (blue, green, red): float, (3, 4)."""
    red, blue = _LUMA_WEIGHTS[color.matrix]
    green = 1 - red - blue
    full = color.range is ColorRange.FULL
    black, luma, chroma = (0, 1.0, 1.0) if full else (16, 255 / 219, 255 / 224)
    matrix = np.array(
        [
            [luma, 2 * (1 - blue) * chroma, 0],
            [
                luma,
                -2 * blue * (1 - blue) / green * chroma,
                -2 * red * (1 - red) / green * chroma,
            ],
            [luma, 0, 2 * (1 - red) * chroma],
        ]
    )
    offset = -matrix @ np.array([black, 128, 128])
    return np.column_stack([matrix, offset])


def _encoded(suffix: str, pixels: Bytes, parameters: list[int]) -> bytes:
    _, data = cv2.imencode(suffix, pixels, parameters)
    return data.tobytes()
