"""What this project's optimisers share: a step is one of each group of parameters."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from inrcodec.fitting._optim import Optimizer


class GroupwiseOptimizer(Optimizer):
    """An optimiser that steps group by group, leaving parameters without a gradient alone."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one step; `closure`, if given, computes the loss and its gradients first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._step_group(params, group)
        return loss

    @abstractmethod
    def _step_group(self, params: list[Tensor], group: dict[str, Any]) -> None:
        """Move the parameters of a group that have gradients, by its settings."""
