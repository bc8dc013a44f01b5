"""The teachers by name: which file, where it is published, under which licence, how to build it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from torch import nn

from vcsharp_training.errors import CheckpointError, RecipeError
from vcsharp_training.teachers import foreign, loading, own
from vcsharp_training.teachers import restormer as zamir
from vcsharp_training.teachers import swinir as liang
from vcsharp_training.teachers.nafnet import NAFNet
from vcsharp_training.teachers.nafnet import Shape as NafnetShape
from vcsharp_training.teachers.smfanet import SMFANet
from vcsharp_training.teachers.srvgg import CompactSR
from vcsharp_training.teachers.teacher import Fit, Teacher
from vcsharp_training.teachers.waifu2x import Upconv7

log = logging.getLogger(__name__)

TRUTH = "truth"
"""The ground truth as the teacher; it needs no network."""


PLAIN = zamir.Shape()
"""Restormer as it is for deblurring."""


@dataclass(frozen=True)
class Entry:
    """A teacher that can be named."""

    name: str
    task: str
    """What it was trained to do."""
    file: str
    """Name of the published checkpoint."""
    kind: Callable[..., nn.Module]
    """The network's class."""
    shape: tuple[Hashable, ...]
    """What that is called with."""
    parameters: int
    """How many weights it has."""
    fit: Fit
    published: str
    """Where people get the file."""
    licence: str
    non_commercial: bool = False


def _restormer(
    name: str, task: str, file: str, parameters: int = 26_126_644, shape: zamir.Shape = PLAIN
) -> Entry:
    return Entry(
        f"restormer-{name}",
        task,
        f"{file}.pth",
        zamir.Restormer,
        (shape,),
        parameters,
        Fit(channels=shape.inputs, multiple=8),
        "GitHub swz30/Restormer, release v1.0",
        "Academic Public License, non-commercial use only",
        non_commercial=True,
    )


def _restormers() -> list[Entry]:
    bias_free = 26_111_668, zamir.Shape(bias_free=True)
    grey = 26_109_076, zamir.Shape(1, 1, bias_free=True)
    two_views = 26_132_548, zamir.Shape(inputs=6)
    entries = [
        _restormer("motion", "motion blur", "motion_deblurring"),
        _restormer("defocus", "defocus", "single_image_defocus_deblurring"),
        _restormer("dual-pixel", "defocus", "dual_pixel_defocus_deblurring", *two_views),
        _restormer("rain", "rain", "deraining"),
        _restormer("real-noise", "camera noise", "real_denoising", *bias_free),
    ]
    for level in ("blind", "sigma15", "sigma25", "sigma50"):
        short, of = level.removeprefix("sigma"), f"Gaussian noise, {level}"
        file = f"gaussian_color_denoising_{level}"
        entries.append(_restormer(f"noise-{short}", of, file, *bias_free))
        file = f"gaussian_gray_denoising_{level}"
        entries.append(_restormer(f"grey-noise-{short}", f"{of}, grey", file, *grey))
    return entries


def _swinir(name: str, task: str, file: str, parameters: int, shape: liang.Shape) -> Entry:
    return Entry(
        f"swinir-{name}",
        task,
        f"{file}.pth",
        liang.SwinIR,
        (shape,),
        parameters,
        Fit(shape.channels, shape.window_px, reduce=shape.scale, scale=shape.scale),
        "GitHub JingyunLiang/SwinIR, release v0.0",
        "Apache-2.0",
    )


ENLARGING = {2: 11_752_487, 3: 11_937_127, 4: 11_900_199, 8: 12_047_911}
"""Weights of SwinIR by its scale."""


def _swinirs() -> list[Entry]:
    noise = liang.Shape(scale=1, trained_px=128)
    jpeg = liang.Shape(scale=1, trained_px=126, window_px=7, peak=255.0)
    enlarging = [
        _swinir(
            f"x{scale}",
            f"bicubic x{scale}",
            f"001_classicalSR_DF2K_s64w8_SwinIR-M_x{scale}",
            parameters,
            liang.Shape(scale=scale),
        )
        for scale, parameters in ENLARGING.items()
    ]
    denoising = [
        _swinir(
            f"noise-{sigma}",
            f"Gaussian noise, sigma{sigma}",
            f"005_colorDN_DFWB_s128w8_SwinIR-M_noise{sigma}",
            11_504_163,
            noise,
        )
        for sigma in (15, 25, 50)
    ]
    repairing = [
        _swinir(
            f"jpeg-{quality}",
            f"JPEG, quality {quality}",
            f"006_colorCAR_DFWB_s126w7_SwinIR-M_jpeg{quality}",
            11_492_067,
            jpeg,
        )
        for quality in (10, 20, 30, 40)
    ]
    return enlarging + denoising + repairing


def _nafnet(name: str, task: str, file: str, parameters: int, shape: NafnetShape) -> Entry:
    return Entry(
        f"nafnet-{name}",
        task,
        f"{file}.pth",
        NAFNet,
        (shape,),
        parameters,
        Fit(multiple=16),
        "GitHub megvii-research/NAFNet, readme, pre-trained models",
        "MIT",
    )


SIDD = NafnetShape(encoders=(2, 2, 4, 8), middle=12, decoders=(2, 2, 2, 2))


def _halves() -> list[Entry]:
    """Networks that are fed the picture at half its size."""
    compact, half = "GitHub xinntao/Real-ESRGAN, release v0.2.5.0", Fit(reduce=2, scale=4)
    return [
        Entry(
            f"realesr-general{kind}",
            task,
            f"realesr-general{kind}-x4v3.pth",
            CompactSR,
            (),
            1_213_296,
            half,
            compact,
            "BSD-3-Clause",
        )
        for kind, task in (("", "blind x4"), ("-wdn", "blind x4, less noise"))
    ] + [
        Entry(
            "waifu2x-photo",
            "x2, noise and JPEG level 3",
            "noise3_scale2.0x.pth",
            Upconv7,
            (),
            552_483,
            Fit(reduce=2, scale=2),
            "GitHub nihui/waifu2x-ncnn-vulkan, models-upconv_7_photo, turned into a state dict",
            "MIT",
        ),
        Entry(
            "smfanet-x2",
            "bicubic x2",
            "SMFANet_plus_DF2K_100w_x2SR.pth",
            SMFANet,
            (),
            480_300,
            Fit(multiple=8, reduce=2, scale=2),
            "GitHub Zheng-MJ/SMFANet, folder pretrain",
            "Apache-2.0",
        ),
    ]


OWN = Entry(
    own.NAME,
    "the bank's degradations",
    own.FILE,
    NAFNet,
    (),
    17_111_907,
    Fit(multiple=16),
    "nowhere: 'vcsharp-train teacher train RECIPE' makes it",
    "GPL-2.0-or-later",
)

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        *_restormers(),
        *_swinirs(),
        _nafnet("gopro", "motion blur", "NAFNet-GoPro-width32", 17_111_907, NafnetShape()),
        _nafnet("sidd", "camera noise", "NAFNet-SIDD-width32", 29_159_715, SIDD),
        *_halves(),
        OWN,
    )
}


def entry_of(name: str) -> Entry:
    """The entry of a name. Raises RecipeError for one that is not known."""
    if name not in ENTRIES:
        near = get_close_matches(name, ENTRIES, 1)
        raise RecipeError(
            f"no teacher '{name}'{f', but {near[0]!r}' if near else ''}; "
            "'vcsharp-train teacher list' prints their names"
        )
    return ENTRIES[name]


def path_of(name: str, folder: Path) -> Path:
    """The checkpoint of a teacher in `folder` or below it. Raises CheckpointError if missing."""
    entry = entry_of(name)
    path = loading.find(folder, entry.file)
    if path is None:
        raise CheckpointError(
            f"no checkpoint '{entry.file}' of teacher '{name}' in '{folder}': "
            f"it is published at {entry.published} ({entry.licence}); put it into that folder"
        )
    return path


def load(name: str, folder: Path) -> Teacher:
    """A teacher by its name, ready to use on the CPU; weights for study only are said to be so.

    Args:
        name: one of `ENTRIES`, or the path of a checkpoint that spandrel knows.
        folder: where checkpoints lie, or below it.

    Raises:
        RecipeError: there is no such teacher.
        CheckpointError: its checkpoint is missing, damaged or of another network.
    """
    if foreign.is_checkpoint(name):
        return foreign.load(name)
    entry, path = entry_of(name), path_of(name, folder)
    if entry.non_commercial:
        log.warning("teacher '%s': %s (%s)", name, entry.licence, entry.published)
    if name == own.NAME:
        return own.load(path)
    net = entry.kind(*entry.shape)
    loading.fill(net, loading.weights(path), path, f"'{name}'")
    return Teacher(name, net, entry.fit)
