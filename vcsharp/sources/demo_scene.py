"""The demo's still scenery: a room with a window, trees behind it, a slide, a shelf, a pullover.

Everything is drawn once, from fixed seeds, in BGR, uint8.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Point = tuple[int, int]
Colour = tuple[int, int, int]

WIDTH, HEIGHT = 2016, 1152
"""Larger than a frame, so that the camera can move."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SLIDE = (1180, 150, 1900, 790)
_WINDOW = (90, 70, 690, 800)


def render_room() -> Image:
    """The background, (HEIGHT, WIDTH, 3)."""
    room = _wall()
    left, top, right, bottom = _WINDOW
    room[top:bottom, left:right] = _trees(right - left, bottom - top)
    _draw_window_frame(room)
    _draw_slide(room)
    _draw_shelf(room)
    return room


def render_torso() -> tuple[Image, Image]:
    """Neck, collar and a knitted pullover as (BGR, alpha), neck in the middle."""
    width, height = 1180, 600
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (columns - width / 2) / 520, (rows - 80) / 520
    shoulder = 0.24 + 0.50 * np.abs(x) ** 2.2
    body = np.clip((y - shoulder) * 60, 0, 1) * np.clip((1.08 - np.abs(x)) * 60, 0, 1)
    shade = 0.95 - 0.45 * (x + 0.25) ** 2 - 0.35 * x - 0.25 * (y - 0.45)
    stitch = np.sin(columns / 2.6 + 1.6 * np.sin(rows / 3.1)) * np.sin(rows / 3.1)
    band = np.sin((y - 0.75 * shoulder) * 46) > 0.55
    knit = np.clip(shade * (1 + 0.22 * stitch), 0.3, 1.3)[..., None]
    wool = np.where(band[..., None], (150, 158, 170), (112, 76, 44)).astype(np.float32)
    picture = np.clip(wool * knit, 0, 255).astype(np.uint8)
    alpha = (255 * body).astype(np.uint8)
    _draw_neck(picture, alpha)
    return picture, alpha


def _draw_neck(picture: Image, alpha: Image) -> None:
    height, width = alpha.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (columns - width / 2) / 122, rows / 270
    across = 1 + 0.10 * (y - 0.4) ** 2
    mask = np.clip((across - np.abs(x)) * 75, 0, 1) * np.clip((1.08 - 0.25 * x**2 - y) * 90, 0, 1)
    light = np.clip(0.86 - 0.28 * x - 0.22 * x**2, 0.25, 1) * np.clip(0.30 + 0.68 * y, 0, 1)
    skin = light[..., None] * np.array((134, 160, 208), np.float32)
    weight = mask[..., None]
    picture[:] = (picture * (1 - weight) + skin * weight).astype(np.uint8)
    np.maximum(alpha, (255 * mask).astype(np.uint8), out=alpha)
    collar = (width // 2, 190)
    cv2.ellipse(picture, collar, (136, 92), 0, 8, 172, (92, 60, 34), 16, cv2.LINE_AA)
    cv2.ellipse(picture, collar, (136, 92), 0, 8, 172, (140, 100, 62), 2, cv2.LINE_AA)
    cv2.ellipse(alpha, collar, (136, 92), 0, 8, 172, (255,), 16, cv2.LINE_AA)


def _wall() -> Image:
    """Plaster: warm grey, lighter near the window, with a fine grain."""
    generator = np.random.default_rng(1)
    columns = np.linspace(1.06, 0.74, WIDTH, dtype=np.float32)[None, :, None]
    rows = np.linspace(1.03, 0.90, HEIGHT, dtype=np.float32)[:, None, None]
    grain = 1 + 0.012 * generator.standard_normal((HEIGHT, WIDTH, 1)).astype(np.float32)
    wall = np.array((176, 190, 196), np.float32) * columns * rows * grain
    return np.clip(wall, 0, 255).astype(np.uint8)


def _trees(width: int, height: int) -> Image:
    """Sky, a far wood, a trunk with branches; leaves, dark ones behind and bright ones in front."""
    generator = np.random.default_rng(2)
    blend = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = (1 - blend) * np.array((236, 196, 150), np.float32) + blend * np.array(
        (240, 236, 228), np.float32
    )
    view = np.broadcast_to(sky, (height, width, 3)).astype(np.uint8, order="C")
    for _ in range(700):
        x, y = generator.uniform(0, width), height * generator.normal(0.78, 0.06)
        shade = generator.uniform(0.7, 1.1)
        cv2.circle(
            view,
            (int(x), int(y)),
            int(generator.uniform(5, 16)),
            _lit((132, 150, 128), shade),
            -1,
            cv2.LINE_AA,
        )
    grass = view[int(height * 0.86) :]
    grass[:] = (70, 138, 104)
    for _ in range(2600):
        x, y = int(generator.uniform(0, width)), int(generator.uniform(0, len(grass)))
        tip = (x + int(generator.normal(0, 3)), y - int(generator.uniform(4, 12)))
        cv2.line(
            grass, (x, y), tip, _lit((78, 160, 120), generator.uniform(0.55, 1.3)), 1, cv2.LINE_AA
        )
    tips: list[tuple[float, float]] = []
    _branch(view, generator, (width * 0.55, height * 0.97), -1.62, height * 0.235, 34, tips)
    _leaves(view, generator, tips)
    return view


def _branch(
    view: Image,
    generator: np.random.Generator,
    foot: tuple[float, float],
    angle: float,
    length: float,
    thickness: float,
    tips: list[tuple[float, float]],
) -> None:
    end = (foot[0] + length * np.cos(angle), foot[1] + length * np.sin(angle))
    start, stop = (int(foot[0]), int(foot[1])), (int(end[0]), int(end[1]))
    cv2.line(view, start, stop, (42, 54, 66), max(1, round(thickness)), cv2.LINE_AA)
    shifted = (start[0] - round(thickness / 4), start[1]), (stop[0] - round(thickness / 4), stop[1])
    cv2.line(view, *shifted, (88, 108, 128), max(1, round(thickness / 4)), cv2.LINE_AA)
    if thickness < 3.2:
        tips.append(end)
        return
    for turn in (-0.52, 0.48) if thickness > 8 else (-0.6, 0.05, 0.62):
        spread = turn + generator.normal(0, 0.12)
        _branch(
            view,
            generator,
            end,
            angle + spread,
            length * generator.uniform(0.66, 0.86),
            thickness * 0.62,
            tips,
        )


def _leaves(view: Image, generator: np.random.Generator, tips: list[tuple[float, float]]) -> None:
    count = 7000
    for index in range(count):
        depth = index / count
        tip = tips[generator.integers(len(tips))]
        spread = 44 - 14 * depth
        x, y = tip[0] + generator.normal(0, spread), tip[1] + generator.normal(0, spread * 0.8)
        light = 0.45 + 0.75 * depth + 0.15 * generator.standard_normal()
        yellow = generator.uniform(0, 26)
        colour = _lit((52, 128 + yellow, 84 + 2 * yellow), light)
        axes = (int(generator.uniform(4, 10)), int(generator.uniform(2, 4)))
        turn = generator.uniform(0, 180)
        cv2.ellipse(view, (int(x), int(y)), axes, turn, 0, 360, colour, -1, cv2.LINE_AA)


def _lit(colour: tuple[float, float, float], light: float) -> Colour:
    blue, green, red = colour
    return _level(blue * light), _level(green * light), _level(red * light)


def _level(value: float) -> int:
    return 0 if value < 0 else 255 if value > 255 else int(value)


def _draw_window_frame(room: Image) -> None:
    left, top, right, bottom = _WINDOW
    wood, edge, shade = (226, 232, 236), (250, 250, 250), (150, 158, 164)
    for x0, x1 in (
        (left - 26, left),
        (right, right + 26),
        ((left + right) // 2 - 9, (left + right) // 2 + 9),
    ):
        cv2.rectangle(room, (x0, top - 26), (x1, bottom + 26), wood, -1)
        cv2.line(room, (x0, top - 26), (x0, bottom + 26), edge, 2)
        cv2.line(room, (x1, top - 26), (x1, bottom + 26), shade, 2)
    for y0, y1 in ((top - 26, top), (bottom, bottom + 26), (top + 230, top + 244)):
        cv2.rectangle(room, (left - 26, y0), (right + 26, y1), wood, -1)
        cv2.line(room, (left - 26, y1), (right + 26, y1), shade, 2)
    for y in range(top + 6, top + 210, 14):  # a blind, half down
        cv2.line(room, (left, y), (right, y), (214, 222, 228), 2, cv2.LINE_AA)
        cv2.line(room, (left, y + 3), (right, y + 3), (150, 160, 166), 1, cv2.LINE_AA)


def _text(
    picture: Image,
    words: str,
    origin: Point,
    height_px: float,
    colour: Colour,
    *,
    bold: bool = False,
) -> None:
    scale = height_px / 22
    cv2.putText(
        picture,
        words,
        origin,
        _FONT,
        scale,
        colour,
        max(1, round((2 if bold else 1.2) * scale)),
        cv2.LINE_AA,
    )


def _draw_slide(room: Image) -> None:
    """A screen on the wall: text in five sizes, a chart of thin lines, colour patches."""
    left, top, right, bottom = _SLIDE
    cv2.rectangle(room, (left - 16, top - 16), (right + 16, bottom + 16), (34, 34, 36), -1)
    cv2.rectangle(room, (left, top), (right, bottom), (250, 250, 248), -1)
    ink, grey, accent = (48, 40, 34), (110, 104, 98), (176, 92, 20)
    _text(room, "Clear on every call", (left + 36, top + 84), 44, ink, bold=True)
    cv2.line(room, (left + 38, top + 106), (left + 250, top + 106), accent, 4, cv2.LINE_AA)
    for index, words in enumerate(
        ("Any webcam or RTSP camera in", "Sharp picture out, live", "On your own machine, no cloud")
    ):
        y = top + 164 + 48 * index
        cv2.circle(room, (left + 46, y - 9), 5, accent, -1, cv2.LINE_AA)
        _text(room, words, (left + 66, y), 24, ink)
    _text(
        room,
        "Small print is what a bad call loses first: can you read",
        (left + 38, top + 318),
        15,
        grey,
    )
    _text(
        room, "this line, and the one below it, before and after?", (left + 38, top + 343), 15, grey
    )
    _text(
        room, "0123456789  ABCDEFGHIJKLM  nopqrstuvwxyz  (12 px)", (left + 38, top + 370), 11, grey
    )
    _draw_chart(room, (left + 40, top + 396), (360, 200))
    _draw_patches(room, (left + 440, top + 400))


def _draw_chart(room: Image, corner: Point, size: Point) -> None:
    (x0, y0), (width, height) = corner, size
    for index in range(6):
        y = y0 + height * index // 5
        cv2.line(room, (x0, y), (x0 + width, y), (216, 214, 210), 1)
        _text(room, f"{100 - 20 * index}", (x0 - 26, y + 4), 9, (110, 104, 98))
    t = np.linspace(0, 1, 90)
    for phase, colour in ((0.0, (176, 92, 20)), (1.2, (60, 140, 40)), (2.3, (50, 60, 210))):
        curve = (
            0.5 + 0.28 * np.sin(5 * t + phase) * (1 - 0.4 * t) + 0.10 * np.sin(23 * t + 2 * phase)
        )
        points = np.stack([x0 + width * t, y0 + height * (1 - curve)], -1)
        cv2.polylines(
            room,
            [np.round(points * 16).astype(np.int32)],
            isClosed=False,
            color=colour,
            thickness=2,
            lineType=cv2.LINE_AA,
            shift=4,
        )
    cv2.rectangle(room, (x0, y0), (x0 + width, y0 + height), (150, 146, 140), 1)


def _draw_patches(room: Image, corner: Point) -> None:
    """Colours as on a test chart, and wedges of lines that grow finer."""
    patches = (
        (68, 82, 115),
        (130, 150, 194),
        (157, 122, 98),
        (67, 108, 87),
        (177, 128, 133),
        (170, 189, 103),
        (44, 126, 214),
        (166, 91, 80),
        (99, 90, 193),
        (108, 60, 94),
        (64, 188, 157),
        (46, 163, 224),
    )
    for index, colour in enumerate(patches):
        x, y = corner[0] + 40 * (index % 6), corner[1] + 40 * (index // 6)
        cv2.rectangle(room, (x, y), (x + 34, y + 34), colour, -1)
    x, y = corner[0], corner[1] + 96
    for width in (5, 4, 3, 2):
        for _ in range(5):
            cv2.rectangle(room, (x, y), (x + width - 1, y + 44), (30, 30, 30), -1)
            x += 2 * width
        x += 12
    centre = (corner[0] + 116, corner[1] + 176)
    for angle in np.linspace(0, np.pi, 24, endpoint=False):
        reach = 30 * np.array((np.cos(angle), np.sin(angle)))
        ends = np.round((np.array([centre + reach, centre - reach])) * 16).astype(np.int32)
        cv2.line(room, ends[0].tolist(), ends[1].tolist(), (30, 30, 30), 1, cv2.LINE_AA, 4)


_TITLES = [
    "OPTICS",
    "SIGNALS",
    "NOISE",
    "ATLAS",
    "LIGHT",
    "WAVES",
    "FILTERS",
    "TREES",
    "MAPS",
    "COLOUR",
    "GLASS",
]


def _draw_shelf(room: Image) -> None:
    """Books with titles under the slide."""
    generator = np.random.default_rng(4)
    board, x = 1090, 1150
    cv2.rectangle(room, (1130, board), (WIDTH, board + 26), (86, 118, 150), -1)
    cv2.line(room, (1130, board), (WIDTH, board), (128, 160, 190), 3)
    for index in range(16):
        book = _book(generator, _TITLES[index % len(_TITLES)])
        height, width = book.shape[:2]
        if x + width > WIDTH - 8:
            break
        room[board - height : board, x : x + width] = book
        x += width + 2


def _book(generator: np.random.Generator, title: str) -> Image:
    width, height = int(generator.uniform(38, 64)), int(generator.uniform(170, 226))
    hue = [int(generator.uniform(*limits)) for limits in ((0, 180), (70, 170), (90, 190))]
    colour = cv2.cvtColor(np.array([[hue]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    book = np.empty((height, width, 3), np.uint8)
    book[:] = (colour * np.linspace(1.15, 0.75, width)[:, None]).clip(0, 255)
    for y in (18, height - 18):
        cv2.line(book, (0, y), (width, y), (200, 214, 220), 2)
    label = np.ascontiguousarray(np.rot90(book, -1))
    _text(label, title, (34, width // 2 + 8), 17, (226, 234, 238), bold=True)
    return np.rot90(label)
