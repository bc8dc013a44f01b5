"""The small networks that enlarge: names, shapes, and what each does to a picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from vcsharp_training.teachers import smfanet, srvgg, waifu2x

from tests.plain_layers import (
    agrees,
    each,
    gelu,
    on_meta,
    parameters_of,
    picture,
    point,
    random,
    shapes_of,
    silence,
)


def test_compact_sr_has_the_names_and_shapes_of_the_published_checkpoint() -> None:
    shapes = shapes_of(on_meta(srvgg.CompactSR))
    convs = {f"body.{2 * index}.weight" for index in range(34)}
    slopes = {f"body.{2 * index + 1}.weight": (64,) for index in range(33)}
    biases = {f"body.{2 * index}.bias" for index in range(34)}
    assert shapes.keys() == convs | slopes.keys() | biases
    assert {name: shapes[name] for name in slopes} == slopes
    assert shapes["body.0.weight"] == (64, 3, 3, 3)
    assert shapes["body.2.weight"] == (64, 64, 3, 3)
    assert shapes["body.66.weight"] == (48, 64, 3, 3)


def test_compact_sr_adds_to_the_repeated_input() -> None:
    net, x = srvgg.CompactSR(8, 1, 4), torch.rand(1, 3, 5, 6)
    silence(net.body[-1])
    assert torch.equal(net(x), x.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_upconv7_has_the_shapes_of_the_published_layers_and_doubles_the_size() -> None:
    net = waifu2x.Upconv7()
    assert parameters_of(net) == 552_483
    assert shapes_of(net)["conv7.weight"] == (256, 3, 4, 4)
    assert net(torch.rand(1, 3, 9, 10)).shape == (1, 3, 18, 20)


def test_upconv7_keeps_the_picture_in_place() -> None:
    """With kernels that only pass on, each pixel has to land on its own four."""
    net = waifu2x.Upconv7()
    for index in range(1, 7):
        conv = net.get_submodule(f"conv{index}")
        assert isinstance(conv, nn.Conv2d)
        silence(conv)
        conv.weight.data[range(3), range(3), 1, 1] = 1
    silence(net.conv7)
    net.conv7.weight.data[range(3), range(3), 1:3, 1:3] = 1
    x = torch.rand(1, 3, 6, 7)
    assert torch.allclose(net(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_smfanet_modulates_by_maxima_and_spread() -> None:
    part, x = random(smfanet.SelfModulation(3)), picture(3, 16, 8)
    values = point(x[0].numpy(), part.linear_0.weight, part.linear_0.bias)
    local, passed = torch.from_numpy(values[:3])[None], values[3:]
    peaks = passed.reshape(3, 2, 8, 8).max(axis=(2, 3))[:, :, None]
    peaks = each(peaks, part.dw_conv.weight, part.dw_conv.bias)
    spread = passed.reshape(3, -1).var(axis=1, ddof=1)[:, None, None]
    mixed = peaks * part.alpha.detach().numpy()[0] + spread * part.belt.detach().numpy()[0]
    gate = np.vectorize(gelu)(point(mixed, part.linear_1.weight, part.linear_1.bias))
    passed = passed * gate.repeat(8, axis=1).repeat(8, axis=2)
    wanted = passed + part.lde(local.float())[0].detach().numpy()
    agrees(part(x)[0], point(wanted, part.linear_2.weight, part.linear_2.bias))


def test_smfanet_has_480300_parameters_and_doubles_the_size() -> None:
    net = smfanet.SMFANet()
    assert parameters_of(net) == 480_300
    shapes = shapes_of(net)
    assert shapes["feats.11.smfa.lde.conv_0.0.weight"] == (96, 1, 3, 3)
    assert shapes["feats.11.pcfn.conv_1.weight"] == (24, 24, 3, 3)
    assert shapes["to_img.0.weight"] == (12, 48, 3, 3)
    assert net(torch.rand(1, 3, 16, 16)).shape == (1, 3, 32, 32)
