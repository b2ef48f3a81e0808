"""Rounding with the error passed on: a layer's outputs keep what its weights, one by one, lose.

In: a layer's weights and the second moments of its inputs. Out: weights on the quantiser's steps.
What rounding the weights of one input takes from the outputs is given back by those of the inputs
that are still to be rounded, as far as the inputs go together: GPTQ (arXiv 2210.17323), the same
as QuIP's LDLQ (arXiv 2307.13304). The decoder knows nothing of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from inrcodec.quantization._uniform import MAX_SYMBOL

_DAMPING = 1e-3  # of the mean second moment, added to each: what few samples show is not all
_BLOCK = 64  # inputs rounded before the others are told


@torch.no_grad()
def round_with_feedback(weights: Tensor, moments: Tensor, step: float) -> Tensor:
    """Return weights, on multiples of `step`, whose outputs are near those of the given ones.

    Args:
        weights: `(O, n)`, of any float dtype.
        moments: `(n, n)`, the mean of x x^T over inputs x.
        step: > 0.
    """
    order = torch.argsort(moments.diagonal(), descending=True)
    factor = _inverse_factor(moments[order][:, order])
    if factor is None:
        return _rounded(weights, step)
    left = weights[:, order].double()
    found = torch.empty_like(left)
    n = left.shape[1]
    for start in range(0, n, _BLOCK):
        end = min(start + _BLOCK, n)
        errors = torch.empty_like(left[:, start:end])
        for i in range(start, end):
            found[:, i] = _rounded(left[:, i], step)
            error = (left[:, i] - found[:, i]) / factor[i, i]
            left[:, i:end] -= error[:, None] * factor[i, i:end]
            errors[:, i - start] = error
        left[:, end:] -= errors @ factor[start:end, end:]
    return torch.empty_like(found).index_copy_(1, order, found).to(weights.dtype)


def _inverse_factor(moments: Tensor) -> Tensor | None:
    """Return upper triangular U, U^T U the inverse of the damped moments, if it exists."""
    mean = float(moments.diagonal().mean())
    if not mean > 0:
        return None
    damped = moments.double()
    damped.diagonal().add_(_DAMPING * mean)
    lower, failed = torch.linalg.cholesky_ex(damped)
    if bool(failed):
        return None
    upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
    return None if bool(failed) else upper


def _rounded(weights: Tensor, step: float) -> Tensor:
    return torch.clamp(torch.round(weights / step), -MAX_SYMBOL, MAX_SYMBOL) * step
