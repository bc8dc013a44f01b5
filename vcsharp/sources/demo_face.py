"""The demo's speaker: a face shaded from a height map, hair and glasses drawn on top.

Coordinates: x to the right and y down from between the eyes, 0.7 being half the face's width; the
sprite is (HEIGHT, WIDTH). Colours are linear BGR, 0..1, until `render_head` returns.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Image = NDArray[np.uint8]

WIDTH, HEIGHT = 640, 820
UNIT_PX = 300.0
CENTRE = (320.0, 400.0)
"""Pixel of the origin, between the eyes."""

_SKIN = (0.30, 0.42, 0.66)
_LIPS = (0.20, 0.20, 0.50)
_HAIR = ((16, 22, 34), (34, 46, 68), (64, 88, 122))
_EYE_X, _EYE_Y = 0.31, 0.02


def render_head(mouth: float, *, blink: bool) -> tuple[Image, Image]:
    """The head as (BGR, alpha), uint8; `mouth` is how far it is open, 0..1."""
    skin, inside = _skin(mouth)
    picture, alpha = skin.copy(), inside.copy()
    _draw_mouth(picture, mouth)
    for side in (-1, 1):
        _draw_eye(picture, side, blink=blink)
        _draw_brow(picture, side)
    _draw_ears(picture, alpha)
    _draw_hair(picture, alpha)
    _draw_glasses(picture)
    return picture, alpha


@cache
def _skin(mouth: float) -> tuple[Image, Image]:
    """The bare face as (BGR, alpha); drawn once for the open eyes and for the blink."""
    x, y = _grid()
    height, inside = _heights(x, y, mouth)
    picture = _to_bytes(_shade(_albedo(x, y, mouth), height, y))
    return picture, (np.clip(inside, 0, 1) * 255).astype(np.uint8)


def _grid() -> tuple[Plane, Plane]:
    """The x of a row, the y of a column: what depends on one alone is computed on a line."""
    rows, columns = np.ogrid[0:HEIGHT, 0:WIDTH]
    x, y = (columns - CENTRE[0]) / UNIT_PX, (rows - CENTRE[1]) / UNIT_PX
    return x.astype(np.float32), y.astype(np.float32)


def _bump(x: Plane, y: Plane, at: tuple[float, float], size: tuple[float, float]) -> Plane:
    """A Gaussian, once at `at` and once mirrored to the other side of the face."""
    across = np.exp(-(((x - at[0]) / size[0]) ** 2))
    if at[0] != 0:
        across = across + np.exp(-(((x + at[0]) / size[0]) ** 2))
    return np.asarray(across * np.exp(-(((y - at[1]) / size[1]) ** 2)), np.float32)


_BUMPS: tuple[tuple[float, tuple[float, float], tuple[float, float]], ...] = (
    (0.10, (0.0, 0.10), (0.075, 0.26)),  # bridge of the nose
    (0.17, (0.0, 0.37), (0.105, 0.10)),  # its tip
    (0.075, (0.115, 0.40), (0.06, 0.06)),  # its wings
    (-0.05, (0.055, 0.455), (0.035, 0.02)),  # nostrils
    (-0.10, (_EYE_X, _EYE_Y), (0.17, 0.10)),  # eye sockets
    (0.055, (_EYE_X, _EYE_Y), (0.11, 0.06)),  # eyeballs
    (0.045, (0.28, -0.17), (0.24, 0.06)),  # brow ridge
    (0.060, (0.40, 0.36), (0.17, 0.16)),  # cheeks
    (-0.030, (0.25, 0.52), (0.05, 0.14)),  # folds beside the mouth
    (0.050, (0.0, 0.62), (0.19, 0.035)),  # upper lip
    (0.060, (0.0, 0.73), (0.15, 0.045)),  # lower lip
    (-0.040, (0.0, 0.82), (0.16, 0.04)),  # below it
    (0.085, (0.0, 0.95), (0.17, 0.10)),  # chin
    (-0.02, (0.0, 0.52), (0.03, 0.05)),  # groove under the nose
)


def _heights(x: Plane, y: Plane, mouth: float) -> tuple[Plane, Plane]:
    """The relief, and how far inside the outline each pixel lies (0..1 over two pixels)."""
    below = np.clip((y - 0.15) / 1.0, 0, 1)
    half_width = 0.70 - 0.21 * below**1.6
    top, bottom = 0.98, 1.13 + 0.05 * mouth
    vertical = np.where(y < 0.1, (y - 0.1) / top, (y - 0.1) / (bottom - 0.1))
    radius = (np.abs(x) / half_width) ** 2.2 + np.abs(vertical) ** 2.7
    relief = 0.62 * np.sqrt(np.clip(1 - radius, 0.0005, 1))
    for amount, at, size in _BUMPS:
        relief = relief + amount * _bump(x, y, at, size)
    inside = (1 - radius) * UNIT_PX * 0.22
    return relief.astype(np.float32), inside.astype(np.float32)


def _noise(seed: int, cell_px: float) -> Plane:
    """Smooth noise, mean 0, deviation about 1."""
    generator = np.random.default_rng(seed)
    shape = (int(HEIGHT / cell_px) + 2, int(WIDTH / cell_px) + 2)
    coarse = generator.standard_normal(shape).astype(np.float32)
    fine = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32)


def _albedo(x: Plane, y: Plane, mouth: float) -> Plane:
    """Skin with warm cheeks and nose, pores and freckles, a hint of beard, lips."""
    base = np.ones((HEIGHT, WIDTH, 3), np.float32) * np.array(_SKIN, np.float32)
    warm = 0.55 * _bump(x, y, (0.40, 0.34), (0.2, 0.17)) + 0.5 * _bump(x, y, (0, 0.37), (0.12, 0.1))
    base *= 1 - warm[..., None] * np.array((0.30, 0.26, 0.06), np.float32)
    sockets = _bump(x, y, (_EYE_X, 0.09), (0.16, 0.07))
    base *= 1 - 0.22 * sockets[..., None]
    beard = np.clip(
        _bump(x, y, (0, 0.93), (0.42, 0.26)) + _bump(x, y, (0, 0.54), (0.22, 0.05)), 0, 1
    )
    stubble = beard * (0.13 + 0.09 * np.clip(_noise(5, 2.0), -1, 2))
    texture = 1 + 0.030 * _noise(1, 1.6) + 0.035 * _noise(2, 6) + 0.03 * _noise(3, 40)
    freckles = np.clip(_noise(4, 5) - 1.9, 0, 1) * _bump(x, y, (0.33, 0.30), (0.25, 0.13))
    base *= (texture - stubble - 0.35 * freckles)[..., None]
    lips = _lip_mask(x, y, mouth)[..., None]
    streaks = 1 + 0.10 * np.sin(x * 150 + 2 * _noise(6, 14))[..., None]
    lip = lips * streaks * np.array(_LIPS, np.float32)
    return np.asarray(base * (1 - lips) + lip, np.float32)


def _lip_mask(x: Plane, y: Plane, mouth: float) -> Plane:
    across = np.clip(1 - (x / 0.27) ** 2, 0, 1)
    bow = 0.012 * np.exp(-((x / 0.05) ** 2))
    upper = 0.665 - 0.065 * across**0.7 + bow
    lower = 0.675 + (0.105 + 0.05 * mouth) * across**0.8
    mask = np.clip((y - upper) * 45, 0, 1) * np.clip((lower - y) * 45, 0, 1) * (across > 0)
    return np.asarray(mask, np.float32)


def _shade(albedo: Plane, relief: Plane, y: Plane) -> Plane:
    """A window as key light from the left, a lamp from the right, sky from above, some gloss."""
    slope_x, slope_y = np.gradient(relief, 1 / UNIT_PX)[::-1]
    normal = np.stack([-slope_x, -slope_y, np.full_like(relief, 0.75)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.zeros_like(albedo)
    for direction, tint in (
        ((-0.62, -0.42, 0.66), (1.00, 0.96, 0.90)),
        ((0.80, -0.15, 0.50), (0.20, 0.30, 0.42)),
        ((0.0, -0.9, 0.30), (0.22, 0.20, 0.18)),
    ):
        toward = np.array(direction) / np.linalg.norm(direction)
        facing = np.clip((normal @ toward + 0.25) / 1.25, 0, 1)[..., None]
        light += facing**1.3 * np.array(tint, np.float32) * 0.95
    wide = np.asarray(cv2.GaussianBlur(relief, (0, 0), 16))
    hollow = np.clip(1 - 3.2 * np.clip(wide - relief, 0, 0.2), 0.3, 1)[..., None]
    half = np.array((-0.32, -0.26, 0.91))
    gloss = np.clip(normal @ half, 0, 1) ** 38 * (0.16 + 0.05 * _noise(7, 2.5))
    neck_shadow = np.clip(1.25 - 0.6 * np.clip(y - 0.75, 0, 1), 0, 1)[..., None]
    lit = albedo * (light + 0.10) * hollow * neck_shadow + gloss[..., None]
    return np.asarray(lit, np.float32)


def _to_bytes(linear: Plane) -> Image:
    return np.asarray(255 * np.clip(linear, 0, 1) ** (1 / 2.2), np.uint8)


def _px(x: float, y: float) -> tuple[int, int]:
    """Pixel position with 4 fractional bits, as OpenCV's `shift=4` wants it."""
    return round((CENTRE[0] + x * UNIT_PX) * 16), round((CENTRE[1] + y * UNIT_PX) * 16)


def _curve(points: NDArray[np.float64]) -> NDArray[np.int32]:
    pixels = points * UNIT_PX + np.array(CENTRE)
    return np.asarray(np.round(pixels * 16), np.int32)


def _stroke(
    picture: Image, points: NDArray[np.float64], colour: tuple[int, ...], width: int = 1
) -> None:
    cv2.polylines(
        picture,
        [_curve(points)],
        isClosed=False,
        color=colour,
        thickness=width,
        lineType=cv2.LINE_AA,
        shift=4,
    )


def _arc(x0: float, x1: float, y: float, rise: float, steps: int = 24) -> NDArray[np.float64]:
    t = np.linspace(0, 1, steps)
    return np.stack([x0 + (x1 - x0) * t, y - rise * np.sin(np.pi * t) ** 0.8], -1)


def _draw_mouth(picture: Image, mouth: float) -> None:
    line = _arc(-0.255, 0.255, 0.662, -0.022)
    if mouth > 0.05:
        lower = _arc(-0.21, 0.21, 0.672, -0.085 * mouth)[::-1]
        opening = np.concatenate([_arc(-0.21, 0.21, 0.668, 0.006), lower])
        cv2.fillPoly(picture, [_curve(opening)], (22, 18, 48), cv2.LINE_AA, 4)
        teeth = np.concatenate(
            [_arc(-0.15, 0.15, 0.668, 0.0), _arc(-0.15, 0.15, 0.668, -0.03 * mouth)[::-1]]
        )
        cv2.fillPoly(picture, [_curve(teeth)], (196, 208, 214), cv2.LINE_AA, 4)
    else:
        _stroke(picture, line, (34, 32, 78), 3)


def _draw_eye(picture: Image, side: int, *, blink: bool) -> None:
    x0, x1 = side * (_EYE_X - 0.125), side * (_EYE_X + 0.135)
    upper, lower = _arc(x0, x1, _EYE_Y, 0.062), _arc(x0, x1, _EYE_Y, -0.040)
    crease = _arc(x0 - side * 0.01, x1 + side * 0.02, _EYE_Y - 0.028, 0.072)
    if blink:
        _stroke(picture, _arc(x0, x1, _EYE_Y + 0.012, -0.030), (30, 36, 58), 4)
        _stroke(picture, crease, (70, 92, 140), 1)
        return
    outline = _curve(np.concatenate([upper, lower[::-1]]))
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [outline], (255,), cv2.LINE_AA, 4)
    eye = picture.copy()
    eye[:] = (200, 206, 214)
    cv2.ellipse(
        eye,
        _px(side * _EYE_X, _EYE_Y - 0.055),
        (700, 240),
        0,
        0,
        360,
        (150, 158, 172),
        -1,
        cv2.LINE_AA,
        4,
    )
    _draw_iris(eye, side * _EYE_X - 0.012, _EYE_Y - 0.008)
    weight = (mask[..., None] / np.float32(255)).astype(np.float32)
    picture[:] = (picture * (1 - weight) + eye * weight).astype(np.uint8)
    _stroke(picture, upper, (22, 26, 40), 4)
    _stroke(picture, lower, (84, 96, 140), 2)
    _stroke(picture, crease, (66, 88, 136), 2)
    for t in np.linspace(0.15, 1, 16):
        foot = np.array([x0 + (x1 - x0) * t, _EYE_Y - 0.062 * np.sin(np.pi * t) ** 0.8])
        tip = foot + np.array([side * 0.03 * t, -0.034])
        _stroke(picture, np.stack([foot, tip]), (24, 28, 42))


def _draw_iris(eye: Image, x: float, y: float) -> None:
    centre = _px(x, y)
    cv2.circle(eye, centre, round(0.064 * UNIT_PX * 16), (38, 46, 40), -1, cv2.LINE_AA, 4)
    generator = np.random.default_rng(11)
    for angle in np.linspace(0, 2 * np.pi, 90, endpoint=False):
        shade = generator.uniform(0.6, 1.3)
        ends = np.outer((0.024, generator.uniform(0.045, 0.058)), (np.cos(angle), np.sin(angle)))
        colour = tuple(int(value * shade) for value in (118, 128, 84))
        _stroke(eye, ends + np.array([x, y]), colour)
    cv2.circle(eye, centre, round(0.027 * UNIT_PX * 16), (8, 8, 8), -1, cv2.LINE_AA, 4)
    cv2.circle(
        eye,
        _px(x - 0.022, y - 0.024),
        round(0.013 * UNIT_PX * 16),
        (250, 250, 250),
        -1,
        cv2.LINE_AA,
        4,
    )


def _draw_brow(picture: Image, side: int) -> None:
    generator = np.random.default_rng(20 + side)
    for _ in range(230):
        t = generator.uniform(0, 1)
        thick = 0.030 * (1 - 0.75 * t)
        x = side * (0.13 + 0.37 * t)
        y = -0.155 - 0.055 * np.sin(2.1 * t) + generator.uniform(-1, 1) * thick
        lean = np.array([side * (0.02 + 0.045 * t), -0.04 * (1 - 1.4 * t)])
        foot = np.array([x, y])
        colour = tuple(int(v * generator.uniform(0.5, 1.2)) for v in _HAIR[1])
        _stroke(picture, np.stack([foot, foot + lean]), colour)


def _draw_ears(picture: Image, alpha: Image) -> None:
    for side in (-1, 1):
        lit = 1.0 if side < 0 else 0.72
        axes = (round(0.075 * UNIT_PX * 16), round(0.17 * UNIT_PX * 16))
        where = _px(side * 0.715, 0.16)
        layer, mask = picture.copy(), np.zeros_like(alpha)
        skin = tuple(int(value * lit) for value in (136, 158, 206))
        cv2.ellipse(layer, where, axes, side * 8, 0, 360, skin, -1, cv2.LINE_AA, 4)
        inner = tuple(int(value * lit) for value in (92, 108, 160))
        cv2.ellipse(
            layer,
            where,
            (axes[0] // 2, axes[1] * 2 // 3),
            side * 8,
            0,
            360,
            inner,
            3,
            cv2.LINE_AA,
            4,
        )
        cv2.ellipse(mask, where, axes, side * 8, 0, 360, (255,), -1, cv2.LINE_AA, 4)
        layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), 4), np.uint8)
        behind = (mask / np.float32(255) * (1 - alpha / np.float32(255)))[..., None]
        picture[:] = (picture * (1 - behind) + layer * behind).astype(np.uint8)
        np.maximum(alpha, mask, out=alpha)


def _hairline(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where hair meets skin; angles in radians from straight up, to the right positive."""
    wave = 0.022 * np.sin(5 * angle + 0.6)
    return np.stack([0.655 * np.sin(angle), -0.03 - (0.615 + wave) * np.cos(angle)], -1)


def _crown(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """The outline of the hair."""
    wave = 0.02 * np.sin(3 * angle + 1.0)
    return np.stack([(0.775 + wave) * np.sin(angle), -0.03 - (1.03 + wave) * np.cos(angle)], -1)


@cache
def _hair() -> tuple[Image, Image]:
    """A dark cap, then strands combed from the hairline up and to the right, brighter on top.

    Drawn once for all heads, as (BGR, alpha), because 3300 strands take a while.
    """
    picture = np.full((HEIGHT, WIDTH, 3), _HAIR[0], np.uint8)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    span = np.linspace(-1.55, 1.64, 60)
    cap = _curve(np.concatenate([_hairline(span), _crown(span)[::-1]]))
    cv2.fillPoly(alpha, [cap], (255,), cv2.LINE_AA, 4)
    generator = np.random.default_rng(30)
    for layer, count, width in ((0, 900, 3), (1, 1500, 2), (2, 900, 1)):
        for _ in range(count):
            angle = generator.uniform(-1.60, 1.50)
            strand = _strand(generator, angle)
            lit = generator.uniform(0.65, 1.15) * (1.05 - 0.32 * np.sin(angle))
            _stroke(picture, strand, tuple(int(value * lit) for value in _HAIR[layer]), width)
            _stroke(alpha, strand, (255,), width)
    return picture, alpha


def _strand(generator: np.random.Generator, angle: float) -> NDArray[np.float64]:
    """A bent line from the hairline at `angle` to somewhere further right under the outline."""
    comb = 0.42 * np.cos(angle / 1.1) + 0.05 * generator.standard_normal()
    root = _hairline(np.array(angle)) * (1 + 0.01 * generator.standard_normal())
    tip = root + generator.uniform(0.55, 1.03) * (_crown(np.array(min(angle + comb, 1.6))) - root)
    lift = root + (0.55 + 0.1 * generator.uniform()) * (_crown(np.array(angle)) - root)
    t = np.linspace(0, 1, 12)[:, None]
    return np.asarray((1 - t) ** 2 * root + 2 * t * (1 - t) * lift + t**2 * tip, np.float64)


def _draw_hair(picture: Image, alpha: Image) -> None:
    hair, mask = _hair()
    weight = (mask / np.float32(255))[..., None]
    picture[:] = (picture * (1 - weight) + hair * weight).astype(np.uint8)
    np.maximum(alpha, mask, out=alpha)


def _draw_glasses(picture: Image) -> None:
    frame, glint = (36, 30, 28), (150, 150, 150)
    axes = (round(0.215 * UNIT_PX * 16), round(0.165 * UNIT_PX * 16))
    for side in (-1, 1):
        centre = _px(side * (_EYE_X + 0.005), _EYE_Y + 0.035)
        cv2.ellipse(picture, centre, axes, 0, 0, 360, frame, 5, cv2.LINE_AA, 4)
        cv2.ellipse(picture, centre, axes, 0, 190, 260, glint, 1, cv2.LINE_AA, 4)
        hinge = np.array([[side * 0.525, -0.01], [side * 0.72, 0.0]])
        _stroke(picture, hinge, frame, 5)
    _stroke(picture, _arc(-0.095, 0.095, 0.02, 0.03), frame, 5)
