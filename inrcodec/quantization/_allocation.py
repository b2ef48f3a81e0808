"""How fine each tensor's step is: equal slope of distortion over rate for all of them.

With noise of variance step**2 / 12 on a tensor of n weights, the squared error of the pixels
grows by n * s * step**2 / 12, where s is the mean over its weights of sum((d pixel / d w)**2).
Its rate falls by n * log2(step). At the optimum s * step**2 is the same for all tensors.

s is estimated without bias by the squared gradient of a random projection of the pixels
(Hutchinson's estimator of the Gauss-Newton diagonal; Bekas, Kokiopoulou and Saad 2007).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from inrcodec.quantization._uniform import MAX_STEP_CODE, MIN_STEP_CODE


def output_sensitivity(
    forward: Callable[[], torch.Tensor],
    tensors: Sequence[torch.Tensor],
    *,
    generator: torch.Generator,
    num_projections: int = 4,
) -> list[float]:
    """Return for each tensor the mean over its elements of the sum of squared pixel derivatives.

    Args:
        forward: computes a batch of frames, `(B, 3, H, W)`, from `tensors`.
        tensors: leaf tensors that require gradients.
        generator: of random numbers, on the CPU.
        num_projections: how many random projections to average over.
    """
    totals = [0.0] * len(tensors)
    for _ in range(num_projections):
        frames = forward()
        noise = torch.randn(frames.shape, generator=generator).to(frames.device, frames.dtype)
        gradients = torch.autograd.grad((frames * noise).sum(), tensors, allow_unused=True)
        for i, gradient in enumerate(gradients):
            if gradient is not None:
                totals[i] += float(gradient.double().square().mean()) / num_projections
    return totals


def allocate_step_codes(sensitivities: Sequence[float], sizes: Sequence[int]) -> list[int]:
    """Return one step code a tensor, such that `sensitivity * step**2` is nearly constant.

    Args:
        sensitivities: per tensor, mean squared derivative of the summed squared error, >= 0.
        sizes: per tensor, number of elements.

    >>> allocate_step_codes([1.0, 4.0], [10, 10])
    [4, -4]
    """
    known = [(s, n) for s, n in zip(sensitivities, sizes, strict=True) if s > 0]
    if not known:
        return [0] * len(sizes)
    mean_log = sum(n * math.log2(s) for s, n in known) / sum(n for _, n in known)
    return _admitted(
        round(4 * (mean_log - math.log2(s))) if s > 0 else MAX_STEP_CODE for s in sensitivities
    )


def shift_step_codes(codes: Sequence[int], tensors: Iterable[int], by: int) -> list[int]:
    """Return the step codes with those of some tensors larger by `by`, as far as codes go.

    >>> shift_step_codes([4, -4, 0], [0, 2], -8)
    [-4, -4, -8]
    """
    shifted = set(tensors)
    return _admitted(code + by if i in shifted else code for i, code in enumerate(codes))


def range_step_codes(tensors: Sequence[NDArray[np.float32]]) -> list[int]:
    """Return one step code a tensor, such that all tensors' ranges have as many steps.

    That is uniform b-bit quantisation between each tensor's least and largest value, as HNeRV has
    it (arXiv 2304.02633), whatever b is at the global step to come.

    >>> range_step_codes([np.float32([0, 1]), np.float32([-1, 3, 2])])
    [-8, 8]
    """
    ranges = [float(np.ptp(tensor)) for tensor in tensors]
    known = [math.log2(r) for r in ranges if r > 0]
    if not known:
        return [0] * len(ranges)
    mean_log = sum(known) / len(known)
    return _admitted(round(8 * (math.log2(r) - mean_log)) if r > 0 else 0 for r in ranges)


def _admitted(codes: Iterable[int]) -> list[int]:
    """Return the codes, those out of the format's range at its ends."""
    return [min(max(code, MIN_STEP_CODE), MAX_STEP_CODE) for code in codes]
