"""Students on PyTorch: fp16 on CUDA, fp32 on the CPU, through the same lines of code."""

from __future__ import annotations

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vcsharp.catalogue import Model
from vcsharp.engine.backend import store
from vcsharp.engine.tiling import Plan
from vcsharp.errors import BackendError, BackendUnavailableError, ModelError
from vcsharp.frame import Bytes
from vcsharp.nets.plain import PlainStudent

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


class TorchBackend:
    """Runs `model.safetensors`. See `Backend` for the promise.

    Args:
        model: from the catalogue; its file is checked against the card.
        precision: `fp32` or `fp16`.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; 0 leaves PyTorch's own choice. The setting is global in the process.

    Raises:
        BackendUnavailableError: PyTorch has no such device.
        ModelError: the file is missing, damaged or of another network.
    """

    name = "torch"

    def __init__(self, model: Model, precision: str, device: str, threads: int) -> None:
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise BackendUnavailableError(
                f"PyTorch sees no GPU for device '{device}'; install the driver and a CUDA build, "
                "or use --device cpu"
            )
        if threads:
            torch.set_num_threads(threads)
        self.precision = precision
        self.device = device
        self._dtype = DTYPES[precision]
        self._net = _load(model).eval().to(device, self._dtype)

    @torch.inference_mode()
    def sharpen(self, plane: Bytes, plan: Plan, strength: float, out: Bytes) -> None:
        """See `Backend.sharpen`. All tiles go through the network as one batch."""
        try:
            batch = self._gather(plane, plan)
            planes = batch.to(self._dtype, memory_format=torch.channels_last) / 255
            result = self._net(planes, strength)
            # `round` rounds half to even, as the int8 graph does.
            tiles = (result * 255).round().to(torch.uint8)[:, 0].cpu().numpy()
        except RuntimeError as error:
            raise BackendError(
                f"PyTorch failed on '{self.device}': {str(error).splitlines()[0]}"
            ) from error
        for tile, pixels in zip(plan.tiles, tiles, strict=True):
            core = pixels[tile.rows.inner, tile.columns.inner]
            store(core, tile.rows.core, tile.columns.core, out)

    def close(self) -> None:
        """See `Backend.close`."""
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _gather(self, plane: Bytes, plan: Plan) -> Tensor:
        batch = np.empty((len(plan.tiles), 1, plan.tile_height, plan.tile_width), np.uint8)
        for pixels, tile in zip(batch[:, 0], plan.tiles, strict=True):
            top, left = tile.rows.start, tile.columns.start
            pixels[:] = plane[top : top + plan.tile_height, left : left + plan.tile_width]
        return torch.from_numpy(batch).to(self.device)


def _load(model: Model) -> PlainStudent:
    path = model.path("torch")
    shape = model.card.architecture
    net = PlainStudent(shape.channels, shape.stride)
    try:
        net.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"'{path}' does not fit the network in its card.json: {reason}") from error
    return net
