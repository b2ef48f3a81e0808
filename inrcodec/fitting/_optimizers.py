"""The optimisers of a fit, by the name in its `FitConfig`.

In: a network. Out: optimisers that together have all its parameters; most names stand for one.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from inrcodec.fitting._adan import Adan
from inrcodec.fitting._config import FitConfig
from inrcodec.fitting._muon import Muon
from inrcodec.fitting._soap import Soap
from inrcodec.models import Network

_LEAST_SIDE = 8  # rows and columns of a weight that Muon and SOAP take


def build_optimizers(network: Network, config: FitConfig, *, dtype: torch.dtype) -> list[Optimizer]:
    """Return the optimisers that `config` asks for.

    Args:
        network: on the device where it is fitted.
        config: names and rates.
        dtype: what the fit computes in; Muon's iterations do so too.
    """
    parameters = list(network.parameters())
    rate = config.learning_rate
    if config.optimizer == "adan":
        return [Adan(parameters, lr=rate, betas=config.betas)]
    beta1, beta2 = config.betas
    if config.optimizer == "adamw":
        decay = config.weight_decay
        adamw = torch.optim.AdamW
        return [adamw(parameters, lr=rate, betas=(beta1, beta2), weight_decay=decay, fused=True)]
    matrices = _matrices(network) if config.optimizer in ("muon", "soap") else []
    taken = set(map(id, matrices))
    others = [p for p in parameters if id(p) not in taken]
    adam = torch.optim.Adam(others, lr=rate, betas=(beta1, beta2), fused=True)
    if not matrices:
        return [adam]
    if config.optimizer == "soap":
        return [adam, Soap(matrices, lr=rate, betas=config.betas)]
    return [adam, Muon(matrices, lr=rate, weight_decay=config.weight_decay, dtype=dtype)]


def _matrices(network: Network) -> list[nn.Parameter]:
    """Return the weights of dense layers: no grids, tables, biases or depthwise kernels."""
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    dense = [m for m in layers if not isinstance(m, nn.Conv2d) or m.groups == 1]
    weights = {id(p) for p in (m.weight for m in dense) if min(p.flatten(1).shape) >= _LEAST_SIDE}
    return [p for p in network.parameters() if id(p) in weights]
