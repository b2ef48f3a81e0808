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

# Of x, x^3 and x^5, an iteration each: the polynomials nearest to 1 on [0.01, 1], then on what the
# one before makes of it (Polar Express, arXiv 2505.16932, algorithm 1; solved as linear programs).
# Five of Jordan's iterations are no closer to 1 and take 1.7 times as long.
_COEFFICIENTS = (
    (8.0934, -23.6205, 17.4462),
    (3.6366, -2.7219, 0.5365),
    (2.6613, -1.9772, 0.4526),
)
_SAFETY = 1.01  # keeps rounded singular values within the interval of the polynomials
# Of a step for a rate of 1: twice that of Adam's steps (arXiv 2502.16982, section 2.2), measured in
# benchmarks/notes/flagship.md.
_RMS = 0.4
_SMALL = 1 << 15  # values of a matrix that float32 is faster for on a CPU


class Muon(GroupwiseOptimizer):
    """Muon with Nesterov momentum and decoupled weight decay.

    With gradient G and momentum M = b M + (1 - b) G, and O the orthogonal factor of
    (1 - b) G + b M, an r x c matrix::

        W -= lr * (weight_decay * W + 0.4 * sqrt(max(r, c)) * O)

    so that a step is twice as large as Adam's of the same learning rate. Without decay weights grow
    on and on, in directions too that no frame shows, and take bits (arXiv 2502.16982, section 2.2).

    Args:
        params: parameters of two and more dimensions, or groups of them; those without a gradient
            are left alone.
        lr: learning rate; a tensor of no dimensions where a step is recorded as a CUDA graph.
        momentum: decay rate b.
        weight_decay: part of a weight that a step of rate 1 takes away.
        dtype: what the iterations compute in; bfloat16 is enough for them. On a CPU small matrices
            are computed in float32, where they take less time.

    Raises:
        ValueError: a parameter that is no matrix.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        *,
        lr: float | Tensor = 4e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype
        shapes = [tuple(p.shape) for group in self.param_groups for p in group["params"]]
        if any(len(shape) < 2 for shape in shapes):
            raise ValueError(f"shapes are {shapes}, each must have 2 dimensions or more")

    def _step_group(self, params: list[Tensor], group: dict[str, Any]) -> None:
        for p in params:
            p.mul_(1 - group["lr"] * group["weight_decay"])
            self._step(p, lr=group["lr"], momentum=group["momentum"])

    def _step(self, p: Tensor, *, lr: float | Tensor, momentum: float) -> None:
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        average: Tensor = state["momentum"]
        gradient = p.grad
        assert gradient is not None  # the caller has looked
        average.lerp_(gradient, 1 - momentum)
        update = gradient.lerp(average, momentum).flatten(1)  # (r, c)
        is_small = update.numel() <= _SMALL and not update.is_cuda
        dtype = torch.float32 if is_small else self.dtype
        direction = orthogonalize(update.to(dtype)).to(p.dtype)
        length = lr * (_RMS * max(update.shape) ** 0.5)
        if isinstance(length, Tensor):
            p.sub_(direction.view_as(p) * length)
        else:
            p.sub_(direction.view_as(p), alpha=length)


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return nearly the orthogonal factor of a matrix (r, c): U V^T of its SVD U S V^T.

    By three polynomials, after which singular values from 0.01 of the Frobenius norm on are between
    0.73 and 1.27; smaller ones stay smaller.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if is_tall else matrix
    x = x / (_SAFETY * x.norm() + 1e-7)
    for a, b, c in _COEFFICIENTS:
        square = x @ x.T
        polynomial = torch.addmm(square, square, square, beta=b, alpha=c)
        x = torch.addmm(x, polynomial, x, beta=a)
    return x.T if is_tall else x
