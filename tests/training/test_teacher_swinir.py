"""SwinIR: names and shapes of the published files, and its windows against a slow, plain one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from vcsharp_training.teachers import swinir

from tests.plain_layers import (
    agrees,
    below,
    on_meta,
    parameters_of,
    picture,
    random,
    shapes_of,
    softmax,
)

SWINIR_BLOCK = {
    "norm1.weight": (180,),
    "norm1.bias": (180,),
    "attn.relative_position_bias_table": (225, 6),
    "attn.relative_position_index": (64, 64),
    "attn.qkv.weight": (540, 180),
    "attn.qkv.bias": (540,),
    "attn.proj.weight": (180, 180),
    "attn.proj.bias": (180,),
    "norm2.weight": (180,),
    "norm2.bias": (180,),
    "mlp.fc1.weight": (360, 180),
    "mlp.fc1.bias": (360,),
    "mlp.fc2.weight": (180, 360),
    "mlp.fc2.bias": (180,),
}

SWINIR_OUTSIDE = {
    "conv_first.weight": (180, 3, 3, 3),
    "conv_first.bias": (180,),
    "patch_embed.norm.weight": (180,),
    "patch_embed.norm.bias": (180,),
    "norm.weight": (180,),
    "norm.bias": (180,),
    "conv_after_body.weight": (180, 180, 3, 3),
    "conv_after_body.bias": (180,),
}

SWINIR_X4 = {
    "conv_before_upsample.0.weight": (64, 180, 3, 3),
    "conv_before_upsample.0.bias": (64,),
    "upsample.0.weight": (256, 64, 3, 3),
    "upsample.0.bias": (256,),
    "upsample.2.weight": (256, 64, 3, 3),
    "upsample.2.bias": (256,),
    "conv_last.weight": (3, 64, 3, 3),
    "conv_last.bias": (3,),
}


def test_swinir_has_the_names_and_shapes_of_the_published_x4_checkpoint() -> None:
    shapes = shapes_of(on_meta(swinir.SwinIR))
    outside = {name: shape for name, shape in shapes.items() if not name.startswith("layers.")}
    assert outside == SWINIR_OUTSIDE | SWINIR_X4
    for group in range(6):
        inside = below(shapes, f"layers.{group}.")
        assert inside["conv.weight"] == (180, 180, 3, 3)
        for index in range(6):
            mask = {"attn_mask": (64, 64, 64)} if index % 2 else {}
            block = below(inside, f"residual_group.blocks.{index}.")
            assert block == SWINIR_BLOCK | mask
    assert len(shapes) == len(outside) + 6 * (6 * len(SWINIR_BLOCK) + 3 + 2)


def test_swinir_x4_has_11900199_parameters() -> None:
    assert parameters_of(on_meta(swinir.SwinIR)) == 11_900_199


@pytest.mark.parametrize(
    ("trained_px", "window_px", "mask"), [(128, 8, (256, 64, 64)), (126, 7, (324, 49, 49))]
)
def test_swinir_for_denoising_and_jpeg_has_no_upsampler(
    trained_px: int, window_px: int, mask: tuple[int, ...]
) -> None:
    shape = swinir.Shape(scale=1, trained_px=trained_px, window_px=window_px)
    shapes = shapes_of(on_meta(swinir.SwinIR, shape))
    last = {"conv_last.weight": (3, 180, 3, 3), "conv_last.bias": (3,)}
    outside = {name: shape for name, shape in shapes.items() if not name.startswith("layers.")}
    assert outside == SWINIR_OUTSIDE | last
    assert shapes["layers.0.residual_group.blocks.1.attn_mask"] == mask


def test_windows_are_cut_row_by_row_and_put_back() -> None:
    tokens = torch.arange(4 * 6).reshape(1, 4, 6, 1)
    cut = swinir.windows(tokens, 2)
    assert cut[:, :, 0].tolist()[:4] == [
        [0, 1, 6, 7],
        [2, 3, 8, 9],
        [4, 5, 10, 11],
        [12, 13, 18, 19],
    ]
    assert torch.equal(swinir.from_windows(cut, 2, 4, 6), tokens)


def test_position_index_counts_offsets_row_by_row() -> None:
    index, side = swinir.position_index(3), 3
    for mine, other in np.ndindex(9, 9):
        down = mine // side - other // side + side - 1
        right = mine % side - other % side + side - 1
        assert index[mine, other] == down * 5 + right


def _slow_layer_attention(layer: swinir.Layer, tokens: np.ndarray) -> np.ndarray:
    """Each pixel looks at every pixel of its window in the picture moved by the shift, unless the
    two lay at opposite borders of the picture; no roll, no mask, no windows.
    """
    attn, side, shift = layer.attn, layer.side, layer.shift
    height, width, channels = tokens.shape
    qkv = tokens @ attn.qkv.weight.detach().numpy().T + attn.qkv.bias.detach().numpy()
    query, key, value = np.split(qkv, 3, axis=-1)
    table = attn.relative_position_bias_table.detach().numpy()
    size = channels // attn.heads
    out = np.zeros_like(tokens)
    for y, x in np.ndindex(height, width):
        moved_y, moved_x = (y - shift) % height, (x - shift) % width
        top, left = moved_y // side * side, moved_x // side * side
        seen = []
        for row, column in np.ndindex(side, side):
            at_y, at_x = (top + row + shift) % height, (left + column + shift) % width
            same_y = (at_y < shift) == (y < shift) or top + side < height
            same_x = (at_x < shift) == (x < shift) or left + side < width
            if same_y and same_x:
                offset = (moved_y - top - row + side - 1) * (2 * side - 1)
                seen.append((at_y, at_x, offset + moved_x - left - column + side - 1))
        for head in range(attn.heads):
            part = slice(head * size, (head + 1) * size)
            scores = [
                query[y, x, part] @ key[at_y, at_x, part] / math.sqrt(size) + table[bias, head]
                for at_y, at_x, bias in seen
            ]
            shares = softmax(np.array(scores))
            out[y, x, part] = shares @ np.stack([value[a, b, part] for a, b, _ in seen])
    weight, bias = attn.proj.weight.detach().numpy(), attn.proj.bias.detach().numpy()
    return np.asarray(out @ weight.T + bias)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("height", [8, 12])  # of the stored mask, and another
def test_window_attention_looks_within_shifted_windows(shifted: bool, height: int) -> None:
    shape = swinir.Shape(width=6, window_px=4, trained_px=8)
    layer = random(swinir.Layer(shape, heads=2, shifted=shifted))
    assert isinstance(layer, swinir.Layer)
    tokens = swinir.to_tokens(picture(6, height, 8))
    normal = layer.norm1(tokens)
    attended = (
        tokens
        + torch.from_numpy(
            _slow_layer_attention(layer, normal[0].detach().double().numpy())
        ).float()
    )
    wanted = attended + layer.mlp(layer.norm2(attended))
    agrees(layer(tokens)[0], wanted[0].detach().numpy())


def test_swinir_adds_each_group_to_what_comes_in_and_undoes_the_mean() -> None:
    shape = swinir.Shape(3, 1, 6, (2,), (2,), 4, 8, peak=255.0)
    net, x = random(swinir.SwinIR(shape)), torch.rand(1, 3, 8, 8)
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).reshape(1, 3, 1, 1)
    levels = 255 * (x - mean)
    shallow = net.conv_first(levels)
    tokens = net.patch_embed.norm(shallow.permute(0, 2, 3, 1))
    group = net.layers[0]
    inner = group.residual_group.blocks[1](group.residual_group.blocks[0](tokens))
    tokens = tokens + group.conv(inner.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    deep = shallow + net.conv_after_body(net.norm(tokens).permute(0, 3, 1, 2))
    wanted = (levels + net.conv_last(deep)) / 255 + mean
    assert torch.allclose(net(x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_swinir_enlarges_by_its_scale(scale: int) -> None:
    net = swinir.SwinIR(swinir.Shape(3, scale, 6, (1,), (2,), 4, 8))
    assert net(torch.rand(1, 3, 8, 12)).shape == (1, 3, 8 * scale, 12 * scale)
