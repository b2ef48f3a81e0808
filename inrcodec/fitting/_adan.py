"""Adan: adaptive Nesterov momentum (Xie et al. 2022, arXiv 2208.06677, algorithm 1).

In: parameters with gradients. Out: their next values. Three moving averages a parameter: of the
gradient, of its difference to the step before, and of the square of both, looked ahead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from inrcodec.fitting._groupwise import GroupwiseOptimizer


class Adan(GroupwiseOptimizer):
    """Adan without weight decay, bias-corrected as in the authors' public code.

    With gradient g_t and difference d_t = g_t - g_(t-1), where d_1 = 0, and EMA_b(x) the moving
    average b EMA + (1 - b) x from zero::

        m = EMA_b1(g)    v = EMA_b2(d)    n = EMA_b3((g + b2 d)^2)
        p -= lr (m / (1 - b1^t) + b2 v / (1 - b2^t)) / (sqrt(n / (1 - b3^t)) + eps)

    Args:
        params: parameters or groups of them; those without a gradient are left alone.
        lr: learning rate.
        betas: decay rates b1, b2 and b3 (the paper writes 1 minus these).
        eps: keeps the denominator from zero.

    Raises:
        ValueError: not three decay rates.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        *,
        lr: float = 1e-3,
        betas: tuple[float, ...] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
    ) -> None:
        if len(betas) != 3:
            raise ValueError(f"betas is {betas}, Adan takes 3")
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps})

    def _step_group(self, params: list[Tensor], group: dict[str, Any]) -> None:
        lr, (beta1, beta2, beta3), eps = group["lr"], group["betas"], group["eps"]
        states = [self._state_of(p) for p in params]
        gradients = [p.grad for p in params if p.grad is not None]
        previous = [s["previous_gradient"] for s in states]
        means, differences, squares = (
            [s[name] for s in states] for name in ("mean", "difference", "square")
        )

        d = torch._foreach_sub(gradients, previous)
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_lerp_(differences, d, 1 - beta2)
        torch._foreach_mul_(d, beta2)
        torch._foreach_add_(d, gradients)  # g + b2 d
        torch._foreach_mul_(squares, beta3)
        torch._foreach_addcmul_(squares, d, d, 1 - beta3)
        torch._foreach_copy_(previous, gradients)

        times = [s["step"] for s in states]
        denominators = torch._foreach_sqrt(squares)
        torch._foreach_div_(denominators, [math.sqrt(1 - beta3**t) for t in times])
        torch._foreach_add_(denominators, eps)
        rates = [-lr / (1 - beta1**t) for t in times]
        torch._foreach_addcdiv_(params, means, denominators, rates)
        rates = [-lr * beta2 / (1 - beta2**t) for t in times]
        torch._foreach_addcdiv_(params, differences, denominators, rates)

    def _state_of(self, parameter: Tensor) -> dict[str, Any]:
        """Return the parameter's state with its step counted."""
        state: dict[str, Any] = self.state[parameter]
        if not state:
            assert parameter.grad is not None  # step passes no others
            state["step"] = 0
            for name in ("mean", "difference", "square"):
                state[name] = torch.zeros_like(parameter)
            state["previous_gradient"] = parameter.grad.clone()
        state["step"] += 1
        return state
