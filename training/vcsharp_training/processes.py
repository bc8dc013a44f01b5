"""Who takes part in a run, and on what device: one process, or several started by `torchrun`.

Hugging Face's accelerate finds the group, the device and the way to share gradients. Batches are
drawn for the whole group and cut into parts, one for each process: two processes with a batch of 8
do the same step as one with 16.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from accelerate import Accelerator
from torch import nn

from vcsharp_training.errors import RecipeError


class Processes:
    """The group of this process.

    Args:
        device: `cpu` or `cuda`. With several processes each takes the GPU of its local rank.

    Raises RecipeError where there is no such device.
    """

    def __init__(self, device: str = "cpu") -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise RecipeError(
                "device 'cuda': torch sees no CUDA GPU here; look at 'nvidia-smi' and at "
                "torch's own build, or train with --device cpu"
            )
        self._accelerator = Accelerator(cpu=device == "cpu")
        self.device: torch.device = self._accelerator.device
        self.count: int = self._accelerator.num_processes
        self.rank: int = self._accelerator.process_index

    @property
    def is_main(self) -> bool:
        """True for the one process that writes files and speaks."""
        return self.rank == 0

    def share(self, module: nn.Module) -> nn.Module:
        """Moves a module to the device, in place; what is returned averages its gradients over the
        group in `backward`.
        """
        shared: nn.Module = self._accelerator.prepare_model(module)
        return shared

    def quietly(self, shared: nn.Module, *, quiet: bool) -> AbstractContextManager[None]:
        """Around a backward pass whose gradients are not complete yet: they are not sent."""
        if not quiet or self.count == 1:
            return nullcontext()
        held: AbstractContextManager[None] = self._accelerator.no_sync(shared)
        return held

    def wait(self) -> None:
        """Returns once every process has come here."""
        self._accelerator.wait_for_everyone()

    def leave(self) -> None:
        """Ends the group; torch complains at exit about one that nobody ended."""
        if self.count > 1:
            self._accelerator.state.destroy_process_group()
