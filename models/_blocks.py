"""Blocks that the decoders share. All keep the batch's frames apart and use no norm layers.

Shapes are (B, C, h, w) in and out; an upsampler by s gives (B, C_next, h*s, w*s).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "PixelShuffleHead",
    "PixelShuffleUpsampler",
    "PositionalEncoding",
    "StagedDecoder",
    "ToGrid",
    "conv",
    "mlp",
    "stage_widths",
    "upsample_bilinear",
    "upsample_bilinear_by_phases",
]


class PositionalEncoding(nn.Module):
    """sin and cos of `t * base**i * pi`, with t = index / num_frames (NeRV, equation 2).

    (B,) int64 -> (B, 2 * levels) float32.
    """

    frequency_bits: Tensor

    def __init__(self, *, base: float, levels: int, num_frames: int) -> None:
        super().__init__()
        self.num_frames = num_frames
        frequencies = torch.tensor([base**i * math.pi for i in range(levels)], dtype=torch.float32)
        # Kept as integers because Module.half() would cast floats and overflow; not stored.
        self.register_buffer("frequency_bits", frequencies.view(torch.int32), persistent=False)

    def forward(self, frame_indices: Tensor) -> Tensor:
        """Encode the frame indices."""
        t = frame_indices.to(torch.float32) / self.num_frames  # (B,)
        phase = t[:, None] * self.frequency_bits.view(torch.float32)  # (B, levels)
        return torch.cat((phase.sin(), phase.cos()), dim=1)


class ToGrid(nn.Module):
    """(B, C * h * w) -> (B, C, h, w)."""

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """Reshape."""
        return x.reshape(x.shape[0], -1, *self.grid)


class StagedDecoder(nn.Module):
    """Stem, upsampling stages, head: what the figures of most papers show."""

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Decode frame indices (B,) or embeddings (B, C, h, w) to (B, 3, H', W')."""
        x_hat: Tensor = self.head(self.features(x))
        return x_hat

    def features(self, x: Tensor) -> Tensor:
        """Compute what the head takes."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x


class PixelShuffleUpsampler(nn.Sequential):
    """NeRV's block: convolution to C_next * s * s channels, PixelShuffle(s), activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        kernel_size: int,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__(
            conv(in_channels, out_channels * stride**2, kernel_size),
            nn.PixelShuffle(stride),
            activation(),
        )


class PixelShuffleHead(nn.Sequential):
    """(B, C, h, w) -> (B, 3, h*s, w*s): the picture straight from a map that is s times smaller."""

    def __init__(self, in_channels: int, *, stride: int, kernel_size: int = 3) -> None:
        super().__init__(conv(in_channels, 3 * stride**2, kernel_size), nn.PixelShuffle(stride))
        self.stride = stride

    def packed(self, x: Tensor) -> Tensor:
        """Return (B, 3 * s * s, h, w): the picture before its pixels are shuffled."""
        blocks: Tensor = self[0](x)
        return blocks


def conv(in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
    """Convolution (B, C, h, w) -> (B, C_out, h, w) with an odd kernel."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)


def mlp(*widths: int, activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers (..., widths[0]) -> (..., widths[-1]), each followed by the activation."""
    layers: list[nn.Module] = []
    for in_features, out_features in pairwise(widths):
        layers += [nn.Linear(in_features, out_features), activation()]
    return nn.Sequential(*layers)


def upsample_bilinear(x: Tensor, scale: int) -> Tensor:
    """Upsample (B, C, h, w) by an integer, half-pixel centres (align_corners=False)."""
    if x.is_cuda and x.requires_grad:
        return upsample_bilinear_by_phases(x, scale)
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def upsample_bilinear_by_phases(x: Tensor, scale: int) -> Tensor:
    """`upsample_bilinear` from slices alone.

    CUDA's own gradient adds atomically, so that a seed would not fix a fit.
    """
    for dim in (2, 3):
        size = x.shape[dim]
        before = torch.cat((x.narrow(dim, 0, 1), x.narrow(dim, 0, size - 1)), dim)
        after = torch.cat((x.narrow(dim, 1, size - 1), x.narrow(dim, size - 1, 1)), dim)
        phases = []
        for i in range(scale):
            offset = (i + 0.5) / scale - 0.5
            phases.append(torch.lerp(x, before if offset < 0 else after, abs(offset)))
        x = torch.stack(phases, dim + 1).flatten(dim, dim + 1)
    return x


def stage_widths(
    base_width: int, num_stages: int, *, reduction: float, lower_width: int
) -> tuple[int, ...]:
    """Widths of the stages after a stem of `base_width`: C_next = max(round(C / r), floor).

    The floor falls to the base width where that is smaller, so that small budgets have a size.
    """
    floor = min(lower_width, base_width)
    widths = [base_width]
    for _ in range(num_stages):
        widths.append(max(round(widths[-1] / reduction), floor))
    return tuple(widths[1:])
