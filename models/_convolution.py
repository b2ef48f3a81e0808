"""Convolutions whose weights have a gradient that suits the processor.

In: channels-last maps and a layer's weights. Out: what `F.conv2d` gives. On a CPU without AVX-512
oneDNN takes two to three times as long for the gradient of the weights as for that of the map,
which has as many products; so matrix products take its place in large layers
(benchmarks/notes/step.md).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._processor import has_avx2_alone

__all__ = ["Convolution", "convolve"]

_FEWEST_MACS = 1e8  # from which on matrix products pay
_FEWEST_CHANNELS = 8  # in or out: fewer make thin matrices


class Convolution(nn.Conv2d):
    """`nn.Conv2d` with an odd kernel, whose maps keep their size, computed by `convolve`."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (B, C, h, w)."""
        return convolve(input, self.weight, self.bias)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (B, C, h, w) with (C_out, C, k, k), padded by k // 2: (B, C_out, h, w)."""
    if torch.is_grad_enabled() and weight.requires_grad and _is_slow(x, weight):
        y: Tensor = _Convolution.apply(x, weight, bias)
        return y
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def _is_slow(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN would be slow to take the gradient of the weights."""
    batch, _, height, width = x.shape
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and weight.shape[-1] > 1
        and min(weight.shape[:2]) >= _FEWEST_CHANNELS
        and batch * height * width * weight.numel() >= _FEWEST_MACS
        and not torch.is_autocast_enabled("cpu")
        and has_avx2_alone()
    )


class _Convolution(torch.autograd.Function):
    """A convolution with an odd kernel (k, k) and a padding of k // 2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve."""
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weight and bias."""
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        d_x = d_weight = d_bias = None
        if wants_x:
            padding = [weight.shape[-1] // 2] * 2
            d_x, _, _ = torch.ops.aten.convolution_backward(
                d_y, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], 1,
                [True, False, False],
            )  # fmt: skip
        if wants_weight:
            d_weight = weight_gradient(x, d_y, weight.shape[-1])
        if wants_bias:
            d_bias = d_y.permute(0, 2, 3, 1).flatten(0, 2).sum(0)
        return d_x, d_weight, d_bias


def weight_gradient(x: Tensor, d_y: Tensor, side: int) -> Tensor:
    """Return the gradient (C_out, C, k, k) of the weights of a convolution, k = `side`.

    It is d_y (B, C_out, h, w), as a matrix with a row a pixel, times x (B, C, h, w) shifted by each
    of the kernel's places. The narrower of both is what is shifted: across by copies, next to each
    other, and down by where a product begins to read.
    """
    if x.shape[1] <= d_y.shape[1]:
        return _product_of_shifts(d_y, x, side).permute(2, 3, 0, 1)
    return _product_of_shifts(x, d_y, side).permute(3, 2, 0, 1).flip(2, 3)


def _product_of_shifts(still: Tensor, shifted: Tensor, side: int) -> Tensor:
    """Sum over pixels the products of `still` and of its neighbours in `shifted`: (k, k, S, C)."""
    batch, channels, height, width = shifted.shape
    reach = side // 2
    source = shifted.permute(0, 2, 3, 1)
    near = source.new_empty(batch, height + 2 * reach, width, side, channels)
    near[:, :reach] = near[:, reach + height :] = 0
    inside = near[:, reach : reach + height]
    for i, across in enumerate(range(-reach, reach + 1)):  # from a pixel to the neighbour it gets
        left, right = min(width, max(0, -across)), max(0, width - max(0, across))
        inside[:, :, left:right, i] = source[:, :, left + across : right + across]
        inside[:, :, :left, i] = inside[:, :, right:, i] = 0
    rows = near.view(batch, -1, side * channels)  # a pixel each
    pixels = still.permute(0, 2, 3, 1).reshape(batch, height * width, -1).transpose(1, 2)
    products = [
        (pixels @ rows[:, i * width : (i + height) * width]).sum(0)  # (S, k * C)
        for i in range(side)
    ]
    return torch.stack(products).reshape(side, -1, side, channels).transpose(1, 2)
