"""What a virtual camera's pictures look like to the driver: asked for, granted, and told apart."""

from __future__ import annotations

from vcsharp.frame import Color, ColorMatrix, ColorRange, frame_bytes
from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.base import StreamFormat


def requested(stream: StreamFormat, pixel_format: str) -> abi.Format:
    """What to ask for, down to how the colours are to be read."""
    wanted = abi.Format(type=abi.BUF_TYPE_VIDEO_OUTPUT)
    pix, packed = wanted.fmt.pix, pixel_format == "YUYV"
    pix.width, pix.height = stream.width, stream.height
    pix.pixelformat = abi.fourcc(pixel_format)
    pix.field = abi.FIELD_NONE
    pix.bytesperline = stream.width * (2 if packed else 1)
    pix.sizeimage = (
        pix.bytesperline * stream.height if packed else frame_bytes(stream.width, stream.height)
    )
    pix.priv = abi.PRIV_MAGIC
    pix.colorspace, pix.ycbcr_enc, pix.quantization = _color_fields(stream.color)
    return wanted


def _color_fields(color: Color) -> tuple[abi.Colorspace, abi.YcbcrEncoding, abi.Quantization]:
    full = color.range is ColorRange.FULL
    quantization = abi.Quantization.FULL_RANGE if full else abi.Quantization.LIM_RANGE
    if color.matrix is ColorMatrix.BT709:
        return abi.Colorspace.REC709, abi.YcbcrEncoding.BT709, quantization
    return abi.Colorspace.SRGB, abi.YcbcrEncoding.BT601, quantization


def fits(granted: abi.PixFormat, wanted: abi.PixFormat) -> bool:
    """Whether our frames can be read as what was granted; 0.13 rounds its size up to pages."""
    return bool(
        granted.width == wanted.width
        and granted.height == wanted.height
        and granted.pixelformat == wanted.pixelformat
        and granted.sizeimage >= wanted.sizeimage
    )


def described(form: abi.Format) -> str:
    pix = form.fmt.pix
    return f"'{pix.width}x{pix.height} {abi.fourcc_name(pix.pixelformat)}'"


def option(granted: abi.Format, wanted: abi.Format) -> str:
    """The option that asks for what the device has."""
    has, asked = granted.fmt.pix, wanted.fmt.pix
    if (has.width, has.height) == (asked.width, asked.height):
        return f"--pixel-format {abi.fourcc_name(has.pixelformat)}"
    return f"--size {has.width}x{has.height}"
