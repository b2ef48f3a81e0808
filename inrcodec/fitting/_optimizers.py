"""The optimisers of a fit, by the name in its `FitConfig`.

In: a network. Out: optimisers that together have all its parameters; most names stand for one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from inrcodec.fitting._adan import Adan
from inrcodec.fitting._config import FitConfig
from inrcodec.fitting._muon import Muon
from inrcodec.fitting._optim import Adam, AdamW
from inrcodec.fitting._soap import Soap
from inrcodec.models import Network

_LEAST_SIDE = 8  # rows and columns of a weight that Muon and SOAP take
_CAPTURABLE = ("adam", "adamw", "muon")
_OF_THE_DEVICE = ("lr", "capturable", "fused")  # settings of a group that no checkpoint changes


def is_capturable(config: FitConfig) -> bool:
    """Whether a step can be recorded as a CUDA graph: none that counts or copies on the host."""
    return (
        config.optimizer in _CAPTURABLE
        and config.quantizer != "entropy"
        and not config.ema
        and "ssim" not in config.loss
    )


def longest_side(network: Network) -> int:
    """Return the longest side of dense layers' weights as matrices; 0 if there are none."""
    return max((max(p.flatten(1).shape) for p in _matrices(network)), default=0)


def build_optimizers(
    network: Network, config: FitConfig, *, dtype: torch.dtype, capturable: bool = False
) -> list[Optimizer]:
    """Return the optimisers that `config` asks for.

    Args:
        network: on the device where it is fitted.
        config: names and rates.
        dtype: what the fit computes in; Muon's iterations do so too.
        capturable: whether steps are to be recorded as a CUDA graph, see `is_capturable`: then
            learning rates are tensors on the device.
    """
    parameters = list(network.parameters())
    rate: Any = config.learning_rate
    if capturable:
        rate = torch.tensor(rate, device=parameters[0].device)
    if config.optimizer == "adan":
        return [Adan(parameters, lr=rate, betas=config.betas)]
    beta1, beta2 = config.betas
    if config.optimizer == "adamw":
        decay = config.weight_decay
        return [
            AdamW(
                parameters,
                lr=rate,
                betas=(beta1, beta2),
                weight_decay=decay,
                fused=True,
                capturable=capturable,
            )
        ]
    matrices = _matrices(network) if config.optimizer in ("muon", "soap") else []
    taken = set(map(id, matrices))
    others = [p for p in parameters if id(p) not in taken]
    adam = Adam(others, lr=rate, betas=(beta1, beta2), fused=True, capturable=capturable)
    if not matrices:
        return [adam]
    if config.optimizer == "soap":
        return [adam, Soap(matrices, lr=rate, betas=config.betas)]
    return [adam, Muon(matrices, lr=rate, weight_decay=config.weight_decay, dtype=dtype)]


def load_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Go on from a `state_dict()`, also from one of another device.

    The learning rates stay as they are: every step sets them.
    """
    groups = optimizer.param_groups
    own = [{name: group[name] for name in _OF_THE_DEVICE if name in group} for group in groups]
    optimizer.load_state_dict(state)
    for group, kept in zip(optimizer.param_groups, own, strict=True):
        group.update(kept)


def _matrices(network: Network) -> list[nn.Parameter]:
    """Return the weights of dense layers: no grids, tables, biases or depthwise kernels."""
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    dense = [m for m in layers if not isinstance(m, nn.Conv2d) or m.groups == 1]
    weights = {id(p) for p in (m.weight for m in dense) if min(p.flatten(1).shape) >= _LEAST_SIDE}
    return [p for p in network.parameters() if id(p) in weights]
