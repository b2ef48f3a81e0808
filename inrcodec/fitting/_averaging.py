"""An average of the weights over the last part of a fit, however long the fit is.

In: the network after every step. Out: a copy of it with averaged parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_Tensors = list[Tensor] | tuple[Tensor, ...]


class WeightAverage(AveragedModel):
    """Exponential moving average whose time constant is a fraction of the steps so far.

    After T steps those that step t left have the weight (t^a - (t - 1)^a) / T^a, a = 1 / fraction:
    the power function average of Karras et al. 2024 (arXiv 2312.02696).

    Args:
        network: whose parameters, its encoder's too, are averaged; copied into `module`.
        fraction: the time constant over the steps so far, over 0 to 1; 1 is the plain mean.
    """

    def __init__(self, network: nn.Module, *, fraction: float) -> None:
        super().__init__(network, multi_avg_fn=self._average)
        self.fraction = fraction

    def _average(self, averages: _Tensors, weights: _Tensors, _: Tensor | int) -> None:
        # torch's count is on the weights' device, where to read it would wait for a GPU.
        step = int(self.n_averaged) + 1
        torch._foreach_lerp_(averages, weights, 1 - (1 - 1 / step) ** (1 / self.fraction))
