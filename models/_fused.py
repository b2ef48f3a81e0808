"""Layers of a fit on a GPU that go over large maps once, where one by one they would many times.

In: what the layers take, on CUDA and with gradients wanted. Out: what they give, channels last. A
depthwise convolution has 18 operations a value that it reads, so that a GPU waits for its memory;
and what PyTorch adds for biases, gates, residuals and pixel shuffles are passes of their own
(benchmarks/notes/gpu.md). Sums are in float32, and weights are not rounded to bfloat16 first.
"""

from __future__ import annotations

import logging
import re
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["fused_residual", "fused_shuffle_gelu", "has_kernels"]

_log = logging.getLogger(__name__)

_OLDEST_TRITON = (3, 6)  # of those tried; older ones keep no tuples over a loop
_PROGRAMS = 2048  # that share the blocks where pixels are summed; the same on every card
_VALUES, _FEW_VALUES = 512, 256  # of a block; the few where each has 20 sums of its own
_VECTOR = 8  # channels that are read at once, where a map's width is a multiple of it
_SUMS = 10  # of a depthwise filter: of its nine taps and its bias


def has_kernels(x: Tensor) -> bool:
    """Whether a fit computes on `x` by kernels of its own: on CUDA, in 16 bits, where Triton works.

    Decoders, and fits in float32, take PyTorch's layers.
    """
    is_short = x.dtype in (torch.bfloat16, torch.float16)
    return x.is_cuda and x.requires_grad and is_short and _has_triton(x.device)


@cache
def _has_triton(device: torch.device) -> bool:
    return is_new_enough() and _works_on(device)


def is_new_enough() -> bool:
    """Whether Triton is installed, in a version that knows what the kernels are written in."""
    try:
        found = version("triton")
    except PackageNotFoundError:
        return False
    numbers = re.match(r"(\d+)\.(\d+)", found)
    return numbers is not None and tuple(map(int, numbers.groups())) >= _OLDEST_TRITON


def _works_on(device: torch.device) -> bool:
    """Whether a kernel can be made and run: Triton asks for a C compiler and Python's headers."""
    u, bias = torch.zeros(1, 4, 1, 1, device=device), torch.zeros(4, device=device)
    try:
        _ShuffleGELU.apply(u, bias, 2)
    except Exception as exc:  # of Triton, of the compiler, of the driver
        _log.warning("Triton does not work here, so that fits take longer: %s", exc)
        return False
    return True


def fused_residual(
    x: Tensor, *, depthwise: nn.Conv2d, gate: nn.Conv2d | None, pointwise: nn.Conv2d
) -> Tensor:
    """Compute a separable residual block, `SeparableResidual`, of x (B, C, h, w)."""
    gates = (None, None) if gate is None else (gate.weight, gate.bias)
    filters = (depthwise.weight, depthwise.bias, *gates)
    y: Tensor = _Residual.apply(x, *filters, pointwise.weight, pointwise.bias)
    return y


def fused_shuffle_gelu(u: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Add the bias (C' * s * s,), shuffle pixels and take the GELU.

    Args:
        u: (B, s * s * C', h, w), a pixel's channels side by side: `conv_then_shuffle`.
        bias: in the order of PyTorch's pixel shuffle, (C', s, s).
        stride: s.

    Returns:
        (B, C', h * s, w * s).
    """
    y: Tensor = _ShuffleGELU.apply(u, bias, stride)
    return y


class _Residual(torch.autograd.Function):
    """x + pointwise(depthwise(x) * gate(x)), or of the GELU where there is no gate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor | None) -> Tensor:
        x = _channels_last(x)
        *filters, weight, bias = parameters
        assert weight is not None
        assert bias is not None
        y = torch.empty_like(x)
        tiles = _tiles_of(x)
        with _on_device_of(x):
            _kernels().depthwise[tiles.grid](
                x, *filters, y, *x.shape[2:], tiles.vectors,
                **tiles.sides, GATED=filters[2] is not None,
            )  # fmt: skip
        matrix = weight.flatten(1).to(x.dtype)
        ctx.save_for_backward(x, y, matrix, *parameters)
        out = torch.addmm(bias.to(x.dtype), _flat(y), matrix.T)
        return _maps(out.add_(_flat(x)), x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        x, y, matrix, *filters, weight, bias = ctx.saved_tensors
        kernels, is_gated = _kernels(), filters[2] is not None
        d_out = _channels_last(d_out)
        d_weight = (_flat(d_out).T @ _flat(y)).to(weight.dtype).view_as(weight)
        d_y = _flat(d_out) @ matrix

        d_drawn = torch.empty_like(x)
        d_gate = torch.empty_like(x) if is_gated else None
        tiles = _tiles_of(x, values=_FEW_VALUES)
        sums = _sums(x, tiles.programs, 1 + is_gated, _SUMS)
        kernels.depthwise_gradients[tiles.shared_grid](
            x, d_y, *filters, d_drawn, d_gate, sums,
            tiles.blocks, *x.shape[2:], tiles.vectors, **tiles.sides, GATED=is_gated,
        )  # fmt: skip
        of_filters: list[Tensor | None] = [None] * 4
        for i, sum_ in enumerate(sums.sum(0)):  # (10, C)
            of_filters[2 * i] = sum_[:9].T.reshape(-1, 1, 3, 3).to(filters[2 * i].dtype)
            of_filters[2 * i + 1] = sum_[9].to(filters[2 * i + 1].dtype)

        d_x = torch.empty_like(x)
        tiles = _tiles_of(x)
        sums = _sums(x, tiles.programs)
        kernels.depthwise_input_gradient[tiles.shared_grid](
            d_drawn, d_gate, d_out, filters[0], filters[2], d_x, sums,
            tiles.blocks, *x.shape[2:], tiles.vectors, **tiles.sides, GATED=is_gated,
        )  # fmt: skip
        return (d_x, *of_filters, d_weight, sums.sum(0).to(bias.dtype))


class _ShuffleGELU(torch.autograd.Function):
    """The GELU of shuffled pixels."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, bias: Tensor, stride: int) -> Tensor:
        u = _channels_last(u)
        ctx.save_for_backward(u, bias)
        ctx.stride = stride
        batch, channels, height, width = u.shape
        y = u.new_empty(batch, stride * height, stride * width, channels // stride**2)
        y = y.permute(0, 3, 1, 2)
        tiles = _tiles_of(u, stride=stride)
        with _on_device_of(u):
            _kernels().shuffle_gelu[tiles.grid](
                u, bias, y, width, stride, tiles.vectors, **tiles.sides
            )
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        u, bias = ctx.saved_tensors
        stride = ctx.stride
        d_u = torch.empty_like(u)
        tiles = _tiles_of(u, stride=stride)
        sums = _sums(u, tiles.programs)
        _kernels().shuffle_gelu_gradients[tiles.shared_grid](
            u, bias, _channels_last(d_y), d_u, sums,
            tiles.blocks, u.shape[3], stride, tiles.vectors, **tiles.sides,
        )  # fmt: skip
        d_bias = sums.sum(0).view(stride**2, -1).T.reshape(-1)  # (s, s, C') -> (C', s, s)
        return d_u, d_bias.to(bias.dtype), None


@cache
def _kernels() -> Any:
    from . import _kernels  # needs Triton

    return _kernels


class _Tiles(NamedTuple):
    """How a map is cut into blocks, of PIXELS x CHANNELS."""

    blocks: int  # of pixels
    parts: int  # of the channels
    vectors: int  # of ALIGNED channels
    sides: dict[str, int]  # of a block, and of a vector

    @property
    def programs(self) -> int:
        """How many share the blocks."""
        return min(self.blocks, _PROGRAMS)

    @property
    def grid(self) -> tuple[int, int]:
        """A program a block."""
        return self.blocks, self.parts

    @property
    def shared_grid(self) -> tuple[int, int]:
        """Programs that go through several blocks."""
        return self.programs, self.parts


def _tiles_of(x: Tensor, *, stride: int = 1, values: int = _VALUES) -> _Tiles:
    """Cut (B, C, h, w) into blocks; with a stride, C is s * s * C', of which a block has s * C'."""
    batch, channels, height, width = x.shape
    run = channels // stride
    # As few channels beyond the map's as can be.
    side = min((64, 32, 16), key=lambda side: -(-run // side) * side)
    aligned = 1 if run // stride % _VECTOR else _VECTOR
    return _Tiles(
        batch * height * -(-width // (values // side)),
        stride * -(-run // side),
        run // stride // aligned,
        {"PIXELS": values // side, "CHANNELS": side, "ALIGNED": aligned},
    )


def _on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Launch kernels where `x` is; backward passes do so anyway."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def _sums(x: Tensor, programs: int, *shape: int) -> Tensor:
    """Return memory for the sums of each program, of as many channels as the map has."""
    return x.new_empty(programs, *shape, x.shape[1], dtype=torch.float32)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _flat(x: Tensor) -> Tensor:
    """(B, C, h, w), channels last -> (B * h * w, C), the same memory."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _maps(rows: Tensor, like: Tensor) -> Tensor:
    """(B * h * w, C) -> (B, C, h, w), the same memory."""
    batch, channels, height, width = like.shape
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)
