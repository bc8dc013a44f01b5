"""Brings every frame of a run to one size and one colour: letterboxed, never distorted, never
through RGB.

Scaling is per plane (bilinear up, area down). Conversions between BT.601 and BT.709 follow from the
two recommendations' luma weights; the change of luma is computed at chroma resolution and spread
bilinearly.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vcsharp.buffers import PICTURES
from vcsharp.frame import (
    Bytes,
    Color,
    ColorMatrix,
    ColorRange,
    Frame,
    black,
    chroma_size,
    frame_bytes,
)

LUMA_WEIGHTS = {ColorMatrix.BT601: (0.299, 0.114), ColorMatrix.BT709: (0.2126, 0.0722)}
"""(red, blue) shares of luma."""


def fit(frame: Frame, width: int, height: int, color: Color) -> Frame:
    """The frame in the size and colour asked for; the frame itself where nothing has to change.

    A picture that lacks one column or row (odd size made even) is padded by repeating its edge, not
    scaled.
    """
    return _sized(recolored(frame, color), width, height)


def letterbox(
    width: int, height: int, into_width: int, into_height: int
) -> tuple[int, int, int, int]:
    """(left, top, width, height) of the largest centred picture of the same shape.

    All four are even where the picture is inset, so that chroma fits.
    """
    scale = min(into_width / width, into_height / height)
    inner_width = min(into_width, max(2, 2 * round(width * scale / 2)))
    inner_height = min(into_height, max(2, 2 * round(height * scale / 2)))
    left, top = ((into_width - inner_width) // 4 * 2, (into_height - inner_height) // 4 * 2)
    return left, top, inner_width, inner_height


def _sized(frame: Frame, width: int, height: int) -> Frame:
    if (frame.width, frame.height) == (width, height):
        return frame
    if 0 <= width - frame.width <= 1 and 0 <= height - frame.height <= 1:
        return _edge_padded(frame, width, height)
    left, top, inner_width, inner_height = letterbox(frame.width, frame.height, width, height)
    result = black(width, height, frame.color)
    boxes = [(left, top, inner_width, inner_height)]
    boxes += 2 * [(left // 2, top // 2, *chroma_size(inner_width, inner_height))]
    for target, plane, (x, y, w, h) in zip(result.planes, frame.planes, boxes, strict=True):
        scaled(plane, w, h, into=target[y : y + h, x : x + w])
    return frame.replaced(data=result.data, width=width, height=height)


def scaled(plane: Bytes, width: int, height: int, into: Bytes | None = None) -> Bytes:
    """A plane in another size: area-averaged where it shrinks, bilinear where it grows.

    With `into`, which has that size, it is written there.
    """
    shrinks = width < plane.shape[1] or height < plane.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    out = cv2.resize(plane, (width, height), dst=into, interpolation=method)
    return np.asarray(out, np.uint8)


def _edge_padded(frame: Frame, width: int, height: int) -> Frame:
    data = PICTURES.take(frame_bytes(width, height))
    result = frame.replaced(data=data, width=width, height=height)
    for target, plane in zip(result.planes, frame.planes, strict=True):
        rows, columns = plane.shape
        target[:rows, :columns] = plane
        target[:rows, columns:] = plane[:, -1:]
        target[rows:] = target[rows - 1]
    return result


def recolored(frame: Frame, color: Color) -> Frame:
    """The same picture in another range and matrix."""
    if frame.color == color:
        return frame
    if frame.color.matrix is color.matrix:
        return _reranged(frame, color.range)
    return _rematrixed(frame, color)


def _reranged(frame: Frame, to: ColorRange) -> Frame:
    result = frame.blank_copy()
    for target, plane, table in zip(result.planes, frame.planes, _tables(to), strict=True):
        cv2.LUT(plane, table, dst=target)
    return result.replaced(color=Color(to, frame.color.matrix))


@lru_cache(maxsize=2)
def _tables(to: ColorRange) -> tuple[Bytes, Bytes, Bytes]:
    """Look-up tables for Y, Cb and Cr."""
    old = next(other for other in ColorRange if other is not to)
    luma_gain, luma_offset, chroma_gain = _gains(old, to)
    levels = np.arange(256)
    luma, chroma = luma_gain * levels + luma_offset, 128 + chroma_gain * (levels - 128)
    tables = [np.clip(np.rint(values), 0, 255).astype(np.uint8) for values in (luma, chroma)]
    return tables[0], tables[1], tables[1]


def _rematrixed(frame: Frame, to: Color) -> Frame:
    """Another matrix, and maybe another range, in one go: each sample is rounded once."""
    matrix = _matrix(frame.color.matrix, to.matrix)
    luma_gain, luma_offset, chroma_gain = _gains(frame.color.range, to.range)
    result = frame.blank_copy().replaced(color=to)
    change = _luma_change(frame, matrix[0] * (_STEPS[to.range][0] / _STEPS[frame.color.range][1]))
    # Rounds, and cuts off at 0 and 255.
    cv2.addWeighted(frame.y, luma_gain, change, 1.0, luma_offset, dst=result.y, dtype=cv2.CV_8U)
    for target, row in ((result.u, matrix[1]), (result.v, matrix[2])):
        of_cb, of_cr = chroma_gain * row[1], chroma_gain * row[2]
        cv2.addWeighted(frame.u, of_cb, frame.v, of_cr, 128 * (1 - of_cb - of_cr), dst=target)
    return result


def _luma_change(frame: Frame, row: NDArray[np.float64]) -> NDArray[np.float32]:
    """What chroma adds to luma, in its new steps: computed at chroma's size, spread bilinearly."""
    _, of_cb, of_cr = row
    small, change = _floats(*frame.u.shape), _floats(frame.height, frame.width)
    offset = -128 * (of_cb + of_cr)
    cv2.addWeighted(frame.u, of_cb, frame.v, of_cr, offset, dst=small, dtype=cv2.CV_32F)
    cv2.resize(small, (frame.width, frame.height), dst=change, interpolation=cv2.INTER_LINEAR)
    return change


_STEPS = {ColorRange.FULL: (255, 255), ColorRange.LIMITED: (219, 224)}
"""Of luma from black to white, and of chroma from end to end."""
_BLACK = {ColorRange.FULL: 0, ColorRange.LIMITED: 16}


def _gains(old: ColorRange, new: ColorRange) -> tuple[float, float, float]:
    """Luma's gain and offset, and chroma's gain around 128."""
    luma = _STEPS[new][0] / _STEPS[old][0]
    return luma, _BLACK[new] - luma * _BLACK[old], _STEPS[new][1] / _STEPS[old][1]


def _floats(height: int, width: int) -> NDArray[np.float32]:
    """A plane for numbers on the way, used again by the next frame."""
    return PICTURES.take(4 * height * width).view(np.float32).reshape(height, width)


@lru_cache(maxsize=4)
def _matrix(old: ColorMatrix, new: ColorMatrix) -> NDArray[np.float64]:
    """3x3 from old (Y, Cb, Cr) to new, all of them centred and in units of the full range."""
    return np.asarray(rgb_to_ycc(new) @ np.linalg.inv(rgb_to_ycc(old)))


def rgb_to_ycc(matrix: ColorMatrix) -> NDArray[np.float64]:
    """3x3 from RGB in 0..1 to Y in 0..1 and Cb, Cr in -0.5..0.5."""
    red, blue = LUMA_WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    return np.stack([luma, cb, cr])
