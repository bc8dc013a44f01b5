"""The steps that degradations are made of. Each has a `kind` and ranges, and stands in a recipe as

    { kind = "shrink", factor = [2, 3], filter = "area" }

A step takes a clip (pictures of one size: uint8, H x W luma or H x W x 3 RGB) and returns one. What
it draws from its ranges holds for the whole clip; noise is fresh in every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from vcsharp_training import codec, images
from vcsharp_training.images import Picture, to_bytes
from vcsharp_training.strict import Strict

Clip = list[Picture]
Size = tuple[int, int]
"""Height and width in pixels."""


def _both_ends(value: object) -> object:
    return (value, value) if isinstance(value, int | float) else value


def _rising(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError(f"a range goes from low to high, not from {span[0]:g} to {span[1]:g}")
    return span


Span = Annotated[tuple[float, float], BeforeValidator(_both_ends), AfterValidator(_rising)]
"""A range that a value is drawn from uniformly; one number, or equal ends, fixes it."""
Positive = Annotated[float, Field(gt=0)]
PositiveSpan = Annotated[
    tuple[Positive, Positive], BeforeValidator(_both_ends), AfterValidator(_rising)
]

FilterName = Literal["area", "bilinear", "bicubic", "lanczos"]
_FILTERS = {
    "area": cv2.INTER_AREA,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
_KERNEL_SCALE = 8
"""Blur kernels are drawn this many times larger and averaged, for smooth edges."""


@dataclass
class Scene:
    """What the steps of one degradation tell each other."""

    size: Size
    """Of the ground truth, which the clip has to end at."""
    keep: int = 1
    """How many of the clip's last frames are wanted."""
    offset_px: tuple[float, float] = (0.0, 0.0)
    """Where the clip's corner lies in the ground truth (y, x), in pixels of it."""
    notes: list[str] = field(default_factory=list)
    """What was drawn, for people."""


class Step(Protocol):
    """One thing that happens to a picture on its way."""

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        """The clip after it."""


def _as_picture(result: NDArray[Any]) -> Picture:
    return result.astype(np.uint8, copy=False)


def _resize(picture: Picture, size: Size, name: str) -> Picture:
    return _as_picture(cv2.resize(picture, size[::-1], interpolation=_FILTERS[name]))


def _even(pixels: float) -> int:
    return max(16, 2 * round(pixels / 2))


class _Resampling(Strict):
    """`filter = "area"` and `filters = ["area", "bicubic"]` are both understood."""

    filters: tuple[FilterName, ...] = Field(("bilinear",), min_length=1)
    """Names of filters, of which one is drawn."""

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "filter" not in values:
            return values
        others = {key: value for key, value in values.items() if key != "filter"}
        return {"filters": (values["filter"],), **others}


class Shrink(_Resampling):
    """Down to 1/factor, to even sizes as 4:2:0 codecs need.

    Only the area filter averages all pixels; the others sample, as scalers of cameras and calls do,
    and so alias.
    """

    kind: Literal["shrink"] = "shrink"
    factor: Annotated[PositiveSpan, Field(description="Size before by size after.")]
    filters: tuple[FilterName, ...] = Field(("area",), min_length=1)
    """Names of filters, of which one is drawn."""

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        factor = rng.uniform(*self.factor)
        name = self.filters[int(rng.integers(len(self.filters))) if len(self.filters) > 1 else 0]
        small = (_even(scene.size[0] / factor), _even(scene.size[1] / factor))
        scene.notes.append(f"down x{factor:.2f} {name}")
        return [_resize(picture, small, name) for picture in clip]


class Grow(_Resampling):
    """Back up to the size, and the place, of the ground truth."""

    kind: Literal["grow"] = "grow"

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        name = self.filters[int(rng.integers(len(self.filters)))]
        scene.notes.append(f"up {name}")
        if scene.offset_px == (0.0, 0.0):
            return [_resize(picture, scene.size, name) for picture in clip]
        offset, scene.offset_px = scene.offset_px, (0.0, 0.0)
        return [_place(picture, scene.size, offset, name) for picture in clip]


def _place(picture: Picture, size: Size, offset_px: tuple[float, float], name: str) -> Picture:
    """Scales a picture to `size`, its corner `offset_px` (y, x) inside that."""
    step_y, step_x = picture.shape[0] / size[0], picture.shape[1] / size[1]
    start_y, start_x = (
        (0.5 - offset) * step - 0.5
        for offset, step in zip(offset_px, (step_y, step_x), strict=True)
    )
    to_source = np.array([[step_x, 0, start_x], [0, step_y, start_y]])
    how = _FILTERS["bilinear" if name == "area" else name] | cv2.WARP_INVERSE_MAP
    return _as_picture(
        cv2.warpAffine(picture, to_source, size[::-1], flags=how, borderMode=cv2.BORDER_REFLECT_101)
    )


class Phase(Strict):
    """Moves the picture against the grid that a later `shrink` samples on; `grow` moves it back.

    Sampling grids of cameras never start where ours do.
    """

    kind: Literal["phase"] = "phase"
    shift_px: Span = (0.0, 1.0)
    """How far, per axis, in pixels of the ground truth."""
    whole: bool = False
    """Whole pixels only: the picture is not resampled."""

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        drawn = rng.uniform(*self.shift_px, size=2)
        y, x = (float(shift) for shift in (np.rint(drawn) if self.whole else drawn))
        scene.notes.append(f"phase {y:.2f}, {x:.2f} px")
        scene.offset_px = (scene.offset_px[0] + y, scene.offset_px[1] + x)
        return [_place(picture, size_of(picture), (-y, -x), "lanczos") for picture in clip]


def size_of(picture: Picture) -> Size:
    """Height and width of a plane or colour picture."""
    return picture.shape[0], picture.shape[1]


class Gaussian(Strict):
    """Gaussian blur: a cheap lens, or focus a little off."""

    kind: Literal["gaussian"] = "gaussian"
    sigma_px: PositiveSpan

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        sigma = rng.uniform(*self.sigma_px)
        scene.notes.append(f"gaussian {sigma:.2f} px")
        return [_as_picture(cv2.GaussianBlur(picture, (0, 0), sigma)) for picture in clip]


class Disc(Strict):
    """Blur by a disc of even brightness: a lens out of focus."""

    kind: Literal["disc"] = "disc"
    radius_px: PositiveSpan

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        radius = rng.uniform(*self.radius_px)
        scene.notes.append(f"disc {radius:.2f} px")
        return _filtered(clip, disc_kernel(radius))


class Motion(Strict):
    """Blur along a straight line: a hand or a head that moves while the shutter is open."""

    kind: Literal["motion"] = "motion"
    length_px: PositiveSpan
    angle_deg: Span = (0.0, 180.0)

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        length, angle = rng.uniform(*self.length_px), rng.uniform(*self.angle_deg)
        scene.notes.append(f"motion {length:.1f} px at {angle:.0f} deg")
        return _filtered(clip, line_kernel(length, angle))


def disc_kernel(radius_px: float) -> NDArray[np.float32]:
    """Shares of a disc, float32 of odd sides, sum 1."""
    y, x = _fine_grid(radius_px)
    return _averaged(np.hypot(y, x) <= radius_px)


def line_kernel(length_px: float, angle_deg: float) -> NDArray[np.float32]:
    """Shares of a line one pixel wide through the middle, float32 of odd sides, sum 1."""
    y, x = _fine_grid(length_px / 2 + 0.5)
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    along, across = x * cos - y * sin, x * sin + y * cos
    return _averaged((np.abs(along) <= max(length_px, 1) / 2) & (np.abs(across) <= 0.5))


def _fine_grid(reach_px: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of sub-pixels around the middle of an odd kernel that holds `reach_px`."""
    side = 2 * int(np.ceil(reach_px)) + 1
    ticks = (np.arange(side * _KERNEL_SCALE) + 0.5) / _KERNEL_SCALE - side / 2
    return ticks[:, None], ticks[None, :]


def _averaged(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    side = inside.shape[0] // _KERNEL_SCALE
    shares = inside.reshape(side, _KERNEL_SCALE, side, _KERNEL_SCALE).mean(axis=(1, 3))
    return np.asarray(shares / shares.sum(), np.float32)


def _filtered(clip: Clip, kernel: NDArray[np.float32]) -> Clip:
    return [_as_picture(cv2.filter2D(picture, -1, kernel)) for picture in clip]


class Noise(Strict):
    """White Gaussian noise, in levels of 255, fresh for every frame and channel."""

    kind: Literal["noise"] = "noise"
    sigma: Span

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        sigma = np.float32(rng.uniform(*self.sigma))
        scene.notes.append(f"noise {sigma:.1f}")
        return [
            to_bytes(picture + sigma * rng.standard_normal(picture.shape, np.float32))
            for picture in clip
        ]


class Sensor(Strict):
    """Noise of a sensor: the same everywhere (`read`), and more where it is bright (`shot`).

    The variance is read^2 + shot^2 * level / 255, in levels of 255 (photons are counted, so theirs
    grows with the light).
    """

    kind: Literal["sensor"] = "sensor"
    read: Span = (0.5, 2.0)
    shot: Span = (1.0, 6.0)
    """Standard deviation at white."""

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        read, shot = rng.uniform(*self.read), rng.uniform(*self.shot)
        scene.notes.append(f"sensor noise {read:.1f} + {shot:.1f}")
        return [self._one(picture, read, shot, rng) for picture in clip]

    @staticmethod
    def _one(picture: Picture, read: float, shot: float, rng: np.random.Generator) -> Picture:
        levels = picture.astype(np.float32)
        sigma = np.sqrt(np.float32(read**2) + np.float32(shot**2 / 255) * levels)
        return to_bytes(levels + sigma * rng.standard_normal(picture.shape, np.float32))


class Jpeg(Strict):
    """One JPEG generation per frame, as a camera in MJPG mode sends it; colour in 4:2:0."""

    kind: Literal["jpeg"] = "jpeg"
    quality: Span

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        quality = round(rng.uniform(*self.quality))
        scene.notes.append(f"jpeg q{quality}")
        return [images.through_jpeg(picture, quality) for picture in clip]


class Starved(Strict):
    """A real low-delay encode at a starved rate; leaves the last frames only."""

    coder: ClassVar[codec.Codec]
    kind: str
    kbps: PositiveSpan
    """For 640 x 360; scaled with the area."""

    def __call__(self, clip: Clip, scene: Scene, rng: np.random.Generator) -> Clip:
        kbps = rng.uniform(*self.kbps)
        scene.notes.append(f"{self.kind} {kbps:.0f} kb/s")
        return codec.last_frames(clip, kbps, self.coder, keep=scene.keep)


class X264(Starved):
    """H.264 by x264."""

    coder = codec.X264
    kind: Literal["x264"] = "x264"


class Vp8(Starved):
    """VP8 by libvpx."""

    coder = codec.VP8
    kind: Literal["vp8"] = "vp8"


AnyStep = Annotated[
    Gaussian | Disc | Motion | Phase | Shrink | Grow | Noise | Sensor | Jpeg | X264 | Vp8,
    Field(discriminator="kind"),
]
"""Every step that a recipe can name."""


def check(chain: Sequence[object]) -> None:
    """Raises ValueError unless the clip ends at the size and place of its ground truth."""
    moved = None
    for step in chain:
        if isinstance(step, Shrink | Phase):
            moved = step.kind
        elif isinstance(step, Grow):
            moved = None
    if moved:
        raise ValueError(f"after '{moved}' a 'grow' has to bring the picture back to its size")
