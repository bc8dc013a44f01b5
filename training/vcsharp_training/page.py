"""The page beside a card, for people."""

from __future__ import annotations

from vcsharp.catalogue import Card
from vcsharp_training import checks, classic, evaluate, metrics, report
from vcsharp_training.findings import Findings

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
{experts}| plain greys | change by at most {flat} of 255 levels in the int8 file |
| clean pictures | {card.clean_psnr_db:.2f} dB to the input (equal planes count {cap:.0f} dB) |
| int8 against fp32 | at most {card.int8_loss_db:.3f} dB lost in any profile |
| licence | {card.licence}, weights included |

| file | bytes | what for |
|---|---|---|
{files}

{chosen}All take luma bytes `y` (1 x 1 x H x W) and `strength` (0 returns the input, 1 as trained)
and return `out`; the int8 and the fp32 file have the same signature.

## Measured

Means over {images} held-out pictures that took no part in training, centre-cut to at most {width} x
{height}, through the runtime's engine in tiles of at most 512 px. Limited-range luma, PSNR in dB
and SSIM (scikit-image's definition). `cas 0` and `cas 1` are AMD CAS at its least and most
sharpness, `unsharp` has sigma 1 and amount 1. For `clean`, the truth is the input.

{profiles}

Gain over the input:

{gains}

{looks}

LPIPS is version 0.1 on AlexNet, of the middle 512 px of luma; lower is more alike. Sharpness is the
mean absolute Laplacian relative to the truth's; noise counts as well.

Gain of the int8 file over the input by kind of picture:

{categories}

- `half`: half size by area, back up bicubic. `soft`: Gaussian blur 0.9-2.0 px, noise 1.5 levels.
- `mjpeg`: two thirds of the size, noise 3, JPEG quality 55-80, up bilinear.
- `call`: a third of the size, panned slowly, real low-delay x264 at 400 kb/s per 640 x 360, up
  bilinear.

Where there is nothing to restore:

{probes}

Flicker: change between frames of a still scene with sensor noise and a real codec, relative to the
input's; of models as `vcsharp run` shows a stream, steadied by one level. Overshoot: halo at a soft
edge, as a share of the step. Grain: deviation on noisy plain greys, relative to the input's.

What is asked of a model (`docs/evaluation.md`), and where it falls short:

{demands}
{more}
## Repeat

    vcsharp-train run {card.recipe} --data FOLDER --dev FOLDER

cuts the crops, trains, quantises, exports and measures; what else it wants, the first lines of the
recipe say. The result repeats bit for bit on the same
CPU and library versions with one thread. This page and `card.json` are written by that command.
"""

_EXPERTS = "| experts | the same network with other weights, for {kinds} |\n"

_CHOSEN = """\
`model.*` is the general student. For a whole picture the gate, a small classifier that looks at the
spectrum, chooses an expert or the student, whichever is expected to gain the most; the figures
below are those of the whole, with nothing told of how a picture was spoilt.

"""

_COLOUR = """
### In colour

The same profiles on coloured pictures, chroma degraded as well and left as it is:

{table}
"""

_CLASSICS = """
### Set5 and Set14

Bicubic down and up again, then this filter, which is told neither; Y-PSNR in dB, borders of the
scale left out. The networks below it are published ones, trained for just this (all but VDSR for
one scale only), as papers report them: neighbours in cost, not rivals in the same task.

{table}
"""

_SPEED = """
### Speed

{table}

Luma through the whole engine, memory to memory, after a warm-up; {threads} thread(s) of
{machine}.
"""

_PURPOSE = {
    "int8": "the CPU backend; integer arithmetic, 7-bit weights",
    "fp32": "any onnxruntime provider; float arithmetic inside",
    "torch": "the torch backend; state of `vcsharp.nets.plain.PlainStudent`",
}
_GATE = "chooses between the student and its experts; `vcsharp.engine.gate`"


def _colour(found: Findings) -> str:
    if not report.has_rgb(found.scores):
        return ""
    return _COLOUR.format(table=report.rgb_table(found.scores))


def _classics(card: Card, found: Findings) -> str:
    if not found.classics:
        return ""
    places = list(found.classics)
    int8 = f"{card.name} int8"
    own = [
        [title, cost, *(f"{found.classics[place][name]:.2f}" for place in places)]
        for title, cost, name in (
            ("input (bicubic)", "", "input"),
            ("unsharp", "", "unsharp"),
            (int8, f"{card.mac_per_px:,}", int8),
        )
    ]
    published = [
        [row.name, f"{row.mac_per_px:,}" if row.mac_per_px else "", *_psnr(row, places)]
        for row in classic.PUBLISHED
    ]
    return _CLASSICS.format(table=report.table(["", "MAC/px", *places], own + published))


def _psnr(row: classic.Published, places: list[str]) -> list[str]:
    return [f"{row.psnr_db[place]:.2f}" if place in row.psnr_db else "" for place in places]


def _speed(found: Findings) -> str:
    if not found.costs:
        return ""
    first = next(iter(found.costs.values()))
    return _SPEED.format(
        table=report.cost_table(found.costs), threads=first.threads, machine=first.machine
    )


def _demands(name: str, found: Findings) -> str:
    return "\n".join(f"- {line}" for line in checks.lines(found.scores, name, found.probes))


def _files(card: Card) -> str:
    """All files that the card names, with what they are for."""
    rows = [(file, _PURPOSE[kind]) for kind, file in card.files.items()]
    for name, files in card.experts.items():
        rows += [(file, f"the expert for `{name}`, as above") for file in files.values()]
    rows += [(card.gate, _GATE)] if card.gate else []
    return "\n".join(f"| `{file.name}` | {file.bytes:,} | {purpose} |" for file, purpose in rows)


def text(card: Card, found: Findings, flat: int) -> str:
    """The page, as Markdown."""
    int8, scores = f"{card.name} int8", found.scores
    kinds = ", ".join(f"`{kind}`" for kind in card.experts)
    return _TEMPLATE.format(
        card=card,
        summary=card.summary[:1].upper() + card.summary[1:] + ".",
        widths="-".join(map(str, card.architecture.channels)),
        flat=flat,
        cap=metrics.PSNR_CAP_DB,
        files=_files(card),
        experts=_EXPERTS.format(kinds=kinds) if kinds else "",
        chosen=_CHOSEN if kinds else "",
        images=max(score.images for score in scores.values()),
        width=evaluate.MAX_WIDTH,
        height=evaluate.MAX_HEIGHT,
        profiles=report.profile_table(scores),
        gains=report.gain_table(scores),
        looks=report.look_table(scores),
        categories=report.category_table(scores, int8),
        probes=report.probe_table(found.probes),
        demands=_demands(int8, found),
        more=_colour(found) + _classics(card, found) + _speed(found),
    )
