"""Still pictures: what is read, what sharpening changes, what is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vcsharp import stills
from vcsharp.errors import ImageError
from vcsharp.stills import Still

from .pictures import (
    FakeSharpener,
    Pixels,
    cmyk_jpeg,
    exif,
    file_of,
    icc,
    scene,
    with_metadata,
)

EVERY_LAYOUT = [(channels, dtype) for dtype in (np.uint8, np.uint16) for channels in (1, 3, 4)]


def saved(folder: Path, data: bytes, name: str = "in") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def still_of(pixels: Pixels) -> Still:
    return Still(pixels, "png", lossless=True)


def decoded(data: bytes, flags: int) -> Pixels:
    """What OpenCV makes of a file by itself."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert pixels is not None
    return pixels


def sharpened(pixels: Pixels, sharpener: FakeSharpener, strength: float = 1.0) -> Pixels:
    return stills.sharpen(still_of(pixels), sharpener, strength).pixels


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        stills.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def wavy(luma: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Changes between -20 and 20 that differ from pixel to pixel."""
    return np.arange(luma.size).reshape(luma.shape) % 41 - 20


def ycbcr(pixels: Pixels) -> NDArray[np.float64]:
    """BT.601 full range from BGR, in floating point, chroma around 0."""
    blue, green, red = np.moveaxis(pixels[..., :3].astype(np.float64), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([luma, (blue - luma) / 1.772, (red - luma) / 1.402], -1)


@pytest.mark.parametrize(("channels", "dtype"), EVERY_LAYOUT)
def test_a_lossless_picture_is_read_and_written_unchanged(
    channels: int, dtype: type, tmp_path: Path
) -> None:
    pixels = scene(33, 47, channels, dtype)
    still = stills.read(saved(tmp_path, file_of("png", pixels)))
    assert np.array_equal(still.pixels, pixels)
    again = stills.read(saved(tmp_path, stills.encode(still, "png")))
    assert np.array_equal(again.pixels, pixels)
    assert again.pixels.dtype == dtype


@pytest.mark.parametrize(("channels", "dtype"), EVERY_LAYOUT)
def test_strength_0_keeps_every_sample(channels: int, dtype: type) -> None:
    pixels = scene(300, 20, channels, dtype)
    result = sharpened(pixels, FakeSharpener(wavy), strength=0)
    assert result.dtype == dtype
    assert np.array_equal(result, pixels)


@pytest.mark.parametrize(("channels", "dtype"), EVERY_LAYOUT)
def test_sharpening_replaces_luma_and_holds_chroma(channels: int, dtype: type) -> None:
    pixels = scene(300, 40, channels, dtype)
    unit = np.iinfo(dtype).max / 255
    result = sharpened(pixels, FakeSharpener(wavy))
    colour = np.dstack([pixels] * 3) if channels == 1 else pixels[..., :3]
    result_colour = np.dstack([result] * 3) if channels == 1 else result[..., :3]
    expected = ycbcr(colour)
    expected[..., 0] += unit * wavy(colour[..., 0])
    assert np.abs(ycbcr(result_colour) - expected).max() <= 0.01 * unit
    if channels == 4:
        assert np.array_equal(result[..., 3], pixels[..., 3])


@given(st.integers(0, 255), st.integers(-255, 255))
def test_grey_stays_grey(level: int, change: int) -> None:
    pixels = np.full((3, 3, 3), level, np.uint8)
    result = sharpened(pixels, FakeSharpener(lambda _: change))
    assert np.array_equal(result, np.full((3, 3, 3), np.clip(level + change, 0, 255)))


def test_a_grey_ramp_of_16_bits_stays_grey_and_in_order() -> None:
    ramp = np.arange(0, 65000, 13, dtype=np.uint16)
    pixels = np.dstack([ramp[None]] * 3)
    result = sharpened(pixels, FakeSharpener(lambda _: 1))
    assert (result == result[..., :1]).all()
    assert (np.diff(result[0, :, 0].astype(int)) >= 0).all()


def test_colour_bars_keep_their_hue_where_nothing_is_clipped() -> None:
    bars = np.array([[[40, 40, 200], [40, 200, 40], [200, 40, 40], [40, 200, 200]]], np.uint8)
    result = sharpened(bars, FakeSharpener(lambda _: 30))
    assert np.abs(ycbcr(result)[..., 1:] - ycbcr(bars)[..., 1:]).max() < 1e-9


def test_the_input_is_not_written_to() -> None:
    pixels = scene(8, 8)
    before = pixels.copy()
    sharpened(pixels, FakeSharpener())
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_pictures_are_turned_upright_as_opencv_would(
    kind: str, turned: int, tmp_path: Path
) -> None:
    data = with_metadata(kind, scene(24, 40), cv2.IMAGE_METADATA_EXIF, exif(turned))
    expected = decoded(data, cv2.IMREAD_COLOR)
    still = stills.read(saved(tmp_path, data))
    assert np.array_equal(still.pixels, expected)
    again = stills.read(saved(tmp_path, stills.encode(still, still.kind)))
    assert again.pixels.shape == expected.shape


def test_a_picture_with_alpha_is_turned_upright_too(tmp_path: Path) -> None:
    pixels = scene(24, 40, 4)
    data = with_metadata("png", pixels, cv2.IMAGE_METADATA_EXIF, exif(6))
    assert np.array_equal(stills.read(saved(tmp_path, data)).pixels, np.rot90(pixels, -1))


def profile_in(data: bytes) -> bytes:
    with_types = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), flags=-1)
    found = dict(zip(with_types[1], with_types[2], strict=True))
    return np.asarray(found[cv2.IMAGE_METADATA_ICCP]).tobytes()


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_the_colour_profile_is_kept(kind: Any, tmp_path: Path) -> None:
    data = with_metadata(kind, scene(24, 40), cv2.IMAGE_METADATA_ICCP, icc())
    still = stills.read(saved(tmp_path, data))
    assert profile_in(stills.encode(still, kind)) == icc()


def test_a_profile_that_cannot_be_written_is_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    still = Still(scene(8, 8), "png", lossless=True, profile=b"not a profile")
    data = stills.encode(still, "png")
    assert decoded(data, cv2.IMREAD_UNCHANGED).shape == (8, 8, 3)
    assert "profile could not be written" in caplog.text


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    for inks, bgr in [((255, 0, 0, 255), (0, 0, 255)), ((255, 255, 255, 255), (255, 255, 255))]:
        still = stills.read(saved(tmp_path, cmyk_jpeg(*inks)))
        assert still.pixels.shape == (8, 8, 3)
        assert np.abs(still.pixels.astype(int) - bgr).max() <= 2


def test_a_profile_for_other_colours_is_dropped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = with_metadata("jpg", scene(8, 8), cv2.IMAGE_METADATA_ICCP, icc(b"CMYK"))
    path = saved(tmp_path, data, "print.jpg")
    assert stills.read(path).profile == b""
    assert f"'{path}': converted to RGB without its colour profile" in caplog.text


def test_grey_jpegs_stay_grey_and_colour_keeps_its_resolution(tmp_path: Path) -> None:
    grey = stills.encode(still_of(scene(16, 16, 1)), "jpg")
    assert stills.read(saved(tmp_path, grey)).pixels.ndim == 2
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2] = (0, 0, 200)  # would blur to one colour in 4:2:0
    stripes[:, 1::2] = (200, 0, 0)
    read = stills.read(saved(tmp_path, stills.encode(still_of(stripes), "jpg"))).pixels
    assert np.abs(read.astype(int) - stripes).max() < 40


def test_a_lossless_webp_stays_lossless_and_a_lossy_one_small(tmp_path: Path) -> None:
    pixels = scene(64, 64)
    exact = stills.read(saved(tmp_path, file_of("webp", pixels, cv2.IMWRITE_WEBP_QUALITY, 101)))
    again = stills.read(saved(tmp_path, stills.encode(exact, "webp")))
    assert np.array_equal(again.pixels, pixels)
    lossy = stills.read(saved(tmp_path, file_of("webp", pixels, cv2.IMWRITE_WEBP_QUALITY, 80)))
    assert len(stills.encode(lossy, "webp")) < len(stills.encode(exact, "webp"))


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_16_bits_are_rounded_where_the_format_has_8(kind: Any, tmp_path: Path) -> None:
    deep = np.full((16, 16, 3), 100 * 257 + 100, np.uint16)
    read = stills.read(saved(tmp_path, stills.encode(still_of(deep), kind))).pixels
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - 100).max() <= 1


def test_transparency_is_not_lost_in_a_jpeg() -> None:
    with pytest.raises(ImageError, match="JPEG cannot hold its transparency"):
        stills.encode(still_of(scene(8, 8, 4)), "jpg")


def test_a_picture_too_wide_for_the_format_is_refused() -> None:
    with pytest.raises(ImageError, match="webp cannot hold a picture of 16400x1"):
        stills.encode(still_of(np.zeros((1, 16400, 3), np.uint8)), "webp")


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "bmp", "tiff"])
def test_a_truncated_picture_is_refused_in_silence(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = file_of(kind, scene(120, 160))
    for share in (0.2, 0.5, 0.9):
        text = refusal(saved(tmp_path, whole[: int(share * len(whole))]))
        assert text in ("is damaged or cut off", "the file is cut off")
    assert capfd.readouterr() == ("", "")


def test_missing_and_odd_files_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.png") == "no such file"
    assert refusal(tmp_path) == "not a file"
    assert refusal(saved(tmp_path, b"")) == "the file is empty"
    assert refusal(saved(tmp_path, b"hello")) == "not a PNG, JPEG, WebP, BMP or TIFF picture"
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "not a file"


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert refusal(saved(tmp_path, b"x")) == "cannot be read: Permission denied"


def test_a_huge_picture_is_refused_by_its_head_alone(tmp_path: Path) -> None:
    data = bytearray(file_of("png", scene(8, 8)))
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    assert refusal(saved(tmp_path, bytes(data))) == (
        "has 20000x20000 pixels; at most 200 megapixels are taken"
    )


def test_samples_of_other_kinds_are_refused(tmp_path: Path) -> None:
    data = file_of("tiff", scene(8, 8).astype(np.float32))
    assert "float32 samples in 3 channels" in refusal(saved(tmp_path, data))


def test_an_animation_is_refused(tmp_path: Path) -> None:
    data = bytearray(with_metadata("webp", scene(8, 8), cv2.IMAGE_METADATA_EXIF, exif(1)))
    assert data[12:16] == b"VP8X"
    data[20] |= 0x02
    assert "is an animation" in refusal(saved(tmp_path, bytes(data)))


def test_of_a_tiff_with_pages_the_first_is_taken_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pages.tiff"
    assert cv2.imwritemulti(str(path), [scene(8, 8), scene(9, 9)])
    assert stills.read(path).pixels.shape == (8, 8, 3)
    assert "only its first page" in caplog.text


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.png"
    stills.write_whole(path, b"first")

    def half(self: Path, data: bytes) -> int:
        with self.open("wb") as out:
            out.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(ImageError, match=r"cannot write '.*out.png': No space left on device"):
        stills.write_whole(path, b"second")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.png"]
    assert path.read_bytes() == b"first"
