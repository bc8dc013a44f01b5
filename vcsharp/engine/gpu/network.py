"""A student on bytes: from levels to levels, half precision between them."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vcsharp.catalogue import Model
from vcsharp.errors import ModelError
from vcsharp.nets.plain import PlainStudent

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MID_LEVEL = 128
MOST_STEPS = 63
"""Of the largest weight of each output of a shipped student."""


class ByteNetwork:
    """Sharpens a batch of unshuffled tiles. The weights are in `dtype`, channels-last.

    The picture itself never leaves its levels: the network computes what to *add*, and the sum is
    made in fp32. Whole numbers up to 256 are exact in fp16 and bf16, and so is a 256th of them, so
    the input is not rounded at all; what half precision costs is a fraction of the correction.
    """

    def __init__(self, net: PlainStudent, dtype: torch.dtype, device: torch.device) -> None:
        self.stride = net.stride
        self._dtype = dtype
        self._full_scale = 255 if dtype == torch.float32 else 256
        _rescale(net, 255 / self._full_scale)
        steps = _take_steps(net) if dtype == torch.bfloat16 else []
        self._rest = [(step.to(device), bias.to(device)) for step, bias in steps]
        self._net = net.eval().requires_grad_(requires_grad=False).to(device, dtype)
        for weight in self._net.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def free(self) -> None:
        """Lets the weights go. Idempotent; it cannot be called afterwards."""
        self._net.to("meta")
        self._rest = []

    def __call__(self, levels: Tensor, scale: Tensor) -> Tensor:
        """uint8, N x h x w x stride squared, to the same.

        Args:
            levels: what the frame holds, unshuffled, channels last.
            scale: fp32 without dimensions: 255 times the strength. A tensor, so that another
                strength needs no other graph.
        """
        x = levels.permute(0, 3, 1, 2)
        correction = self._trunk((x.to(self._dtype) - MID_LEVEL) * (1 / self._full_scale))
        # `round` rounds half to even, as the int8 graph does.
        sharp = (x + scale * (self._full_scale / 255) * correction.float()).round().clamp(0, 255)
        return sharp.to(torch.uint8).permute(0, 2, 3, 1)

    def _trunk(self, x: Tensor) -> Tensor:
        if not self._rest:
            return self._net.trunk(x)
        for number, (conv, (step, bias)) in enumerate(
            zip(self._net.convs, self._rest, strict=True), 1
        ):
            x = conv(x).float() * step + bias
            if number < len(self._rest):
                x = torch.relu(x).to(self._dtype)
        return x


def _rescale(net: PlainStudent, factor: float) -> None:
    """Makes the network take and give `factor` times what it did: ReLU passes positive factors, so
    only the biases change.
    """
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            parameter.data = parameter.data * factor


def _take_steps(net: PlainStudent) -> list[tuple[Tensor, Tensor]]:
    """Leaves whole numbers in the weights, takes their steps and the biases out, in fp32.

    Shipped weights are multiples of a step per output, at most 63 of them: exact in the eight bits
    of bf16, as the weights themselves are not. Any others lose no more than they would have.
    """
    taken = []
    for conv in net.convs:
        assert isinstance(conv, torch.nn.Conv2d)
        assert conv.bias is not None
        step = (
            conv.weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
            / MOST_STEPS
        )
        taken.append((step[:, 0], conv.bias.detach()[:, None, None].clone()))
        conv.weight.data = conv.weight.data / step
        conv.bias = None
    return taken


def load_student(model: Model) -> PlainStudent:
    """The student of `model.safetensors`. Raises ModelError."""
    path = model.path("torch")
    shape = model.card.architecture
    net = PlainStudent(shape.channels, shape.stride)
    try:
        net.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"'{path}' does not fit the network in its card.json: {reason}") from error
    return net
