"""NAFNet: names and shapes of the published file, and its block against a slow, plain version."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from vcsharp_training.recipe import read_toml
from vcsharp_training.teachers import nafnet
from vcsharp_training.teachers.settings import TeacherRecipe

from tests.plain_layers import (
    agrees,
    below,
    each,
    on_meta,
    parameters_of,
    picture,
    point,
    random,
    shapes_of,
)

from .conftest import ROOT

NAF_BLOCK = {
    "beta": (1, 32, 1, 1),
    "gamma": (1, 32, 1, 1),
    "conv1.weight": (64, 32, 1, 1),
    "conv1.bias": (64,),
    "conv2.weight": (64, 1, 3, 3),
    "conv2.bias": (64,),
    "conv3.weight": (32, 32, 1, 1),
    "conv3.bias": (32,),
    "sca.1.weight": (32, 32, 1, 1),
    "sca.1.bias": (32,),
    "conv4.weight": (64, 32, 1, 1),
    "conv4.bias": (64,),
    "conv5.weight": (32, 32, 1, 1),
    "conv5.bias": (32,),
    "norm1.weight": (32,),
    "norm1.bias": (32,),
    "norm2.weight": (32,),
    "norm2.bias": (32,),
}

NAF_OUTSIDE = {
    "intro.weight": (32, 3, 3, 3),
    "intro.bias": (32,),
    "ending.weight": (3, 32, 3, 3),
    "ending.bias": (3,),
    "downs.0.weight": (64, 32, 2, 2),
    "downs.0.bias": (64,),
    "downs.3.weight": (512, 256, 2, 2),
    "ups.0.0.weight": (1024, 512, 1, 1),
    "ups.3.0.weight": (128, 64, 1, 1),
    "encoders.3.27.conv1.weight": (512, 256, 1, 1),
    "middle_blks.0.conv1.weight": (1024, 512, 1, 1),
    "decoders.0.0.conv1.weight": (512, 256, 1, 1),
    "decoders.3.0.conv1.weight": (64, 32, 1, 1),
}


def test_nafnet_has_the_names_and_shapes_of_the_published_checkpoint() -> None:
    shapes = shapes_of(on_meta(nafnet.NAFNet))
    assert below(shapes, "encoders.0.0.") == NAF_BLOCK
    assert {name: shapes.get(name) for name in NAF_OUTSIDE} == NAF_OUTSIDE
    blocks = 31 + 1 + 4
    ends, downs, ups = 4, 4 * 2, 4
    assert len(shapes) == blocks * len(NAF_BLOCK) + ends + downs + ups


def test_nafnet_of_width_32_has_17111907_parameters() -> None:
    """17.1 million, as the paper's repository states for GoPro."""
    assert parameters_of(on_meta(nafnet.NAFNet)) == 17_111_907


def test_nafnet_block_is_what_the_paper_draws() -> None:
    block, x = random(nafnet.Block(3)), picture(3, 4, 5)

    def normal(values: np.ndarray, norm: nafnet.LayerNorm2d) -> np.ndarray:
        mean = values.mean(0)
        deviation = np.sqrt(((values - mean) ** 2).mean(0) + 1e-6)
        weight, bias = (part.detach().numpy()[:, None, None] for part in (norm.weight, norm.bias))
        return np.asarray((values - mean) / deviation * weight + bias)

    def scale(weight: Tensor) -> np.ndarray:
        return np.asarray(weight.detach().numpy()[0])

    values = x[0].numpy()
    found = point(normal(values, block.norm1), block.conv1.weight, block.conv1.bias)
    found = each(found, block.conv2.weight, block.conv2.bias)
    gated = found[:3] * found[3:]
    means = gated.mean(axis=(1, 2), keepdims=True)
    gated = gated * point(means, block.sca[1].weight, block.sca[1].bias)
    after = values + scale(block.beta) * point(gated, block.conv3.weight, block.conv3.bias)
    found = point(normal(after, block.norm2), block.conv4.weight, block.conv4.bias)
    found = point(found[:3] * found[3:], block.conv5.weight, block.conv5.bias)
    agrees(block(x)[0], after + scale(block.gamma) * found)


def test_a_fresh_nafnet_block_changes_nothing() -> None:
    x = picture(4, 4, 4)
    assert torch.equal(nafnet.Block(4)(x), x)


def test_nafnet_adds_each_level_to_its_own_skip() -> None:
    net = random(nafnet.NAFNet(nafnet.Shape(3, 4, (1, 1), 1, (1, 1))))
    x = 0.1 * picture(3, 8, 8)
    zero = net.encoders[0](net.intro(x))
    one = net.encoders[1](net.downs[0](zero))
    deep = net.middle_blks(net.downs[1](one))
    deep = net.decoders[0](nn.functional.pixel_shuffle(net.ups[0][0](deep), 2) + one)
    deep = net.decoders[1](nn.functional.pixel_shuffle(net.ups[1][0](deep), 2) + zero)
    assert torch.allclose(net(x), net.ending(deep) + x, rtol=1e-4, atol=1e-4)


def test_a_stride_makes_channels_of_squares_and_squares_of_channels() -> None:
    shape = nafnet.Shape(1, 4, (1, 1), 1, (1, 1))
    strided = random(nafnet.NAFNet(replace(shape, stride=2)))
    inner = nafnet.NAFNet(replace(shape, channels=4))
    inner.load_state_dict(strided.state_dict())
    x = 0.1 * picture(1, 16, 8)
    squares = torch.stack([x[0, 0, y::2, left::2] for y in (0, 1) for left in (0, 1)])[None]
    wanted = torch.empty_like(x)
    for place, plane in enumerate(inner(squares)[0]):
        wanted[0, 0, place // 2 :: 2, place % 2 :: 2] = plane
    assert strided.multiple == 2 * inner.multiple == 8
    assert torch.allclose(strided(x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "parameters"), [("calls", 5_491_172), ("nafnet32", 17_110_753)])
def test_recipes_of_our_own_teacher_say_what_network_they_mean(name: str, parameters: int) -> None:
    recipe = TeacherRecipe(**read_toml(ROOT / "training/recipes/teachers" / f"{name}.toml"))
    asked = recipe.network
    depths = asked.encoders, asked.middle, asked.decoders
    shape = nafnet.Shape(1, asked.width, *depths, asked.stride)
    assert parameters_of(on_meta(nafnet.NAFNet, shape)) == parameters
    assert recipe.train.patch_px % (asked.stride * 2 ** len(asked.encoders)) == 0
