"""The page beside a card, for people."""

from __future__ import annotations

from vcsharp.catalogue import Card
from vcsharp_training import evaluate, metrics, report

_TEMPLATE = """\
# {card.name} {card.version}

{summary}

| | |
|---|---|
| network | 3x3 convolutions {widths}, ReLU, on luma unshuffled by {card.architecture.stride} |
| parameters | {card.params:,} |
| cost | {card.mac_per_px:,} multiply-accumulates per pixel |
| receptive field | {card.receptive_field_px} px |
| halo of a tile | {card.halo_px} px; sides are multiples of {card.multiple_of} px |
| teacher | {card.teacher} |
| training data | {card.data} |
| plain greys | change by at most {flat} of 255 levels in the int8 file |
| clean pictures | {card.clean_psnr_db:.2f} dB to the input (equal planes count {cap:.0f} dB) |
| licence | {card.licence}, weights included |

| file | bytes | what for |
|---|---|---|
{files}

All take luma bytes `y` (1 x 1 x H x W) and `strength` (0 returns the input, 1 as trained) and
return `out`; the int8 and the fp32 file have the same signature.

## Measured

Means over {images} held-out pictures that took no part in training, centre-cut to at most {width} x
{height}, limited-range luma, PSNR in dB and SSIM (scikit-image's definition). `cas 0` and `cas 1`
are AMD CAS at its least and most sharpness, `unsharp` has sigma 1 and amount 1. For `clean`, the
truth is the input.

{profiles}

Gain of the int8 file over the input by kind of picture:

{categories}

- `half`: half size by area, back up bicubic. `soft`: Gaussian blur 0.9-2.0 px, noise 1.5 levels.
- `mjpeg`: two thirds of the size, noise 3, JPEG quality 55-80, up bilinear.
- `call`: a third of the size, panned slowly, real low-delay x264 at 400 kb/s per 640 x 360, up
  bilinear.

## Repeat

    vcsharp-train run {card.recipe} --data FOLDER --dev FOLDER

cuts the crops, trains, quantises, exports and measures. The result repeats bit for bit on the same
CPU and library versions with one thread. This page and `card.json` are written by that command.
"""

_PURPOSE = {
    "int8": "the CPU backend; integer arithmetic, 7-bit weights",
    "fp32": "any onnxruntime provider; float arithmetic inside",
    "torch": "the torch backend; state of `vcsharp.nets.plain.PlainStudent`",
}


def text(card: Card, found: evaluate.Report, flat: int) -> str:
    """The page, as Markdown."""
    int8 = f"{card.name} int8"
    files = [
        f"| `{file.name}` | {file.bytes:,} | {_PURPOSE[kind]} |"
        for kind, file in card.files.items()
    ]
    return _TEMPLATE.format(
        card=card,
        summary=card.summary[:1].upper() + card.summary[1:] + ".",
        widths="-".join(map(str, card.architecture.channels)),
        flat=flat,
        cap=metrics.PSNR_CAP_DB,
        files="\n".join(files),
        images=max(score.images for score in found.values()),
        width=evaluate.MAX_WIDTH,
        height=evaluate.MAX_HEIGHT,
        profiles=report.profile_table(found),
        categories=report.category_table(found, int8),
    )
