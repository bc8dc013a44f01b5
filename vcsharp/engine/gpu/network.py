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


class ByteNetwork:
    """Sharpens a batch of unshuffled tiles. The weights are in `dtype`, channels-last.

    The picture itself never leaves its levels: the network computes what to *add*, and the sum is
    made in fp32. Whole numbers up to 256 are exact in fp16 and bf16, so the input is rounded once
    only, in the scaling; what half precision costs is a fraction of the correction, not of the
    picture.
    """

    def __init__(self, net: PlainStudent, dtype: torch.dtype, device: torch.device) -> None:
        self.stride = net.stride
        self._dtype = dtype
        self._net = net.eval().requires_grad_(requires_grad=False).to(device, dtype)
        for weight in self._net.parameters():
            if weight.ndim == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def free(self) -> None:
        """Lets the weights go. Idempotent; it cannot be called afterwards."""
        self._net.to("meta")

    def __call__(self, levels: Tensor, scale: Tensor) -> Tensor:
        """uint8, N x h x w x stride squared, to the same.

        Args:
            levels: what the frame holds, unshuffled, channels last.
            scale: fp32 without dimensions: 255 times the strength. A tensor, so that another
                strength needs no other graph.
        """
        x = levels.permute(0, 3, 1, 2)
        correction = self._net.trunk((x.to(self._dtype) - MID_LEVEL) * (1 / 255))
        # `round` rounds half to even, as the int8 graph does.
        sharp = (x + scale * correction.float()).round().clamp(0, 255)
        return sharp.to(torch.uint8).permute(0, 2, 3, 1)


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
