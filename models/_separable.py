"""NeRV++'s blocks (arXiv 2402.18305, section 3): separable residuals around an upsampler."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import PixelShuffleUpsampler, upsample_bilinear
from ._fused import fused_residual, has_kernels

__all__ = ["SeparableResidual", "SeparableStage"]


class SeparableResidual(nn.Module):
    """x + pointwise(GELU(depthwise 3x3(x))), the separable block of NeRV++ (section 3).

    With a gate it is x + pointwise(depthwise 3x3(x) * gate 3x3(x)), the gate depthwise too: their
    product takes the place of the activation (NAFNet's SimpleGate, arXiv 2204.04676).

    Starts as the identity: with random weights, ten of them in a row delay the first thousand
    steps of a fit. NeRV++ draws its weights anew (`nervpp`).
    """

    def __init__(self, channels: int, *, gated: bool = False) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.gate: nn.Conv2d | None = None
        if gated:
            self.gate = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
            assert self.gate.bias is not None
            nn.init.ones_(self.gate.bias)
        self.pointwise = nn.Conv2d(channels, channels, 1)
        for parameter in self.pointwise.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        if has_kernels(x):
            return fused_residual(
                x, depthwise=self.depthwise, gate=self.gate, pointwise=self.pointwise
            )
        y = self.depthwise(x)
        y = F.gelu(y) if self.gate is None else y * self.gate(x)
        residual: Tensor = self.pointwise(y)
        return x + residual


class SeparableStage(nn.Module):
    """The paper's block: (B, C, h, w) -> (B, C_next, h*s, w*s).

    Without `refine` only the upsampler and the bilinear skip are left; `gated` is about both
    separable residual blocks.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        kernel_size: int = 3,
        activation: type[nn.Module] = nn.GELU,
        refine: bool = True,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.before = SeparableResidual(in_channels, gated=gated) if refine else nn.Identity()
        self.upsampler = PixelShuffleUpsampler(
            in_channels,
            out_channels,
            stride=stride,
            kernel_size=kernel_size,
            activation=activation,
        )
        self.after = SeparableResidual(out_channels, gated=gated) if refine else nn.Identity()
        self.skip = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Upsample; the skip is projected where pixels are few."""
        y: Tensor = self.after(self.upsampler(self.before(x)))
        return y + upsample_bilinear(self.skip(x), self.stride)
