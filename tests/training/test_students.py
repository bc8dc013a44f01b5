"""The reference projects' students and ours on RGB: sizes, shapes, what they are made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from vcsharp_training import students
from vcsharp_training.errors import RecipeError
from vcsharp_training.students import ours
from vcsharp_training.students.unet import Squeeze

NARROW = {"unet_se": {"base_channels": 4, "reduction": 1}, "residual_unet": {"base_channels": 12}}


@pytest.mark.parametrize(
    ("kind", "settings", "parameters"),
    [
        ("light", {}, 20_259),
        ("unet_se", {}, 25_460_189),
        ("unet_se", {"base_channels": 58, "depth": 4}, 25_668_125),
        ("unet_se", {"base_channels": 256, "depth": 4}, 499_907_043),
        ("residual_unet", {}, 2_925_315),
        ("cnn_v3", {}, 298_755),
        ("shallow", {}, 114_307),
        ("shallow", {"batch_norm": True}, 114_307 + 4 * 128),
    ],
)
def test_reference_students_have_the_stated_number_of_parameters(kind, settings, parameters):
    with torch.device("meta"):
        assert students.parameters(students.build(kind, **settings)) == parameters


@pytest.mark.parametrize("kind", students.KINDS)
def test_a_picture_comes_out_at_its_size_and_every_weight_learns(kind):
    torch.manual_seed(0)
    student = students.build(kind, **NARROW.get(kind, {}))
    side = (37, 45) if kind not in ("plain", "chroma420") else (36, 48)
    rgb = torch.rand(2, 3, *side)
    output, maps = student.features(rgb)
    assert output.shape == rgb.shape
    assert torch.equal(student(rgb), output)
    assert {name: m.shape[1] for name, m in maps.items()} == student.widths
    (output * torch.randn_like(output)).sum().backward()
    weights = [weight for weight in student.parameters() if weight.ndim > 1]
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)


def test_levels_of_the_squeezed_unet_halve_as_those_of_its_teacher_do():
    student = students.build("unet_se", base_channels=4)
    _, maps = student.features(torch.rand(1, 3, 32, 64))
    assert [*maps] == ["encoder1", "encoder2", "encoder3", "latent"]
    assert [m.shape[-1] for m in maps.values()] == [64, 32, 16, 8]


def test_squeeze_and_excitation_scales_each_channel_by_what_all_means_say():
    torch.manual_seed(1)
    layer, x = Squeeze(32, 16), torch.randn(2, 32, 5, 7)
    for picture, got in zip(x, layer(x), strict=True):
        means = picture.flatten(1).mean(1)
        hidden = (layer.down.weight @ means + layer.down.bias).clamp_min(0)
        share = 1 / (1 + torch.exp(-(layer.up.weight @ hidden + layer.up.bias)))
        assert torch.allclose(got, picture * share[:, None, None], atol=1e-6)


def test_cnn_v3_is_the_chain_of_the_report():
    torch.manual_seed(2)
    student: Any = students.build("cnn_v3")
    rgb = torch.rand(1, 3, 20, 20)
    shapes = [tuple(c.weight.shape[:2]) for c in student.modules() if isinstance(c, nn.Conv2d)]
    assert shapes == [(64, 3), (128, 64), (128, 128), (64, 128), (3, 64)]
    x = rgb
    for layer in (student.stem, student.widen):
        x = functional.conv2d(x, layer.weight, layer.bias, padding=1).relu()
    dilated = student.dilated
    x = x + functional.conv2d(x, dilated.weight, dilated.bias, padding=2, dilation=2).relu()
    x = functional.conv2d(x, student.narrow.weight, student.narrow.bias, padding=1).relu()
    x = functional.conv2d(x, student.head.weight, student.head.bias, padding=1)
    assert torch.allclose(student(rgb), 1 / (1 + torch.exp(-x)), atol=1e-6)


@pytest.mark.parametrize("channels", [(24, 8, 16), (24, 8, 24)])
def test_a_420_student_reads_chroma_and_grey_stays_grey_unless_it_may_change(channels):
    torch.manual_seed(3)
    student: Any = students.build("chroma420", channels=channels)
    luma, chroma = torch.rand(1, 1, 16, 16), torch.rand(1, 2, 8, 8)
    change, colour = student.residual(luma, chroma)
    assert change.shape == luma.shape
    assert (colour is None) == (channels[-1] == 16)
    assert not torch.equal(change, student.residual(luma, 1 - chroma)[0])
    grey = torch.rand(1, 1, 16, 16).expand(-1, 3, -1, -1)
    spread = student(grey).std(dim=1).max()
    assert (spread < 1e-6) == (channels[-1] == 16)


def test_planes_and_back_are_exact_where_chroma_is_smooth():
    rgb = torch.rand(1, 3, 1, 1).expand(-1, -1, 8, 8) * torch.ones(1, 1, 8, 8)
    luma, chroma = ours.to_planes(rgb)
    back = ours.to_rgb_change(luma, chroma - 0.5)
    assert torch.allclose(back, rgb, atol=1e-6)


def test_what_is_no_student_is_named():
    with pytest.raises(RecipeError, match=r"no student 'unet'; there are light, unet_se"):
        students.build("unet")
    with pytest.raises(RecipeError, match=r"student 'plain': channels must begin"):
        students.build("plain", channels=(4, 4))
