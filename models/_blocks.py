"""Blocks that the decoders share. All keep the batch's frames apart and use no norm layers.

Shapes are (B, C, h, w) in and out; an upsampler by s gives (B, C_next, h*s, w*s).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._convolution import Convolution, convolve
from ._fused import fused_shuffle_gelu, has_kernels

__all__ = [
    "PixelShuffleHead",
    "PixelShuffleUpsampler",
    "PositionalEncoding",
    "StagedDecoder",
    "ToGrid",
    "conv",
    "conv_shuffle_gelu",
    "conv_then_shuffle",
    "mlp",
    "stage_widths",
    "upsample_bilinear",
    "upsample_bilinear_by_products",
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
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        if has_kernels(x) and _is_exact_gelu(self[2]):
            return conv_shuffle_gelu(self[0], x, self.stride)
        if x.requires_grad:
            shuffled = conv_then_shuffle(self[0], x, self.stride)
        else:
            shuffled = self[1](self[0](x))
        y: Tensor = self[2](shuffled)
        return y


class PixelShuffleHead(nn.Sequential):
    """(B, C, h, w) -> (B, 3, h*s, w*s): the picture straight from a map that is s times smaller."""

    def __init__(self, in_channels: int, *, stride: int, kernel_size: int = 3) -> None:
        super().__init__(conv(in_channels, 3 * stride**2, kernel_size), nn.PixelShuffle(stride))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        if x.requires_grad:
            return conv_then_shuffle(self[0], x, self.stride)
        x_hat: Tensor = self[1](self[0](x))
        return x_hat

    def packed(self, x: Tensor) -> Tensor:
        """Return (B, 3 * s * s, h, w): the picture before its pixels are shuffled."""
        blocks: Tensor = self[0](x)
        return blocks


def conv(in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
    """Convolution (B, C, h, w) -> (B, C_out, h, w) with an odd kernel."""
    return Convolution(in_channels, out_channels, kernel_size)


def mlp(*widths: int, activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers (..., widths[0]) -> (..., widths[-1]), each followed by the activation."""
    layers: list[nn.Module] = []
    for in_features, out_features in pairwise(widths):
        layers += [nn.Linear(in_features, out_features), activation()]
    return nn.Sequential(*layers)


def upsample_bilinear(x: Tensor, scale: int) -> Tensor:
    """Upsample (B, C, h, w) by an integer, half-pixel centres (align_corners=False)."""
    if x.is_cuda and x.requires_grad:
        return upsample_bilinear_by_products(x, scale)
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def upsample_bilinear_by_products(x: Tensor, scale: int) -> Tensor:
    """`upsample_bilinear` as two matrix products, with the channels last.

    CUDA's own gradient adds atomically, so that a seed would not fix a fit, and one by one: in
    bfloat16 it takes longer than these products do on tensor cores.
    """
    batch, channels, height, width = x.shape
    across = _upsampling(width, scale, x.dtype, x.device).expand(batch * height, -1, -1)
    down = _upsampling(height, scale, x.dtype, x.device).expand(batch, -1, -1)
    x = x.permute(0, 2, 3, 1)  # (B, h, w, C)
    with torch.autocast(x.device.type, enabled=False):  # as exact as what they are of
        x = across.bmm(x.reshape(batch * height, width, channels))
        x = down.bmm(x.reshape(batch, height, scale * width * channels))
    x = x.reshape(batch, scale * height, scale * width, channels)
    return x.permute(0, 3, 1, 2)


@cache  # a CUDA graph reads them without asking here
def _upsampling(size: int, scale: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix (size * scale, size) that upsamples linearly; its rows sum to 1."""
    unit = torch.eye(size, dtype=torch.float64, device=device)[None]
    exact = F.interpolate(unit, scale_factor=scale, mode="linear")[0].T
    nearest = exact.amax(1, keepdim=True)
    larger = nearest.to(dtype).double()
    # 1 less what bfloat16 has from 0.5 on is a number of bfloat16 too.
    smaller = torch.where(exact > 0, 1 - larger, 0.0)
    return torch.where(exact == nearest, larger, smaller).to(dtype)


def conv_then_shuffle(layer: nn.Module, x: Tensor, stride: int) -> Tensor:
    """Convolve and shuffle pixels: (B, C, h, w) -> (B, C_out / s**2, h*s, w*s), channels last.

    What PyTorch has for it leaves the channels first, and takes every value apart from its
    neighbours. With the weights in another order, those of a pixel stay together.
    """
    assert isinstance(layer, nn.Conv2d)  # what `conv` makes
    assert layer.bias is not None
    weight, bias = (_pixel_by_pixel(each, stride) for each in (layer.weight, layer.bias))
    y = convolve(x, weight, bias)  # (B, s * s * C', h, w)
    batch, channels, height, width = y.shape
    pairs = channels // stride  # of a row of a cell: s pixels of C' channels
    y = y.permute(0, 2, 3, 1).reshape(batch, height, width, stride, pairs)
    y = y.transpose(2, 3).reshape(batch, stride * height, stride * width, pairs // stride)
    return y.permute(0, 3, 1, 2)


def conv_shuffle_gelu(layer: nn.Module, x: Tensor, stride: int) -> Tensor:
    """`conv_then_shuffle` and the GELU, where `has_kernels(x)`."""
    assert isinstance(layer, nn.Conv2d)  # what `conv` makes
    assert layer.bias is not None
    u = F.conv2d(x, _pixel_by_pixel(layer.weight, stride), padding=layer.padding)
    return fused_shuffle_gelu(u, layer.bias, stride)


def _pixel_by_pixel(parameter: Tensor, stride: int) -> Tensor:
    """Put (C' * s * s, ...) in the order (s * s * C', ...)."""
    in_cells = parameter.reshape(-1, stride**2, *parameter.shape[1:])
    return in_cells.transpose(0, 1).flatten(0, 1)


def _is_exact_gelu(activation: nn.Module) -> bool:
    """Whether it is the GELU by its definition, not by an approximation."""
    return isinstance(activation, nn.GELU) and activation.approximate == "none"


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
