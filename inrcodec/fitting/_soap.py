"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, arXiv 2409.11321).

In: matrices with gradients. Out: their next values. A convolution's weight (C_out, C_in, k, k) is
the matrix (C_out, C_in * k * k). Adam scales every coordinate by itself; in the axes along which
gradients vary independently, that comes nearer to scaling by the curvature.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from inrcodec.fitting._groupwise import GroupwiseOptimizer

_REFRESH_STEPS = 10  # between two refreshes of the axes: the paper's default
_LONGEST_SIDE = 512  # with axes of its own; a refresh costs the cube of it


class Soap(GroupwiseOptimizer):
    """SOAP without weight decay, bias-corrected.

    With gradient G, axes Q_L and Q_R, EMA_b(x) the moving average b EMA + (1 - b) x from zero, and
    squares by element::

        L = EMA_b2(G G^T)    R = EMA_b2(G^T G)    G' = Q_L^T G Q_R
        M = EMA_b1(G')       V = EMA_b2(G'^2)
        W -= lr Q_L (M / (1 - b1^t) / (sqrt(V / (1 - b2^t)) + eps)) Q_R^T

    Every 10 steps Q_L and Q_R follow the eigenvectors of L and R by one power iteration and a QR
    decomposition, and M is turned with them. The first gradient only chooses them. A side longer
    than 512 keeps its own axes: the other one alone is turned, the paper's one-sided variant.

    Args:
        params: parameters of two and more dimensions, or groups of them; those without a gradient
            are left alone.
        lr: learning rate.
        betas: decay rates b1 and b2.
        eps: keeps the denominator from zero.

    Raises:
        ValueError: a parameter that is no matrix, or not two decay rates.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        *,
        lr: float = 4e-3,
        betas: tuple[float, ...] = (0.95, 0.95),
        eps: float = 1e-8,
    ) -> None:
        if len(betas) != 2:
            raise ValueError(f"betas is {betas}, SOAP takes 2")
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps})
        shapes = [tuple(p.shape) for group in self.param_groups for p in group["params"]]
        if any(len(shape) < 2 for shape in shapes):
            raise ValueError(f"shapes are {shapes}, each must have 2 dimensions or more")

    def _step_group(self, params: list[Tensor], group: dict[str, Any]) -> None:
        for p in params:
            assert p.grad is not None  # the caller has looked
            gradient, state = p.grad.flatten(1), self.state[p]  # (r, c)
            if state:
                direction = _direction(gradient, state, betas=group["betas"], eps=group["eps"])
                p.sub_(direction.view_as(p), alpha=group["lr"])
            else:
                state.update(_fresh_state(gradient))
            _follow(gradient, state, beta=group["betas"][1])


def _fresh_state(gradient: Tensor) -> dict[str, Any]:
    """Return the state of a matrix (r, c) before its first step, in the axes of its gradient."""
    covariances = [
        matrix @ matrix.T if len(matrix) <= _LONGEST_SIDE else None
        for matrix in (gradient, gradient.T)
    ]
    return {
        "step": 0,
        "mean": torch.zeros_like(gradient),
        "square": torch.zeros_like(gradient),
        "covariances": [None if c is None else torch.zeros_like(c) for c in covariances],
        "axes": [None if c is None else torch.linalg.eigh(c)[1].flip(1) for c in covariances],
    }


def _direction(
    gradient: Tensor, state: dict[str, Any], *, betas: tuple[float, float], eps: float
) -> Tensor:
    """Count a step of Adam in the axes; return its direction (r, c) in the matrix's own."""
    beta1, beta2 = betas
    step: int = state["step"] + 1
    state["step"] = step
    turned = _turn(gradient, state["axes"])
    mean = state["mean"].lerp_(turned, 1 - beta1)
    square = state["square"].mul_(beta2).addcmul_(turned, turned, value=1 - beta2)
    denominator = (square / (1 - beta2**step)).sqrt_().add_(eps)
    return _turn_back(mean / denominator, state["axes"]) / (1 - beta1**step)


def _follow(gradient: Tensor, state: dict[str, Any], *, beta: float) -> None:
    """Average the gradient's covariances and, now and then, turn the axes after them."""
    for covariance, matrix in zip(state["covariances"], (gradient, gradient.T), strict=True):
        if covariance is not None:
            covariance.lerp_(matrix @ matrix.T, 1 - beta)
    if state["step"] == 0 or state["step"] % _REFRESH_STEPS:
        return
    mean = _turn_back(state["mean"], state["axes"])
    for side, covariance in enumerate(state["covariances"]):
        if covariance is not None:
            axes, order = _power_iteration(covariance, state["axes"][side])
            state["axes"][side] = axes
            state["square"] = state["square"].index_select(side, order)
    state["mean"] = _turn(mean, state["axes"])


def _power_iteration(covariance: Tensor, axes: Tensor) -> tuple[Tensor, Tensor]:
    """Return axes (n, n) nearer to the eigenvectors, largest first, and whose places they take."""
    product = covariance @ axes
    order = (axes * product).sum(0).argsort(descending=True)
    return torch.linalg.qr(product[:, order])[0], order


def _turn(matrix: Tensor, axes: list[Tensor | None]) -> Tensor:
    left, right = axes
    matrix = matrix if left is None else left.T @ matrix
    return matrix if right is None else matrix @ right


def _turn_back(matrix: Tensor, axes: list[Tensor | None]) -> Tensor:
    left, right = axes
    matrix = matrix if left is None else left @ matrix
    return matrix if right is None else matrix @ right.T
