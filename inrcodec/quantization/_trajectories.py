"""Values that change in time, rounded so that distortion and the rate of their changes are least.

In: real values in units of their steps, a trajectory over frames each. Out: integers, the nearest
but where the one on the other side changes less from frame to frame. (What video coders call
rate-distortion optimised quantisation, here by the path of Viterbi, 1967.)
"""

from __future__ import annotations

import torch
from torch import Tensor


def round_trajectories(values: Tensor, lmbda: float) -> Tensor:
    """Round every trajectory to the path of least squared error + `lmbda` * bits.

    A change by x counts log2(1 + |x|) bits. Only the two integers beside a value are tried.

    Args:
        values: `(N, ...)` over N frames, in units of their steps.
        lmbda: squared steps a bit; 0 rounds to the nearest.

    Returns:
        Whole numbers, of the shape and dtype of `values`.

    >>> round_trajectories(torch.tensor([0.0, 0.6, 0.1]), 0.0).tolist()
    [0.0, 1.0, 0.0]
    >>> round_trajectories(torch.tensor([0.0, 0.6, 0.1]), 0.25).tolist()
    [0.0, 0.0, 0.0]
    """
    if lmbda == 0:
        return torch.round(values)
    beside = torch.stack((values.floor(), values.ceil()), -1)  # (N, ..., 2)
    distortion = (values[..., None] - beside) ** 2
    cost = distortion[0]  # of the best path to each of both
    origins = []  # (..., 2) a frame: which of both of the frame before it comes from
    for i in range(1, len(values)):
        changes = (beside[i][..., None, :] - beside[i - 1][..., :, None]).abs()  # from, to
        least, origin = (cost[..., :, None] + lmbda * torch.log2(1 + changes)).min(-2)
        cost = least + distortion[i]
        origins.append(origin)
    rounded = torch.empty_like(values)
    chosen = cost.argmin(-1, keepdim=True)
    rounded[-1] = beside[-1].gather(-1, chosen)[..., 0]
    for i in reversed(range(len(values) - 1)):
        chosen = origins[i].gather(-1, chosen)
        rounded[i] = beside[i].gather(-1, chosen)[..., 0]
    return rounded
