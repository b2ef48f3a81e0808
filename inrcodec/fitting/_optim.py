"""PyTorch's optimisers without `torch._dynamo`, whose import takes seconds of every encode.

Their decorators keep `torch.compile` out, which nothing here asks for, and import it to do so.
"""

from __future__ import annotations

from inspect import unwrap

import torch
from torch import optim


class Optimizer(optim.Optimizer):
    """PyTorch's base class; for optimisers that are not compiled."""

    add_param_group = unwrap(optim.Optimizer.add_param_group)
    load_state_dict = unwrap(optim.Optimizer.load_state_dict)
    state_dict = unwrap(optim.Optimizer.state_dict)
    zero_grad = unwrap(optim.Optimizer.zero_grad)


class Adam(Optimizer, optim.Adam):
    """PyTorch's Adam."""

    step = torch.no_grad()(unwrap(optim.Adam.step))


class AdamW(Optimizer, optim.AdamW):
    """PyTorch's AdamW."""

    step = torch.no_grad()(unwrap(optim.AdamW.step))
