"""Blocks of NeRV++'s public code: gated MLP, gated CNN, and the stage made of the latter."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import PixelShuffleUpsampler, upsample_bilinear

__all__ = ["GatedMLP", "GatedStage"]


class GatedStage(nn.Module):
    """The public code's block: projection, gated CNN, upsampler, residual FFN, bilinear skip."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.stride = stride
        self.projection = nn.Conv2d(in_channels, out_channels, 1)
        self.gated = _GatedCNN(out_channels)
        self.upsampler = PixelShuffleUpsampler(
            out_channels, out_channels, stride=stride, kernel_size=3, activation=activation
        )
        self.ffn = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 3, padding=1, groups=out_channels),
            nn.Conv2d(out_channels, out_channels, 1),
            nn.GELU(),
            nn.Conv2d(out_channels, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Upsample (B, C, h, w) to (B, C_next, h*s, w*s)."""
        skip = self.projection(x)
        y: Tensor = self.upsampler(self.gated(skip))
        y = y + self.ffn(y)
        return y + upsample_bilinear(skip, self.stride)


class _GatedCNN(nn.Module):
    """x + W2(GELU(g) * concat(i, depthwise 5x5(c))), with g, i, c the parts of W1(x)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = int(8 / 3 * channels)
        self.parts = (hidden, hidden - channels, channels)
        self.expand = nn.Linear(channels, 2 * hidden)
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.project = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.expand(x.permute(0, 2, 3, 1))  # (B, h, w, 2 * hidden)
        g, i, c = parts.split(self.parts, dim=-1)
        c = self.depthwise(c.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y: Tensor = self.project(F.gelu(g) * torch.cat((i, c), dim=-1))
        return x + y.permute(0, 3, 1, 2)


class GatedMLP(nn.Module):
    """W2(a * GELU_tanh(b)), with a, b the halves of W1(x)."""

    def __init__(self, in_features: int, hidden: int, out_features: int) -> None:
        super().__init__()
        self.expand = nn.Linear(in_features, 2 * hidden)
        self.project = nn.Linear(hidden, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers to (B, features)."""
        a, b = self.expand(x).chunk(2, dim=1)
        y: Tensor = self.project(a * F.gelu(b, approximate="tanh"))
        return y
