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
        torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        updates = self._updates(params, group["momentum"])
        # A GPU takes as long for one small matrix as for many of a shape; a CPU does not.
        alike: dict[Any, list[int]] = {}
        for i, update in enumerate(updates):
            alike.setdefault(update.shape if update.is_cuda else i, []).append(i)
        for members in alike.values():
            stacked = [updates[i] for i in members]
            moves = self._moves(stacked, lr=group["lr"])
            for i, move in zip(members, moves, strict=True):
                params[i].sub_(move.view_as(params[i]))

    def _updates(self, params: list[Tensor], momentum: float) -> list[Tensor]:
        """Take up the gradients; return their momenta, looking ahead, as matrices."""
        for p in params:
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        averages = [self.state[p]["momentum"] for p in params]
        gradients = [p.grad for p in params if p.grad is not None]  # the caller has looked
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, averages, momentum)
        return [each.flatten(1) for each in ahead]

    def _moves(self, updates: list[Tensor], *, lr: float | Tensor) -> Tensor:
        """Return by how much n matrices (r, c) fall, (n, r, c)."""
        matrices = torch.stack(updates) if len(updates) > 1 else updates[0]
        sides = matrices.shape[-2:]
        is_small = sides.numel() <= _SMALL and not matrices.is_cuda
        dtype = torch.float32 if is_small else self.dtype
        directions = orthogonalize(matrices.to(dtype)).to(matrices.dtype)
        moves: Tensor = directions * (lr * (_RMS * max(sides) ** 0.5))
        return moves.reshape(-1, *sides)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Return nearly the orthogonal factor of matrices (..., r, c): U V^T of the SVD U S V^T.

    By three polynomials, after which singular values from 0.01 of the Frobenius norm on are between
    0.73 and 1.27; smaller ones stay smaller.
    """
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if is_tall else matrices
    x = x / (_SAFETY * x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    multiply_add = torch.addmm if x.ndim == 2 else torch.baddbmm
    for a, b, c in _COEFFICIENTS:
        square = x @ x.mT
        polynomial = multiply_add(square, square, square, beta=b, alpha=c)
        x = multiply_add(x, polynomial, x, beta=a)
    return x.mT if is_tall else x
