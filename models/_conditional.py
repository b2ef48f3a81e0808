"""Boost's blocks (arXiv 2402.18152): sines, and features scaled and shifted by the time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import conv

__all__ = ["Conditional", "Sine"]


class Sine(nn.Module):
    """sin(x) (Sitzmann et al. 2020, arXiv 2006.09661), without a frequency factor."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return torch.sin(x)


class Conditional(nn.Module):
    """A block of the network inside, then the TAT residual."""

    def __init__(self, block: nn.Module, width: int, time_channels: int) -> None:
        super().__init__()
        self.block = block
        self.affine = nn.ModuleList(_Affine(width, time_channels) for _ in range(2))
        self.convs = nn.ModuleList(conv(width, width, 3) for _ in range(2))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Apply block and residual to (B, C, h, w), at the time (B, time_channels)."""
        x = self.block(x)
        y = F.gelu(self.convs[0](self.affine[0](x, time)))
        y = self.convs[1](self.affine[1](y, time))
        x_next: Tensor = x + y
        return x_next


class _Affine(nn.Module):
    """TAT: x * (1 + scale(time)) + shift(time), for (B, C, h, w) and (B, time_channels)."""

    def __init__(self, width: int, time_channels: int) -> None:
        super().__init__()
        layers = [nn.Linear(time_channels, time_channels), nn.ReLU()]
        self.scale = nn.Sequential(*layers, nn.Linear(time_channels, width))
        layers = [nn.Linear(time_channels, time_channels), nn.ReLU()]
        self.shift = nn.Sequential(*layers, nn.Linear(time_channels, width))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale: Tensor = self.scale(time)[..., None, None]
        shift: Tensor = self.shift(time)[..., None, None]
        return x * (1 + scale) + shift
