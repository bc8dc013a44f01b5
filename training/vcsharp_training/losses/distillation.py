"""Terms that look at a teacher's picture, or at the frame before."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from vcsharp_training.losses.pixels import l1


def output_distillation(
    output: Tensor, truth: Tensor, taught: Tensor, alpha: float, beta: float
) -> Tensor:
    """Alpha x L1 to the ground truth + beta x L1 to the teacher; one per picture.

    The mix of hard and soft targets of Hinton et al. 2015 (arXiv 1503.02531), for pictures.
    """
    return alpha * l1(output - truth) + beta * l1(output - taught)


def kl_divergence(output: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """KL divergence of softened channels from the teacher's, times T squared; one per picture.

    Knowledge distillation (Hinton et al. 2015, arXiv 1503.02531) with a pixel's channels in the
    place of classes, mean over pixels.
    """
    mine = functional.log_softmax(output / temperature, dim=1)
    wanted = functional.log_softmax(taught / temperature, dim=1)
    divergence = (wanted.exp() * (wanted - mine)).sum(dim=1)
    return temperature**2 * divergence.mean(dim=(1, 2))


def temporal_difference(
    output: Tensor, before: Tensor, truth: Tensor, truth_before: Tensor
) -> Tensor:
    """L1 between the output's change from the frame before and the ground truth's; one per picture.

    The short-term term of Lai et al. 2018 (arXiv 1808.00449) without its warp: pixels that stand
    still in the truth must stand still in the output.
    """
    return l1((output - before) - (truth - truth_before))
