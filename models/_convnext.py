"""ConvNeXt (arXiv 2201.03545): HNeRV's encoder (arXiv 2304.02633), HiNeRV's block (2306.09818).

In: frames (B, 3, H', W') in [0, 1], sides divisible by the product of the strides.
Out: embeddings (B, C, h, w). It is used while fitting and never stored.

Each stage downsamples by a convolution with kernel = stride (the first one followed, the later
ones preceded by a LayerNorm over channels), then applies one ConvNeXt block.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvNeXtEncoder", "PlainConvNeXtBlock", "encoder_strides", "normalize_channels"]

_WIDTH = 64
_EXPANSION = 4
_LAYER_SCALE = 1e-6
_EPS = 1e-6
_LEAST_DEVIATION = 1e-3  # of embeddings of a clip that stands still
_FIRST_STRIDE = 5  # HNeRV's


class ConvNeXtEncoder(nn.Sequential):
    """Undo the decoder's `strides`, to `out_channels`: 306,160 parameters at 5 4 4 2 2 and 16."""

    def __init__(self, strides: Sequence[int], *, out_channels: int) -> None:
        super().__init__()
        in_channels = 3
        steps = encoder_strides(strides)
        for i, stride in enumerate(steps):
            channels = out_channels if i == len(steps) - 1 else _WIDTH
            downsample = nn.Conv2d(in_channels, channels, stride, stride=stride)
            if len(steps) == 1:  # normalised, a single channel would say nothing
                self.append(downsample)
            elif i == 0:
                self.extend((downsample, _ChannelNorm(channels)))
            else:
                self.extend((_ChannelNorm(in_channels), downsample))
            self.append(_ConvNeXtBlock(channels))
            in_channels = channels
        self.apply(_init_weights)

    @torch.no_grad()
    def calibrate(self, frames: Tensor) -> None:
        """Scale fresh weights so that embeddings of `frames` differ: mean 0, deviation 1 in time.

        As HNeRV initialises them, all frames start with nearly the same embedding, and a fit spends
        its first thousands of steps on the mean frame (data-dependent initialisation: Mishkin and
        Matas 2016, arXiv 1511.06422).
        """
        if len(frames) < 2:
            return
        embeddings = self(frames)  # (B, C, h, w)
        mean = embeddings.mean((0, 2, 3))
        deviation = embeddings.std(0).mean((1, 2)).clamp(min=_LEAST_DEVIATION)
        last = [module for module in self if isinstance(module, nn.Conv2d)][-1]
        last.weight /= deviation[:, None, None, None]
        if last.bias is not None:
            last.bias -= mean
            last.bias /= deviation


class PlainConvNeXtBlock(nn.Module):
    """x + W2(GELU(W1(norm(depthwise 3x3(x))))), without bias, scale, or the norm's parameters.

    (B, C, h, w) -> (B, C_out, h, w); without the residual where widths differ.
    """

    def __init__(self, in_channels: int, out_channels: int, hidden_width: int) -> None:
        super().__init__()
        self.residual = in_channels == out_channels
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False
        )
        self.expand = nn.Linear(in_channels, hidden_width, bias=False)
        self.project = nn.Linear(hidden_width, out_channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        y = normalize_channels(self.depthwise(x)).permute(0, 2, 3, 1)  # (B, h, w, C)
        y = self.project(F.gelu(self.expand(y))).permute(0, 3, 1, 2)
        z: Tensor = x + y if self.residual else y
        return z


def normalize_channels(x: Tensor) -> Tensor:
    """LayerNorm without parameters over the channels of (B, C, h, w)."""
    y = F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], eps=_EPS)
    return y.permute(0, 3, 1, 2)


def encoder_strides(strides: Sequence[int]) -> tuple[int, ...]:
    """Downsampling that undoes the decoder's `strides`, the first of them at least HNeRV's 5.

    The blocks after the first downsampling see the most pixels: behind a stride of 3 they would
    cost more than the whole decoder. So the first strides are merged until their product is 5.

    >>> encoder_strides((5, 4, 4, 2, 2))
    (5, 4, 4, 2, 2)
    >>> encoder_strides((3, 3, 2, 2, 2))
    (9, 2, 2, 2)
    """
    first, *rest = strides
    while rest and first < _FIRST_STRIDE:
        first *= rest.pop(0)
    return (first, *rest)


class _ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(x.permute(0, 2, 3, 1))  # (B, h, w, C)
        return y.permute(0, 3, 1, 2)


class _ConvNeXtBlock(nn.Module):
    """x + gamma * pointwise(GELU(pointwise(LayerNorm(depthwise 7x7(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPS)
        self.expand = nn.Linear(channels, _EXPANSION * channels)
        self.project = nn.Linear(_EXPANSION * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), _LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.depthwise(x).permute(0, 2, 3, 1)  # (B, h, w, C)
        y = self.gamma * self.project(F.gelu(self.expand(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
