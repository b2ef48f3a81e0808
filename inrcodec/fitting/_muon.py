"""Muon: momentum whose matrices are made orthogonal (Jordan et al. 2024; arXiv 2502.16982).

In: matrices with gradients. Out: their next values. A convolution's weight (C_out, C_in, k, k) is
the matrix (C_out, C_in * k * k). Every direction of the momentum gets the same length, so that weak
ones are learned as fast as strong ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from inrcodec.fitting._groupwise import GroupwiseOptimizer

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of x, x^3 and x^5: Jordan's, fastest near zero
_ITERATIONS = 5
_RMS = 0.2  # of a step for a rate of 1: as of Adam's steps (arXiv 2502.16982, section 2.2)


class Muon(GroupwiseOptimizer):
    """Muon with Nesterov momentum, without weight decay.

    With gradient G and momentum M = b M + (1 - b) G, and O the orthogonal factor of
    (1 - b) G + b M, an r x c matrix::

        W -= lr * 0.2 * sqrt(max(r, c)) * O

    so that a learning rate means for a step what it means for Adam's.

    Args:
        params: parameters of two and more dimensions, or groups of them; those without a gradient
            are left alone.
        lr: learning rate.
        momentum: decay rate b.
        dtype: what the iterations compute in; bfloat16 is enough for them.

    Raises:
        ValueError: a parameter that is no matrix.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        *,
        lr: float = 4e-3,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.dtype = dtype
        shapes = [tuple(p.shape) for group in self.param_groups for p in group["params"]]
        if any(len(shape) < 2 for shape in shapes):
            raise ValueError(f"shapes are {shapes}, each must have 2 dimensions or more")

    def _step_group(self, params: list[Tensor], group: dict[str, Any]) -> None:
        for p in params:
            self._step(p, lr=group["lr"], momentum=group["momentum"])

    def _step(self, p: Tensor, *, lr: float, momentum: float) -> None:
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        average: Tensor = state["momentum"]
        gradient = p.grad
        assert gradient is not None  # the caller has looked
        average.lerp_(gradient, 1 - momentum)
        update = gradient.lerp(average, momentum).flatten(1)  # (r, c)
        direction = orthogonalize(update.to(self.dtype)).to(p.dtype)
        p.sub_(direction.view_as(p), alpha=lr * _RMS * max(update.shape) ** 0.5)


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return nearly the orthogonal factor of a matrix (r, c): U V^T of its SVD U S V^T.

    By five Newton-Schulz iterations, after which the singular values are between 0.7 and 1.2 but
    for those that were tiny.
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = a * x + torch.mm(b * square + c * square @ square, x)
    return x.T if is_tall else x
