"""The training network, its rounding, and the files made from it, against slow plain versions."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from vcsharp_training import onnx_graph, quant, rounding, weights
from vcsharp_training.reparam import RepConv, RepStudent

from vcsharp.nets.plain import PlainStudent

CHANNELS, STRIDE = (16, 8, 12, 16), 4


def _plain(seed: int = 0) -> PlainStudent:
    """A student with weights large enough that every layer clips now and then."""
    torch.manual_seed(seed)
    plain = PlainStudent(CHANNELS, STRIDE)
    for conv in plain.convs:
        assert isinstance(conv, torch.nn.Conv2d)
        assert conv.bias is not None
        torch.nn.init.normal_(conv.weight, 0, 0.12)
        torch.nn.init.normal_(conv.bias, 0, 0.05)
    return plain


def _noise(height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint8)


def _quantised() -> quant.QuantStudent:
    plain = _plain()
    planes = torch.from_numpy(_noise(64, 64))[None, None] / 255
    return quant.QuantStudent(plain, quant.calibrate(plain, [planes]))


def _run(model: onnx.ModelProto, luma: np.ndarray, strength: float = 1.0) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {"y": luma[None, None], "strength": np.array(strength, np.float32)}
    plane: np.ndarray = np.asarray(session.run(["out"], feeds)[0])[0, 0]
    return plane


def _slow_int8(layers: list[weights.IntLayer], luma: np.ndarray, strength: float) -> np.ndarray:
    """The int8 file's arithmetic in plain integers, without onnxruntime or torch."""
    height, width = luma.shape
    blocks = luma.reshape(height // STRIDE, STRIDE, width // STRIDE, STRIDE)
    x = blocks.transpose(1, 3, 0, 2).reshape(STRIDE**2, height // STRIDE, width // STRIDE)
    scale, zero = np.float32(quant.INPUT_SCALE), 128
    for layer in layers:
        padded = np.pad(x.astype(np.int64) - zero, ((0, 0), (1, 1), (1, 1)))
        total = np.repeat(layer.bias.astype(np.int64), x[0].size).reshape(-1, *x.shape[1:])
        for ky, kx in np.ndindex(3, 3):
            shifted = padded[:, ky : ky + x.shape[1], kx : kx + x.shape[2]]
            kernel = layer.weight[:, :, ky, kx].astype(np.int64)
            total += np.tensordot(kernel, shifted, 1)
        factor = scale * layer.weight_scale / np.float32(layer.output_scale)
        steps = np.rint(total.astype(np.float32) * factor[:, None, None])
        x = np.clip(steps + layer.output_zero, 0, 255)
        scale, zero = np.float32(layer.output_scale), layer.output_zero
    blocks = x.reshape(STRIDE, STRIDE, height // STRIDE, width // STRIDE)
    residual = blocks.transpose(2, 0, 3, 1).reshape(height, width) - zero
    return np.clip(np.rint(luma + residual * (strength * float(scale) * 255)), 0, 255)


def test_a_collapsed_layer_equals_its_branches():
    torch.manual_seed(0)
    layer, x = RepConv(5, 7), torch.randn(2, 5, 9, 11)
    torch.nn.init.normal_(layer.bias)
    conv2d = torch.nn.functional.conv2d
    wide = conv2d(x, layer.widen[:, :, None, None])
    branch = conv2d(conv2d(wide, layer.middle, padding=1), layer.narrow[:, :, None, None])
    wanted = conv2d(x, layer.direct, layer.bias, padding=1) + branch
    wanted = wanted + conv2d(x, layer.point[:, :, None, None])
    assert torch.allclose(layer(x), wanted, atol=1e-4)


def test_a_collapsed_student_equals_the_one_in_training():
    torch.manual_seed(1)
    model = RepStudent(CHANNELS, STRIDE)
    luma = torch.rand(2, 1, 32, 24)
    assert torch.allclose(model.collapse().residual(luma), model.residual(luma), atol=1e-5)


def test_a_new_student_starts_close_to_doing_nothing():
    torch.manual_seed(2)
    assert RepStudent(CHANNELS, STRIDE).residual(torch.rand(1, 1, 32, 32)).abs().max() < 0.05


def test_the_fp32_file_equals_torch():
    plain, luma = _plain(), _noise()
    out = _run(onnx_graph.float_model("t", weights.float_layers(plain), STRIDE), luma, 0.7)
    with torch.no_grad():
        wanted = 255 * plain(torch.from_numpy(luma)[None, None] / 255, 0.7)[0, 0].numpy()
    assert np.abs(out - wanted).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("strength", [0.0, 0.37, 1.0, 2.0])
def test_the_int8_file_equals_plain_integer_arithmetic(strength):
    model, luma = _quantised(), _noise()
    layers = weights.int_layers(model)
    out = _run(onnx_graph.int8_model("t", layers, STRIDE), luma, strength)
    difference = out - _slow_int8(layers, luma, strength)
    assert np.abs(difference).max() <= 1  # ties of a half may round either way in float32
    assert np.count_nonzero(difference) <= 0.01 * luma.size


def test_the_int8_file_equals_the_student_trained_with_its_rounding():
    model, luma = _quantised(), _noise()
    out = _run(onnx_graph.int8_model("t", weights.int_layers(model), STRIDE), luma)
    with torch.no_grad():
        tensor = torch.from_numpy(luma)[None, None] / 255
        wanted = 255 * (tensor + model.residual(tensor)).clamp(0, 1)[0, 0].numpy()
    assert np.mean(np.abs(out - wanted)) < 0.3  # half levels are kept here and rounded there


def test_strength_zero_returns_the_bytes_of_the_input():
    luma = _noise()
    for model in (
        onnx_graph.int8_model("t", weights.int_layers(_quantised()), STRIDE),
        onnx_graph.float_model("t", weights.float_layers(_plain()), STRIDE),
    ):
        assert np.array_equal(_run(model, luma, 0.0), luma)


def test_weights_have_seven_bits_and_their_scales_use_them():
    for layer in weights.int_layers(_quantised()):
        assert layer.weight.dtype == np.int8
        assert (np.abs(layer.weight).max(axis=(1, 2, 3)) == quant.WEIGHT_MAX).all()


def test_rounding_passes_its_gradient_through():
    x = torch.tensor([0.4, 0.5, 1.5], requires_grad=True)
    rounded = quant.round_through(x)
    rounded.sum().backward()
    assert rounded.tolist() == [0, 0, 2]
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1]


def test_equalising_changes_scales_but_not_the_function():
    plain, planes = _plain(), [torch.from_numpy(_noise(64, 64))[None, None] / 255]
    first = plain.convs[0]
    assert isinstance(first, torch.nn.Conv2d)
    with torch.no_grad():
        first.weight[3] *= 40
        before = plain.residual(planes[0])
        quant.equalise(plain, planes)
        assert torch.allclose(plain.residual(planes[0]), before, atol=1e-4, rtol=1e-4)


def test_a_channel_that_hardly_speaks_is_not_made_loud(monkeypatch):
    planes = [torch.from_numpy(_noise(64, 64))[None, None] / 255]
    floor = quant.EQUALISE_FLOOR

    def loudest_weight(floor: float) -> float:
        monkeypatch.setattr(quant, "EQUALISE_FLOOR", floor)
        plain = _plain()
        first = plain.convs[0]
        assert isinstance(first, torch.nn.Conv2d)
        assert first.bias is not None
        with torch.no_grad():
            first.weight[3] *= 1e-3
            first.bias[3] = -1.0  # dead on everything that is shown
            before = plain.residual(planes[0])
            quant.equalise(plain, planes)
            assert torch.allclose(plain.residual(planes[0]), before, atol=1e-4, rtol=1e-4)
            others = first.bias.abs().median()
            return float(first.bias[3].abs() / others)

    assert loudest_weight(0.0) > 5 * loudest_weight(floor)


def test_a_rare_crop_does_not_widen_the_ranges():
    usual = torch.from_numpy(_noise(20 * 16, 16)).reshape(20, 1, 16, 16) / 255
    loud = usual.clone()
    loud[:2] = 8  # far out of any picture's range
    plain = _plain()
    found, wanted = quant.calibrate(plain, [loud]), quant.calibrate(plain, [usual])
    assert (found < 1.6 * wanted).all()
    assert torch.equal(found, quant.calibrate(plain, [*loud.split(7)]))
    assert (quant.calibrate(plain, [loud], 0.99)[:-1] > 3 * wanted[:-1]).all()


def _inputs(count: int = 4000, wide: int = 12) -> torch.Tensor:
    """Values that go along with each other, as neighbouring pixels do."""
    torch.manual_seed(3)
    return torch.randn(count, 4) @ torch.randn(4, wide) + 0.1 * torch.randn(count, wide)


def test_rounded_weights_make_up_for_each_other():
    seen, weight = _inputs(), torch.randn(5, 12)
    steps = weight.abs().amax(dim=1) / quant.WEIGHT_MAX
    found = rounding.compensated(weight, (seen.T @ seen).double() / len(seen), steps)
    nearest = (weight / steps[:, None]).round() * steps[:, None]

    def error(rounded: torch.Tensor) -> float:
        return (seen @ (rounded - weight).T).square().mean().item()

    assert error(found) < error(nearest) / 3
    counts = found / steps[:, None]
    assert torch.allclose(counts, counts.round(), atol=1e-3)
    assert (counts.abs().amax(dim=1) - quant.WEIGHT_MAX).abs().max() < 1e-3


def test_inputs_that_have_nothing_in_common_leave_plain_rounding():
    weight = torch.randn(5, 12, generator=torch.Generator().manual_seed(6))
    steps = weight.abs().amax(dim=1) / quant.WEIGHT_MAX
    found = rounding.compensated(weight, torch.eye(12, dtype=torch.float64), steps)
    assert torch.allclose(found, (weight / steps[:, None]).round() * steps[:, None])


def test_a_short_step_is_near_and_each_multiple_exact_in_half_precision():
    steps = torch.rand(200, generator=torch.Generator().manual_seed(7)) + 1e-4
    short = rounding.short_steps(steps)
    assert ((short / steps - 1).abs() <= 1 / 32).all()
    multiples = short[:, None] * torch.arange(-quant.WEIGHT_MAX, quant.WEIGHT_MAX + 1)
    assert torch.equal(multiples.half().float(), multiples)


def test_a_rounded_student_is_on_its_steps_and_nearer_than_plain_rounding():
    planes = [torch.from_numpy(_noise(64, 64)).reshape(4, 1, 32, 32) / 255]
    plain, rounded = _plain(), _plain()
    scales = quant.calibrate(plain, planes)
    rounding.round_weights(rounded, scales, planes)
    for conv in quant.convolutions(rounded):
        counts = conv.weight / quant.weight_scales(conv.weight)[:, None, None, None]
        assert torch.allclose(counts, counts.round(), atol=1e-3)
        assert torch.equal(conv.weight.half().float(), conv.weight)
    with torch.no_grad():
        wanted = plain.residual(planes[0])
        errors = [
            (quant.QuantStudent(student, scales).residual(planes[0]) - wanted).square().mean()
            for student in (rounded, plain)
        ]
    assert errors[0] < errors[1]
