"""Restormer: names and shapes of the published file; its blocks against slow, plain ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from vcsharp_training.teachers import restormer

from tests.plain_layers import (
    agrees,
    below,
    each,
    gelu,
    on_meta,
    parameters_of,
    picture,
    point,
    random,
    shapes_of,
    softmax,
)

RESTORMER_BLOCK = {
    "norm1.body.weight": (48,),
    "norm1.body.bias": (48,),
    "attn.temperature": (1, 1, 1),
    "attn.qkv.weight": (144, 48, 1, 1),
    "attn.qkv_dwconv.weight": (144, 1, 3, 3),
    "attn.project_out.weight": (48, 48, 1, 1),
    "norm2.body.weight": (48,),
    "norm2.body.bias": (48,),
    "ffn.project_in.weight": (254, 48, 1, 1),  # 2 x int(48 x 2.66)
    "ffn.dwconv.weight": (254, 1, 3, 3),
    "ffn.project_out.weight": (48, 127, 1, 1),
}

RESTORMER_OUTSIDE = {
    "patch_embed.proj.weight": (48, 3, 3, 3),
    "down1_2.body.0.weight": (24, 48, 3, 3),
    "down2_3.body.0.weight": (48, 96, 3, 3),
    "down3_4.body.0.weight": (96, 192, 3, 3),
    "up4_3.body.0.weight": (768, 384, 3, 3),
    "up3_2.body.0.weight": (384, 192, 3, 3),
    "up2_1.body.0.weight": (192, 96, 3, 3),
    "reduce_chan_level3.weight": (192, 384, 1, 1),
    "reduce_chan_level2.weight": (96, 192, 1, 1),
    "output.weight": (3, 96, 3, 3),
}

RESTORMER_STAGES = {
    "encoder_level1": (4, 48, 1),
    "encoder_level2": (6, 96, 2),
    "encoder_level3": (6, 192, 4),
    "latent": (8, 384, 8),
    "decoder_level3": (6, 192, 4),
    "decoder_level2": (6, 96, 2),
    "decoder_level1": (4, 96, 1),
    "refinement": (4, 96, 1),
}


def test_restormer_has_the_names_and_shapes_of_the_published_checkpoint() -> None:
    shapes = shapes_of(on_meta(restormer.Restormer))
    assert below(shapes, "encoder_level1.3.") == RESTORMER_BLOCK
    stages = {name for name in shapes if name.split(".")[0] in RESTORMER_STAGES}
    assert {name: shapes[name] for name in shapes.keys() - stages} == RESTORMER_OUTSIDE
    for stage, (blocks, channels, heads) in RESTORMER_STAGES.items():
        numbers = {name.split(".")[1] for name in stages if name.startswith(stage + ".")}
        assert numbers == {str(index) for index in range(blocks)}
        assert shapes[f"{stage}.0.attn.qkv.weight"] == (3 * channels, channels, 1, 1)
        assert shapes[f"{stage}.0.attn.temperature"] == (heads, 1, 1)
        hidden = int(channels * 2.66)
        assert shapes[f"{stage}.0.ffn.project_out.weight"] == (channels, hidden, 1, 1)
    assert len(shapes) == 44 * len(RESTORMER_BLOCK) + len(RESTORMER_OUTSIDE)


def test_restormer_has_26126644_parameters() -> None:
    assert parameters_of(on_meta(restormer.Restormer)) == 26_126_644


def test_restormer_for_denoising_has_no_bias_in_its_normalisation() -> None:
    plain = shapes_of(on_meta(restormer.Restormer))
    bias_free = shapes_of(on_meta(restormer.Restormer, restormer.Shape(bias_free=True)))
    gone = {name for name in plain if name.endswith("body.bias")}
    assert plain.keys() - bias_free.keys() == gone
    assert len(gone) == 2 * 44


def test_restormer_for_dual_pixels_adds_its_first_map_instead_of_its_input() -> None:
    shapes = shapes_of(on_meta(restormer.Restormer, restormer.Shape(inputs=6)))
    assert shapes["patch_embed.proj.weight"] == (48, 6, 3, 3)
    assert shapes["skip_conv.weight"] == (96, 48, 1, 1)
    small = restormer.Shape(6, 3, 8, (1, 1, 1, 1), 1)
    net = restormer.Restormer(small)
    nn.init.zeros_(net.output.weight)
    assert net(picture(6, 8, 8)).abs().max() == 0


def test_restormer_for_grey_pictures_has_one_channel() -> None:
    shapes = shapes_of(on_meta(restormer.Restormer, restormer.Shape(1, 1, bias_free=True)))
    assert shapes["patch_embed.proj.weight"] == (48, 1, 3, 3)
    assert shapes["output.weight"] == (1, 96, 3, 3)


@pytest.mark.parametrize("bias", [True, False])
def test_channel_norm_is_that_of_each_pixel(bias: bool) -> None:
    norm, x = random(restormer.ChannelNorm(5, bias=bias)), picture(5, 2, 3)
    weight = norm.weight.detach().numpy()
    slow = np.zeros((1, 5, 2, 3))
    for y, column in np.ndindex(2, 3):
        pixel = x[0, :, y, column].numpy()
        deviation = math.sqrt(float(np.mean((pixel - pixel.mean()) ** 2)) + 1e-5)
        if bias:
            shift = norm.bias.detach().numpy()
            slow[0, :, y, column] = (pixel - pixel.mean()) / deviation * weight + shift
        else:
            slow[0, :, y, column] = pixel / deviation * weight
    agrees(norm(x), slow)


def test_channel_attention_weighs_channels_by_their_correlation() -> None:
    attention, x = random(restormer.ChannelAttention(6, heads=2)), picture(6, 3, 4)
    found = each(point(x[0].numpy(), attention.qkv.weight), attention.qkv_dwconv.weight)
    query, key, value = (found[start : start + 6].reshape(6, -1) for start in (0, 6, 12))
    mixed = np.zeros((6, 12))
    for head in range(2):
        for mine in range(3 * head, 3 * head + 3):
            scores = []
            for other in range(3 * head, 3 * head + 3):
                lengths = np.linalg.norm(query[mine]) * np.linalg.norm(key[other])
                scores.append(query[mine] @ key[other] / lengths)
            temperature = attention.temperature[head, 0, 0].item()
            shares = softmax(np.array(scores) * temperature)
            mixed[mine] = shares @ value[3 * head : 3 * head + 3]
    agrees(attention(x)[0], point(mixed.reshape(6, 3, 4), attention.project_out.weight))


def test_gated_feed_forward_gates_one_half_with_the_other() -> None:
    part, x = random(restormer.GatedFeedForward(4, 2.66)), picture(4, 3, 3)
    hidden = each(point(x[0].numpy(), part.project_in.weight), part.dwconv.weight)
    assert hidden.shape[0] == 20
    gated = np.vectorize(gelu)(hidden[:10]) * hidden[10:]
    agrees(part(x)[0], point(gated, part.project_out.weight))


def test_restormer_block_adds_both_parts_to_what_comes_in() -> None:
    block, x = random(restormer.Block(4, 2, 2.66, bias_free=False)), picture(4, 4, 4)
    after = x + block.attn(block.norm1(x))
    assert torch.allclose(block(x), after + block.ffn(block.norm2(after)))


def test_restormer_joins_each_level_to_its_own_skip() -> None:
    """Follows the paper's figure 2 with the modules in the test's own order."""
    net = random(restormer.Restormer(restormer.Shape(3, 3, 4, (1, 1, 1, 1), 1, (1, 1, 1, 1))))
    x = 0.1 * picture(3, 16, 16)
    skips, deep = [], net.patch_embed.proj(x)
    for level, down in ((1, net.down1_2), (2, net.down2_3), (3, net.down3_4)):
        deep = net.get_submodule(f"encoder_level{level}")(deep)
        skips.append(deep)
        deep = nn.functional.pixel_unshuffle(down.body[0](deep), 2)
    deep = net.latent(deep)
    for level, up in ((3, net.up4_3), (2, net.up3_2), (1, net.up2_1)):
        deep = nn.functional.pixel_shuffle(up.body[0](deep), 2)
        deep = torch.cat([deep, skips.pop()], 1)
        if level > 1:
            deep = net.get_submodule(f"reduce_chan_level{level}")(deep)
        deep = net.get_submodule(f"decoder_level{level}")(deep)
    wanted = net.output(net.refinement(deep)) + x
    assert torch.allclose(net(x), wanted, rtol=1e-4, atol=1e-4)
